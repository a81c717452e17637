"""One schema for each section of the local file. They check and freeze; they read no file."""
