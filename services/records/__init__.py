"""Records: SMBs and their communities."""
