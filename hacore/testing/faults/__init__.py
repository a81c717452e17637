"""Faults that are made from outside: nothing that is under test is patched."""
