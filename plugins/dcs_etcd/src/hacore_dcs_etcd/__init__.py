"""The store of hacore in etcd, spoken to through the v3 API."""
