"""Tiers: from scores to the four tiers and their changes."""
