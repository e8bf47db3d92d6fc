"""What `trace` tells of a message."""
