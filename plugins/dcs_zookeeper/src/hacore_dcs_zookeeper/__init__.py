"""Store plugin of hacore: ZooKeeper, by kazoo."""
