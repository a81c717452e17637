"""PgBouncer as a router of hacore."""
