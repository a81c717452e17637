"""Configuration: files, environment and the dynamic part, read, checked and laid over one another.

What a process works with are frozen values that cost next to nothing to import. The functions that read files bring the schema library
with them only when they are called, which may be in a short-lived child.
"""
