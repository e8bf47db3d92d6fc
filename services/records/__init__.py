"""Records: which SMBs and communities there are, and what is known of them.

Consumes: requests to create and change SMBs and communities; the triggers CleanupDeletedSMBs and
RecalculateDataQuality.
Owns: `communities`; in `smbs` the profile, the opt-ins, the service lists and the data quality score.
Emits: SMBCreated, SMBUpdated, SMBErased.
"""
