"""The embedded store of hacore: one SQLite file shared by the agents of one machine."""
