"""``mainstream deploy``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.cli.plan import Budget, IntegerFps, plan_of_problem
from mainstream.cli.problem_file import ProblemFile, StoreUrl, ask
from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.ranges import SECONDS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from mainstream.scheduler import Observation, Round
    from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient


def command(
    problem: ProblemFile,
    streamer: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Where Streamer listens; else tcp://localhost:5555.", show_default=False
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Run the plans in this process, on --source with the models in -m.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URI", help="For --local: a clip, rtsp://, /dev/videoN, test://.", show_default=False
        ),
    ] = None,
    model_dir: Annotated[
        Path | None,
        typer.Option("-m", "--model-dir", metavar="DIR", help="For --local: folder of the models.", show_default=False),
    ] = None,
    budget: Budget = None,
    once: Annotated[bool, typer.Option("--once", help="One round, whatever rates are observed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the first plan as JSON and send nothing.")] = False,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Save the rounds as JSON; - is stdout, with nothing else on it.", show_default=False
        ),
    ] = None,
    integer_fps: IntegerFps = False,
    window: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long is measured; a Streamer's own window, to count it down.")
    ] = 30,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for an answer.")] = 60,
    retries: Annotated[
        int, typer.Option(metavar="N", help="Send a plan without an answer so often again; it may run twice.")
    ] = 0,
    curve_keys: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keys for a Streamer that answers known clients only; see streamer-keys.",
            show_default=False,
        ),
    ] = None,
    store: StoreUrl = None,
) -> None:
    """Solve, run the plan on a Streamer, solve again with what the observed rates cost.

    Ends when target and observed cost differ by less than a fifth of the target, after 10 rounds, or when going on is
    of no use; the last line says which.
    """
    if dry_run:
        if json is not None:
            raise ProblemError("command line: --dry-run prints the plan and has no rounds to save; leave --json out")
        plan = plan_of_problem(problem, budget, store)
        typer.echo((plan.with_integer_fps() if integer_fps else plan).to_json())
        return

    check_flags(local, streamer, source, model_dir, curve_keys, window)
    from mainstream.cli import console
    from mainstream.files import write_text
    from mainstream.result_text import plain_console
    from mainstream.scheduler import Scheduler
    from mainstream.streamer import LocalRunner, StreamerClient
    from mainstream.streamer.client import DEFAULT_ADDRESS

    asked = ask(problem, {"budget": budget}, store=store)
    asked.needs_budget()
    described = asked.problem
    options = dict(asked.options)
    first_budget = options.pop("budget")
    errors = plain_console(stderr=True)
    console.show_warnings(errors, quiet=False)
    unit = f" {described.model.unit}/s" if described.model.unit else ""
    deployer: LocalRunner | StreamerClient
    with naming("command line"):
        if source is not None and model_dir is not None:
            deployer = LocalRunner(source, model_dir, window_s=window)
        else:
            deployer = StreamerClient(streamer or DEFAULT_ADDRESS, timeout, retries, curve_keys=curve_keys)
    with deployer:
        out = None if json == "-" else plain_console()
        shown = _Shown(deployer, out, errors, window, unit, integer_fps=integer_fps)
        with naming(problem):
            scheduler = Scheduler(
                described.apps,
                described.model,
                described.video,
                deployer=shown,
                max_rounds=1 if once else 10,
                **options,
            )
            try:
                history = scheduler.run(first_budget, progress=shown.round)
            except KeyboardInterrupt:
                from mainstream.cli.exit_codes import INTERRUPTED

                left = "; the last plan may go on running" if shown.rounds and not local else ""
                errors.print(f"mainstream: interrupted{left}")
                raise typer.Exit(INTERRUPTED) from None
    if json == "-":
        typer.echo(history.to_json())
        return
    if not once:
        typer.echo(f"ended      {history.reason}, after {len(history)} round{'' if len(history) == 1 else 's'}")
    if json is not None:
        write_text(Path(json), history.to_json() + "\n")


def check_flags(
    local: bool,
    streamer: str | None,
    source: str | None,
    model_dir: Path | None,
    curve_keys: Path | None,
    window: float,
) -> None:
    """Refuse flags of a runtime that do not go together."""
    with naming("command line"):
        SECONDS.check("--window", window)
        if local and streamer is not None:
            raise ProblemError("--local and --streamer are two places to run at; give one of them")
        if local and (source is None or model_dir is None):
            raise ProblemError("--local needs --source and -m, the video and the folder of the models")
        if not local and (source is not None or model_dir is not None):
            raise ProblemError("--source and -m are for --local; a Streamer has its own")
        if local and curve_keys is not None:
            raise ProblemError("--curve-keys is for a Streamer; with --local there is nobody to keep out")


class _Shown:
    """A deployer that shows each plan, the wait for its rates, and the round that came of it.

    Parameters
    ----------
    out : Console or None
        None shows the wait only.
    """

    def __init__(
        self,
        deployer: LocalRunner | StreamerClient,
        out: Console | None,
        errors: Console,
        window: float,
        unit: str,
        *,
        integer_fps: bool,
    ) -> None:
        self._deployer = deployer
        self._integer_fps = integer_fps
        self._out = out
        self._errors = errors
        self._window = window
        self._unit = unit
        self.rounds = 0

    def deploy(self, plan: NetPlan) -> Observed:
        self.rounds += 1
        if self._integer_fps:
            plan = plan.with_integer_fps()
        if self._out is not None:
            self._out.print(f"round {self.rounds}")
            self._out.print(plan.tree())
        with self._waiting():
            return self._deployer.deploy(plan)

    def round(self, one: Round) -> None:
        if self._out is None:
            return
        from mainstream.result_text import LISTED

        self._out.print(_table(one, one.apps[:LISTED], self._out.width))
        if len(one.apps) > LISTED:
            self._out.print(f"... and {len(one.apps) - LISTED:,} more apps")
        if one.result.left_out:
            self._out.print(f"left out   {len(one.result.left_out):,} optional apps")
        self._out.print(
            f"cost       predicted {one.target_cost:.6g}, at observed {one.observed_cost:.6g}{self._unit} "
            f"({one.deviation:+.1%}), budget {one.budget:.6g}"
        )

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        from rich.console import Group
        from rich.live import Live
        from rich.spinner import Spinner

        from mainstream.cli.rates import rates_of
        from mainstream.streamer import StreamerClient

        if not self._errors.is_terminal:
            self._errors.print(f"waiting for the observed rates, about {self._window:g} s")
            yield
            return
        started = monotonic()
        spinner = Spinner("line")

        def look() -> RenderableType:
            left = self._window - (monotonic() - started)
            spinner.update(text=f"measuring, {math.ceil(left)} s left" if left > 0 else "waiting for the answer")
            return spinner if isinstance(self._deployer, StreamerClient) else Group(rates_of(self._deployer), spinner)

        with Live(console=self._errors, get_renderable=look, transient=True, refresh_per_second=8):
            yield


def _table(one: Round, listed: tuple[Observation, ...], width: int) -> Table:
    """Target against observed for the `listed` apps; names are cut to keep within `width` columns, numbers never."""
    from rich.table import Table
    from rich.text import Text

    metric = one.result.metric
    headings = ["app", "target fps", "observed", f"predicted {metric}", "at observed"]
    choices = {choice.app_id: choice for choice in one.result.choices}
    rows = [_cells(seen, getattr(choices[seen.app_id], metric), getattr(seen, metric)) for seen in listed]
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


def _cells(seen: Observation, target: float, observed: float) -> list[str]:
    return [str(seen.app_id), f"{seen.target_fps:g}", f"{seen.observed_fps:.4g}", f"{target:.4f}", f"{observed:.4f}"]
