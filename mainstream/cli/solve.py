"""``mainstream solve``."""


def command() -> None:
    """Choose sharing and frame rate for each app of a problem."""
