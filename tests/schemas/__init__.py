"""Messages, topics and policy."""
