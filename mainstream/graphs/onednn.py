"""Whether TensorFlow computes with oneDNN's kernels: keeps what was measured to be faster on this machine.

TensorFlow decides by what the processor can do, and only once, when it is imported. So what ``mainstream profile``
finds (:mod:`mainstream.trainer.onednn`) is kept in a file of the user's, by processor, and holds from the next start
on. ``TF_ENABLE_ONEDNN_OPTS`` in the environment overrides it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.files import mapping, write_text

VARIABLE: Final = "TF_ENABLE_ONEDNN_OPTS"
_SETTINGS: Final = ("0", "1")


def kept_at() -> Path:
    """The file's path: ``$XDG_CACHE_HOME/mainstream/onednn.json``, or ``~/.cache/mainstream/onednn.json``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mainstream" / "onednn.json"


def use_kept() -> None:
    """Use what is kept for this processor, unless the environment has a setting already."""
    setting = _kept().get(processor())
    if setting in _SETTINGS:
        os.environ.setdefault(VARIABLE, setting)


def keep(setting: str) -> None:
    """Use a setting, "0" or "1", in this process, and keep it for this processor.

    Raises
    ------
    ProblemError
        The file cannot be written.
    """
    os.environ[VARIABLE] = setting
    path = kept_at()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProblemError(f"{path.parent} cannot be made: {error.strerror}") from None
    write_text(path, json.dumps({**_kept(), processor(): setting}, indent=1))


def _kept() -> Mapping[Any, Any]:
    try:
        return mapping(kept_at())
    except ProblemError:  # there is no file yet, or it is damaged: the next measurement writes it
        return {}


def processor() -> str:
    """The name of the machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
