"""The REST process: health checks from shared memory, commands handed to the agent."""
