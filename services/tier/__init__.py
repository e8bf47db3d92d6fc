"""Tiers: a score becomes one of four tiers, and every change of tier is told.

Consumes: `smb.events` (SMBEngagementChanged is a hint to look at the score; the other types need nothing here), the
trigger EvaluateTierTransitions and its shards.
Owns: `tier_changes`; in `smbs` the tier and when it changed.
Emits: SMBTierChanged.
"""
