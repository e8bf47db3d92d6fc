"""The runtime that all workers share."""
