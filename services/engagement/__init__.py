"""Engagement: from the other modules' events to each SMB's score."""
