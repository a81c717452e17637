"""The real decisions and the real loop on a virtual clock, against a simulated store, network, guard and PostgreSQL.

What is simulated knows nothing of the rules under test: the store keeps locks and records, PostgreSQL keeps WAL, the network loses
messages. Whether the rules are right is judged from the truth that only the simulator has (``invariants``). A run is decided by its seed.
"""
