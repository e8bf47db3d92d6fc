"""What every service shares: the messages, the runtime and the database's schema."""
