"""Bring a fleet to its plans, some boxes at a time, and stop when too many have failed.

A box that runs its plan already is left alone, so running the same deployment again continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mainstream.errors import MainstreamError
from mainstream.fleet.boxes import Asked, Runtime, ask_all, send
from mainstream.streamer.deployer import Observed

State = Literal["deployed", "ran it already", "failed", "not begun"]
_LOOK_S: Final = 0.25


@dataclass(frozen=True)
class Outcome:
    """The outcome of a deployment on one box.

    Attributes
    ----------
    box : str
    state : str
    why : str or None
        Why it failed.
    observed : mapping of str to Observed
        Stream -> what was observed of its new plan.
    asked : tuple of Asked
        What the runtimes said before the deployment.
    """

    box: str
    state: State
    why: str | None = None
    observed: Mapping[str, Observed] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()

    @property
    def cores(self) -> float | None:
        """Measured core seconds a second of all plans of the box; None if that of one plan is not known."""
        told = {one.runtime.stream: one.status.core_s for one in self.asked if one.status is not None}
        told |= {name: None if one.compute is None else one.compute.cores for name, one in self.observed.items()}
        known = [one for one in told.values() if one is not None]
        return sum(known) if known and len(known) == len(self.asked) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; measured ones are under ``measured``."""
        return {
            "box": self.box,
            "state": self.state,
            "why": self.why,
            "measured": {
                "core_s": self.cores,
                "streams": {
                    name: {str(one.plan.app_id_of(number)): rate for number, rate in one.items()}
                    for name, one in self.observed.items()
                },
            },
        }


def deploy_fleet(
    runtimes: Sequence[Runtime],
    *,
    at_once: int,
    max_failures: int,
    timeout_s: float,
    ask_timeout_s: float,
    retries: int = 0,
    curve_keys: Path | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Ask all runtimes what they run, and send their plans to those that run something else.

    Parameters
    ----------
    runtimes : sequence of Runtime
        Box by box.
    at_once : int
        How many boxes get plans at the same time.
    max_failures : int
        After so many boxes have failed, no other box is started; boxes that could not be asked count as failed.
    timeout_s : float
        Seconds to wait for the answer to a plan, including the time in which the runtime measures.
    ask_timeout_s : float
        Seconds to wait for the answer to what runs.
    retries : int
        How often to resend a plan that got no answer.
    curve_keys : Path, optional
        As for :class:`~mainstream.streamer.StreamerClient`.
    progress : callable, optional
        Called with each box's outcome as soon as it is known.

    Returns
    -------
    list of Outcome
        One for each box, in the order given.
    """
    of_box: dict[str, list[Asked]] = {}
    for asked in ask_all(runtimes, timeout_s=ask_timeout_s, curve_keys=curve_keys):
        of_box.setdefault(asked.runtime.box, []).append(asked)
    outcomes: dict[str, Outcome] = {}

    def over(outcome: Outcome) -> None:
        outcomes[outcome.box] = outcome
        if progress is not None:
            progress(outcome)

    todo: list[tuple[str, list[Asked]]] = []
    for box, those in of_box.items():
        away = next((one for one in those if one.away is not None), None)
        if away is not None:
            over(Outcome(box, "failed", f"stream {away.runtime.stream}: {away.away}", asked=tuple(those)))
        elif all(one.state == "as planned" for one in those):
            over(Outcome(box, "ran it already", asked=tuple(those)))
        else:
            todo.append((box, those))

    def bring(box: str, those: list[Asked]) -> Outcome:
        wanting = [one.runtime for one in those if one.state != "as planned"]
        try:
            observed = send(wanting, timeout_s=timeout_s, retries=retries, curve_keys=curve_keys)
        except MainstreamError as error:
            return Outcome(box, "failed", str(error), asked=tuple(those))
        return Outcome(box, "deployed", observed=observed, asked=tuple(those))

    _some_at_a_time(todo, bring, over, at_once, lambda: _failed(outcomes) < max_failures)
    for box, those in todo:
        if box not in outcomes:
            over(Outcome(box, "not begun", asked=tuple(those)))
    return [outcomes[box] for box in of_box]


def _failed(outcomes: Mapping[str, Outcome]) -> int:
    return sum(one.state == "failed" for one in outcomes.values())


def _some_at_a_time(
    todo: Sequence[tuple[str, list[Asked]]],
    bring: Callable[[str, list[Asked]], Outcome],
    over: Callable[[Outcome], None],
    at_once: int,
    go_on: Callable[[], bool],
) -> None:
    """Bring boxes to their plans, `at_once` at a time, while `go_on` is true; wait for all that were started."""
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="mainstream-deploy")
    waiting, running = list(todo), set[Future[Outcome]]()
    try:
        while running or (waiting and go_on()):
            while waiting and len(running) < at_once and go_on():
                running.add(pool.submit(bring, *waiting.pop(0)))
            done, running = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            for one in done:
                over(one.result())
    finally:
        pool.shutdown(cancel_futures=True)
