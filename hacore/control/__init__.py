"""What a person asks of the agent: the Unix socket, the commands behind it, and what they need of the loop."""
