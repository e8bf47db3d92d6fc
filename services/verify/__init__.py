"""`smb-crm verify`: production recomputes what it stores by the pure rules, and reports each difference.

Owns: `verifications`. Reads everything in snapshots, chunk by chunk, so it may run beside the workers at any time.
"""

from services.verify.verification import KINDS, Verification, verify

__all__ = ["KINDS", "Verification", "verify"]
