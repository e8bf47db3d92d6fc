"""Engagement: what SMBs did becomes a score.

Consumes: the seven events of the other modules, the trigger RecalculateEngagementScores and its shards.
Owns: `engagement_events`; in `smb_heads` the score, the announced score, the date it was scored on and last_….
Emits: SMBEngagementChanged, when the score is more than 10 away from the one last announced.
"""
