"""Campaigns: each SMB's 90 days of Manifest Destiny."""
