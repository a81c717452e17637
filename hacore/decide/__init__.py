"""Tables of small named rules over a frozen world. No I/O, no clock, no log, no thread, no random number.

A rule's name is its identity: in logs, metrics, tests and ``hacore explain``.
"""

from hacore.decide.decision import TABLES, decide, rule_names

__all__ = ["TABLES", "decide", "rule_names"]
