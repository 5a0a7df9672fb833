"""How much of a core each part of a plan took: the second request on Streamer's wire, and its answer.

A runtime that measures this says so in ZeroMQ's handshake: its socket has the routing id `TELLS`, which a client finds
beside the answer to its plan. So a Streamer that does not measure it is never asked, and its wire stays as it was.
The request is ``{"compute": {}}``, on the connection on which the plan was answered. The answer is

    {"compute": {"window_s": 30.0, "parts": [{"net_id": 0, "runs": 300, "core_s": 1.25}, ...]}}

or one line that begins with ``error: ``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Final, Self

from mainstream.description import Description, shown
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming
from mainstream.ranges import SECONDS, THREADS, NonNegative, Whole
from mainstream.streamer.plan import NetPlan

TELLS: Final = b"mainstream-compute-1"
"""Routing id of a runtime that answers the second request."""
REQUEST: Final = b'{"compute": {}}'
_LONGEST_REQUEST: Final = 64
"""Bytes; anything longer is a plan, and reading it here would hold up the server's loop."""
_MOST_CORES: Final = THREADS.high

_Window = Annotated[float, replace(SECONDS, high=1e6)]


class PartCompute(Description):
    """The compute that one part of a plan took.

    Parameters
    ----------
    net_id : int
        Its place in the plan.
    runs : int
        Number of frames on which it ran.
    core_s : float
        Seconds of a core that these runs took together.
    """

    net_id: Whole
    runs: Whole
    core_s: NonNegative


class Compute(Description):
    """The compute that the parts of a plan took while it was measured.

    Parameters
    ----------
    window_s : float
        Seconds for which it was measured.
    parts : tuple of PartCompute
        In the order of the plan.
    """

    window_s: _Window
    parts: tuple[PartCompute, ...]

    @property
    def cores(self) -> float:
        """Seconds of a core a second, of all parts together."""
        return sum(part.core_s for part in self.parts) / self.window_s

    def to_json(self) -> str:
        """The answer to send; :meth:`from_json` reads it back, equal."""
        return json.dumps({"compute": self.model_dump()})

    @classmethod
    def from_json(cls, text: str, plan: NetPlan) -> Self:
        """What a runtime answered for the `plan` that it measured.

        Raises
        ------
        ProblemError
            The text is not such an answer, its parts are not those of the plan, or a value is impossible.
        """
        given = json_values(text)
        if not isinstance(given, dict) or list(given) != ["compute"]:
            raise ProblemError(f"got {shown(given)}; it has to be an object with 'compute'")
        compute = cls.of(given["compute"], where="compute")
        compute.check(plan)
        return compute

    def check(self, plan: NetPlan) -> None:
        """Refuse figures that cannot belong to this plan, or that no machine can reach.

        Raises
        ------
        ProblemError
            The parts are not those of the plan, or took more than any machine has.
        """
        if len(self.parts) != len(plan.subnets):
            raise ProblemError(f"it has {len(self.parts)} parts, but the plan has {len(plan.subnets)}")
        for place, part in enumerate(self.parts):
            if part.net_id != place:
                raise ProblemError(f"it has net {part.net_id} in place {place}; the order has to be the plan's")
            with naming(f"net {place}"):
                _check_possible(part, self.window_s)


def asks_compute(request: bytes) -> bool:
    """Whether a request is this second one, not a plan."""
    if len(request) > _LONGEST_REQUEST:
        return False
    try:
        asked: Any = json.loads(request)
    except (ValueError, RecursionError):
        return False
    return bool(asked == {"compute": {}})


def _check_possible(part: PartCompute, window_s: float) -> None:
    if part.core_s > _MOST_CORES * window_s:
        raise ProblemError(f"core_s {part.core_s:g} is more than {_MOST_CORES:g} cores have in {window_s:g} s")
    if part.core_s and not part.runs:
        raise ProblemError(f"core_s {part.core_s:g} without a run")
