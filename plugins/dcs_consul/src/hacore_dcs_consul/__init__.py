"""Store plugin of hacore: Consul."""
