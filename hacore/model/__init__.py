"""Values and their arithmetic. Nothing here does I/O, reads a clock, logs or starts a thread."""
