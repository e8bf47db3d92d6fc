"""How the system is run: here the local servers."""
