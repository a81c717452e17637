"""The first stage: read the world once. Reads, and never writes."""
