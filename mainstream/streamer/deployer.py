"""What runs net plans, and what it reports of them: the observed rates and the measured compute."""

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
        The plan that ran; ``integer_fps`` rounds the rates of the one that was given.
    compute : Compute or None
        What the plan's parts took of a core meanwhile, as measured.
    unmeasured : str or None
        Why there is no `compute`.

    Raises
    ------
    DeployError
        The apps or the parts are not those of the plan, or a rate is not a finite number of at least 0.
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
    """Anything that can run a net plan and report the frame rates that come of it."""

    def deploy(self, plan: NetPlan) -> Mapping[int, float]:
        """Run `plan`; return each app's observed frames a second, as an :class:`Observed` if another plan ran."""
        ...


class StreamsDeployer(Protocol):
    """Anything that can run the net plans of several streams at the same time."""

    def deploy(self, plans: Mapping[str, NetPlan]) -> Mapping[str, Mapping[int, float]]:
        """Run each stream's plan, given by the stream's name; return the rates of each as a :class:`Deployer` does."""
        ...
