"""The agent process: the loop with real ports, its commands from other threads, and what wakes it."""
