"""The plugins that come with hacore. They live by the rules of any other: what they need of PostgreSQL comes as an argument."""
