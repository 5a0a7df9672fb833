"""``python -m mainstream`` is the command ``mainstream``."""

from mainstream.cli import main

main()
