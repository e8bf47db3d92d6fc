"""Campaigns: each SMB's 90 days of Manifest Destiny.

Consumes ApprovalSubmitted, the campaign commands, AdvanceManifestDestinyDay and its shards. Owns `campaigns`, their
transitions, the ledger of commands and approvals, and in `smbs` the campaign's columns and the pending services.
Emits SMBCampaignChanged, and SMBUpdated for pending services.
"""
