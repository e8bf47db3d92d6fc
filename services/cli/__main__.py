"""`python -m services.cli` is `smb-crm`."""

from services.cli.main import main

main()
