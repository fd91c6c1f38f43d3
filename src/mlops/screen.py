"""Where tables are printed. A module of its own: what shows tags need not import what measures models."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH = 100


def console() -> Console:
    """A terminal at its own width, anything else wide enough for our tables."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)
