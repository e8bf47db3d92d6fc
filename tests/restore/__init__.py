"""What after-restore reads of `smb.events`."""
