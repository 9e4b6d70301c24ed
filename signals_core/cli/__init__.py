"""The command line."""

from signals_core.cli.main import main

__all__ = ["main"]
