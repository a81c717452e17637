"""A store of hacore in a table on another PostgreSQL server."""
