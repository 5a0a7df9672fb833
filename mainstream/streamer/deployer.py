"""Whatever runs net plans, and what it tells of them: rates that were observed, compute that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.ranges import NON_NEGATIVE
from mainstream.streamer.compute import Compute
from mainstream.streamer.plan import NetPlan


class Observed(dict[int, float]):
    """`app_id` -> frames a second that the app analysed while the runtime measured.

    Attributes
    ----------
    plan : NetPlan
        What ran; with ``integer_fps`` not quite what was given.
    compute : Compute or None
        What the plan's parts took of a core meanwhile, measured.
    unmeasured : str or None
        Why there is no `compute`.

    Raises
    ------
    DeployError
        The apps or the parts are not those of the plan, or a rate is no finite number of at least 0.
    """

    def __init__(
        self,
        rates: Mapping[int, float],
        plan: NetPlan,
        compute: Compute | None = None,
        unmeasured: str = "the runtime does not tell it",
    ) -> None:
        if not isinstance(rates, Mapping):
            raise DeployError(
                f"observed rates: got {shown(rates)}; it has to be a mapping of app_id to frames a second"
            )
        wanted = plan.target_fps
        strange = [*(app for app in wanted if app not in rates), *(app for app in rates if app not in wanted)]
        if strange:
            which = "is not in the plan" if strange[0] in rates else "has no observed rate"
            raise DeployError(f"app {strange[0]} {which}; there has to be one rate for each app of the plan")
        for app, rate in rates.items():
            if not NON_NEGATIVE.holds(rate):
                raise DeployError(f"app {app}: observed rate {shown(rate)}; it has to be {NON_NEGATIVE.words()}")
        if compute is not None:
            try:
                compute.check(plan)
            except ProblemError as error:
                raise DeployError(f"compute: {error}") from None
        super().__init__({app: float(rates[app]) for app in wanted})
        self.plan = plan
        self.compute = compute
        self.unmeasured = None if compute is not None else unmeasured


class Deployer(Protocol):
    """Whatever can run a net plan and tell the frame rates that come of it."""

    def deploy(self, plan: NetPlan) -> Mapping[int, float]:
        """Run `plan`; return the observed frames a second of each app, an :class:`Observed` if another plan ran."""
        ...


class StreamsDeployer(Protocol):
    """Whatever can run the net plans of several streams at the same time."""

    def deploy(self, plans: Mapping[str, NetPlan]) -> Mapping[str, Mapping[int, float]]:
        """Run the plan of each stream, by its name; return the rates of each as a :class:`Deployer` does."""
        ...
