"""What `verify` finds, on real traffic and on planted differences."""
