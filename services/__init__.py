"""What the CRM does, one package for each service."""
