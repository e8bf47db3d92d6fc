"""`smb-crm after-restore`: puts an installation right whose database was restored from a backup.

Reads: `smb.events`, which tells what happened since the backup. Changes: the epoch, the positions of all groups in
Kafka and in the database, and SMBs that were erased since.
"""

from services.restore.restoration import Restoration, restore

__all__ = ["Restoration", "restore"]
