"""What a runtime runs: the third request on Streamer's wire, and its answer.

The request is ``{"status": {}}``, on any connection and at any time, also while another client's plan is deployed. It
changes nothing. A client sends it only to a runtime that has the routing id of compute.py. A runtime that is older than
this request answers with ``error: ``, as it answers anything that is not a plan.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, StrictBool

from mainstream.description import Description, shown
from mainstream.errors import ProblemError
from mainstream.files import json_values
from mainstream.ranges import NonNegative, Positive, TargetFps, Whole
from mainstream.streamer.requests import MOST_NETS, one_line

if TYPE_CHECKING:
    from mainstream.streamer.compute import Compute
    from mainstream.streamer.runner import LocalRunner

REQUEST: Final = b'{"status": {}}'
_LONGEST_REQUEST: Final = 64
"""Bytes; anything longer is a plan, and reading it here would hold up the server's loop."""
_LONGEST_TEXT: Final = 1_000


class AppStatus(Description):
    """How one app runs.

    Parameters
    ----------
    app_id : int
        Its number on the wire.
    target_fps, observed_fps : float
        Frames a second that it should analyse, and that it did analyse in the last 10 s.
    stopped : bool
        It failed too often in a row and no longer runs.
    """

    app_id: Whole
    target_fps: TargetFps
    observed_fps: NonNegative
    stopped: StrictBool = False


class Status(Description):
    """What a runtime runs.

    Parameters
    ----------
    plan : str, optional
        :attr:`mainstream.streamer.NetPlan.digest` of the plan that runs; None if none does.
    apps : tuple of AppStatus
        In the order of the plan.
    core_s : float, optional
        Seconds of a core a second that the plan took when it was measured last; None if that is unknown.
    window_s : float, optional
        Seconds for which that was measured.
    deploying : bool
        Whether a plan is being loaded or measured.
    trouble : str, optional
        What is wrong there.
    """

    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    apps: Annotated[tuple[AppStatus, ...], Field(max_length=MOST_NETS)] = ()
    core_s: NonNegative | None = None
    window_s: Positive | None = None
    deploying: StrictBool = False
    trouble: Annotated[str, Field(max_length=_LONGEST_TEXT)] | None = None

    @classmethod
    def of_runner(cls, runner: LocalRunner, took: tuple[str, Compute] | None, *, deploying: bool) -> Self:
        """What a runner runs.

        Parameters
        ----------
        runner : LocalRunner
        took : (str, Compute) or None
            Digest of the plan that was measured last, and its compute.
        deploying : bool
        """
        plan = runner.plan
        troubles = runner.troubles()
        compute = took[1] if plan is not None and took is not None and took[0] == plan.digest else None
        return cls(
            plan=None if plan is None else plan.digest,
            apps=tuple(
                AppStatus(
                    app_id=rate.app_id,
                    target_fps=rate.target_fps,
                    observed_fps=rate.observed_fps,
                    stopped=rate.stopped,
                )
                for rate in ([] if plan is None else runner.rates())
            ),
            core_s=None if compute is None else compute.cores,
            window_s=None if compute is None else compute.window_s,
            deploying=deploying,
            trouble=one_line(troubles[0]) if troubles else None,
        )

    def to_json(self) -> str:
        """The answer to send; :meth:`from_json` reads it back, equal."""
        return json.dumps({"status": self.model_dump(exclude_none=True)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What a runtime answered; unknown keys, which a later release may add, are ignored.

        Raises
        ------
        ProblemError
            The text is not such an answer.
        """
        given = json_values(text)
        if not isinstance(given, dict) or not isinstance(given.get("status"), dict):
            raise ProblemError(f"got {shown(given)}; it has to be an object with 'status'")
        keys = {key: given["status"][key] for key in cls.model_fields if key in given["status"]}
        return cls.of(keys, where="status")


def asks_status(request: bytes) -> bool:
    """Whether a request asks what runs, and is not a plan."""
    if len(request) > _LONGEST_REQUEST:
        return False
    try:
        return bool(json.loads(request) == {"status": {}})
    except (ValueError, RecursionError):
        return False
