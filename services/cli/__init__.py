"""The console script `smb-crm`."""
