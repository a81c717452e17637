"""Router plugin of hacore: a floating IP whose lifetime in the kernel ends with the lease."""
