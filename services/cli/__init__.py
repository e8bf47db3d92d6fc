"""The console script `smb-crm`: one module per noun, and one place that turns errors into a line and an exit code."""

from services.cli.main import main

__all__ = ["main"]
