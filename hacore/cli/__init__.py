"""The command line: what people and scripts ask of a cluster. It decides nothing; members and store do what it asks for."""
