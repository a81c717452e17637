"""The only door to one PostgreSQL: its directory, process, settings, queries, replication, slots and repairs.

Does not know the store, other members' records, nor why anything is done: it answers what is, and does what it is told.
"""
