"""The fourth stage: tells others what this node is. It never changes the outcome of a turn."""
