"""The fence: the process that is PostgreSQL's parent, and the client that talks to it.

Everything in here imports the standard library alone, so that the process stays small and starts at once, and so that no fault of
the store, of the network or of a plugin can reach it.
"""
