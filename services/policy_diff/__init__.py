"""What another policy would change, before it is rolled out: scores and tiers by both, computed side by side.

Reads everything in snapshots, chunk by chunk, and changes nothing, so it may run beside the workers at any time. Owns
nothing.
"""

from services.policy_diff.comparison import Change, PolicyDiff, compare
from services.policy_diff.differences import Setting, differing_settings

__all__ = ["Change", "PolicyDiff", "Setting", "compare", "differing_settings"]
