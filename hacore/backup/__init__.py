"""What the core decides about backups, purely: where a recovery ends, from which backup, which ones go, and when the next one is due."""
