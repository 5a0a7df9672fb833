"""The exit codes of the commands, besides 0 for done."""

from __future__ import annotations

from typing import Final

CANNOT_PRINT: Final = 1
"""Nobody reads what is printed any more, or the disk is full."""
BAD_INPUT: Final = 2
INFEASIBLE: Final = 3
FAILED: Final = 4
"""A runtime failed while it ran: its source broke off, or it was the runtime's own fault."""
INTERRUPTED: Final = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells count."""
