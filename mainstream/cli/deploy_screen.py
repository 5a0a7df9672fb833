"""What ``mainstream deploy`` shows: each plan, the wait for its rates, and the round that followed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mainstream.cli.console import of_box
from mainstream.cli.plan import written
from mainstream.cli.rates import rates_of
from mainstream.correction import LARGEST_FACTOR, LEAST_RUNS, MeasuredPart
from mainstream.history import Observation, Round
from mainstream.result_text import LISTED
from mainstream.stream import unit_of
from mainstream.streamer import NetPlan, StreamerClient
from mainstream.streamer.together import Together

if TYPE_CHECKING:
    from mainstream.problem import Model
    from mainstream.streamer import LocalRunner


class Shown:
    """A deployer that shows each plan, the wait for its rates, and the round that followed.

    Parameters
    ----------
    out : Console
        Shows the rounds.
    errors : Console
        Shows the wait, unless `quiet`.
    models : sequence of Model
        Say the unit of compute, and the cores of the box.
    """

    def __init__(
        self,
        deployer: LocalRunner | StreamerClient | Together,
        out: Console,
        errors: Console,
        window: float,
        models: Sequence[Model],
        *,
        integer_fps: bool,
        quiet: bool,
    ) -> None:
        self._deployer = deployer
        self._integer_fps = integer_fps
        self._out = out
        self._quiet = quiet
        self.errors = errors
        self._window = window
        self._models = models
        self.rounds = 0

    def deploy(self, plan: Any) -> Any:
        """Run a plan, or those of several streams by their names."""
        self.rounds += 1
        plans = {None: plan} if isinstance(plan, NetPlan) else dict(plan)
        if self._integer_fps:
            plans = {name: one.with_integer_fps() for name, one in plans.items()}
        self._out.print(f"round {self.rounds}")
        self._out.print(written(plans, tree=True, integer_fps=False))
        with self._waiting():
            deploy: Callable[[Any], Any] = self._deployer.deploy
            return deploy(plans.get(None, plans))

    def round(self, one: Round) -> None:
        self._out.print(_table(one, one.apps[:LISTED], self._out.width))
        if len(one.apps) > LISTED:
            self._out.print(f"... and {len(one.apps) - LISTED:,} more apps")
        if one.result.left_out:
            self._out.print(f"left out   {len(one.result.left_out):,} optional apps")
        said = unit_of(self._models)
        unit = f" {said}/s" if said else ""
        self._out.print(
            f"cost       predicted {one.predicted_cost:.6g}{unit}, at the observed rates "
            f"{one.predicted_cost_at_observed:.6g} ({one.deviation:+.1%})",
            f"budget     {one.budget:.6g}{unit}",
            sep="\n",
        )
        share = of_box(one.predicted_cost, self._models)
        if share is not None:
            self._out.print(f"of the box {share}, predicted")
        if one.measured is None:
            self._out.print(f"compute    not measured: {one.unmeasured}", markup=False)
            return
        about = f"; {why_uncorrected(one)}" if one.factor is None else f", {one.factor:.3f} of what was predicted"
        self._out.print(f"compute    measured {one.measured.compute:.6g} ms/s{about}")
        for name, measured in (one.measured.streams or {"": one.measured}).items():
            if name:
                self._out.print(f"{name}: {measured.compute:.6g} ms/s", markup=False)
            self._out.print(_parts(measured.parts[:LISTED]))
            if len(measured.parts) > LISTED:
                self._out.print(f"... and {len(measured.parts) - LISTED:,} more parts")

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        if self._quiet:
            yield
            return
        if not self.errors.is_terminal:
            self.errors.print(f"waiting for the observed rates, about {self._window:g} s")
            yield
            return
        started = monotonic()
        spinner = Spinner("line")

        def look() -> RenderableType:
            left = self._window - (monotonic() - started)
            spinner.update(text=f"measuring, {math.ceil(left)} s left" if left > 0 else "waiting for the answer")
            runtimes = self._deployer.runtimes if isinstance(self._deployer, Together) else {"": self._deployer}
            here = {name: one for name, one in runtimes.items() if not isinstance(one, StreamerClient)}
            return Group(*(part for name, one in here.items() for part in (Text(name), rates_of(one))), spinner)

        with Live(console=self.errors, get_renderable=look, transient=True, refresh_per_second=8):
            yield


def _table(round_: Round, listed: tuple[Observation, ...], width: int) -> Table:
    """Target and observed rates of the `listed` apps. Names are cut to keep within `width` columns; numbers never."""
    metric = round_.result.metric
    headings = ["app", "target fps", "observed", f"predicted {metric}", "at observed fps"]
    choices = {choice.app_id: choice for choice in round_.result.choices}
    rows = [
        _cells(seen, getattr(choices[seen.app_id], metric), getattr(seen, f"predicted_{metric}")) for seen in listed
    ]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading, needed in zip(headings, widths, strict=True):
        table.add_column(heading, justify="right", no_wrap=True, min_width=needed)
        if heading == "app":
            left = max(8, width - sum(widths) - len(widths))
            table.add_column("name", max_width=left, no_wrap=True, overflow="ellipsis")
    for seen, (app_id, *numbers) in zip(listed, rows, strict=True):
        table.add_row(app_id, Text(seen.name or ""), *numbers)
    return table


def _cells(seen: Observation, at_target: float, at_observed: float) -> list[str]:
    return [
        str(seen.app_id),
        f"{seen.target_fps:g}",
        f"{seen.observed_fps:.4g}",
        f"{at_target:.4f}",
        f"{at_observed:.4f}",
    ]


def _parts(parts: tuple[MeasuredPart, ...]) -> Table:
    """What each part took for a frame, next to the profile, and the factor by which the profile is corrected there."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("layers", "app", "frames", "measured ms", "predicted ms", "factor"):
        table.add_column(heading, justify="right", no_wrap=True, max_width=24 if heading == "app" else None)
    for part in parts:
        each = 1000 / part.runs if part.runs else 0.0
        predicted = "" if part.predicted_core_s is None else f"{part.predicted_core_s * each:.3f}"
        table.add_row(
            f"{part.start} to {part.stop}",
            "shared" if part.app_id is None else Text(str(part.app_id)),
            str(part.runs),
            f"{part.measured_core_s * each:.3f}",
            predicted,
            "" if part.factor is None else f"{part.factor:.3f}",
        )
    return table


def why_uncorrected(one: Round) -> str:
    """Why the profile was not corrected by what a round measured."""
    if one.measured is None:
        return f"compute was not measured: {one.unmeasured}"
    if all(part.predicted_core_s is None for part in one.measured.parts):
        return "the unit of the profile is not ms"
    return (
        f"no part ran {LEAST_RUNS} times and took 1/{LARGEST_FACTOR:g} to {LARGEST_FACTOR:g} times what was predicted"
    )
