"""HAProxy as a router of hacore."""
