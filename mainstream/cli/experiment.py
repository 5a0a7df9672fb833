"""``mainstream experiment``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mainstream.cli import options
from mainstream.cli.ending import keeping
from mainstream.cli.executor_options import AddressOption, ExecutorOption, Where, check, open_executor
from mainstream.cli.experiment_input import digest, read_input, words
from mainstream.cli.experiment_screen import print_comparison
from mainstream.cli.progress import Bar
from mainstream.errors import DeployError, ProblemError
from mainstream.files import naming
from mainstream.stream import capacity_of

if TYPE_CHECKING:
    from mainstream.experiments.experiment import Budget, Runtime
    from mainstream.experiments.points import Point
    from mainstream.experiments.versions import Version
    from mainstream.io import SolveOptions

_DEFAULT: Final = "mainstream,no-sharing,max-sharing,max-sharing-best"
_BOTH: Final = ("max-sharing", "max-sharing-best")
"""A comparison with one of them also includes the other: gains over the first shrink over the second."""

_EACH: Final = 10
"""A solve of no apps would take as long as this many apps add; measured in benchmarks/study.md."""


def command(
    num_apps: Annotated[int, typer.Argument(metavar="NUM_APPS", help="Up to so many apps.", show_default=False)],
    out_prefix: Annotated[
        Path, typer.Argument(metavar="OUT_PREFIX", help="What the files' names begin with.", show_default=False)
    ],
    apps: Annotated[
        Path | None,
        typer.Option(
            metavar="PROBLEM.yaml|DIR", help="Apps of a problem file, or of a folder of packages.", show_default=False
        ),
    ] = None,
    datasets: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,...", help="Take only these of the apps, by name or id.", show_default=False),
    ] = None,
    workloads: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="In place of apps: each line a workload.", show_default=False),
    ] = None,
    versions: options.Versions = _DEFAULT,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="B,B,...",
            help="Budgets, or N% of the way from the least useful to the most; else the file's.",
            show_default=False,
        ),
    ] = None,
    utilisation: Annotated[
        str | None,
        typer.Option(
            metavar="S,S,...",
            help="In place of budgets: shares of the profile's cores, each 0 to 1.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="f1|recall|precision", help="What to maximise; else f1 where the apps allow it.", show_default=False
        ),
    ] = None,
    agg: Annotated[str, typer.Option(metavar="mean|min", help="Over the apps: their mean, or the smallest.")] = "mean",
    x_vote: Annotated[
        str | None, typer.Option(metavar="X|auto", help="Votes for each app; else its own.", show_default=False)
    ] = None,
    combs: Annotated[
        bool, typer.Option("--combs", help="Take all combinations of NUM_APPS apps, not 1 to NUM_APPS in turn.")
    ] = False,
    combs_max_samples: Annotated[
        int | None, typer.Option(metavar="K", help="Take so many of them, drawn at random.", show_default=False)
    ] = None,
    combs_dry_run: Annotated[
        bool, typer.Option("--combs-dry-run", help="Print the ids that are not done and do nothing.")
    ] = False,
    seed: options.Seed = 0,
    trials: Annotated[int, typer.Option(metavar="T", help="How often each schedule is made, and run.")] = 1,
    method: options.Method = None,
    event_model: options.EventModel = None,
    gap: options.Gap = None,
    time_limit: options.TimeLimit = None,
    profile: options.ProfileFile = None,
    stream_fps: options.MaybeStreamFps = None,
    streamer: options.Streamers = None,
    local: options.Local = False,
    source: options.Sources = None,
    model_dir: options.MaybeModelDir = None,
    window: options.Window = 30,
    jobs: options.Jobs = 1,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
    executor: ExecutorOption = Where.LOCAL,
    address: AddressOption = None,
) -> None:
    """Compare ways to share on growing numbers of apps.

    Writes OUT_PREFIX.csv, and a file of the published form for each version. The same command goes on where it was
    interrupted. Where max-sharing is compared with, so is max-sharing-best, the best single chokepoint for the
    workload.

    --local and --streamer run each schedule, too. A folder of packages needs --profile; its camera has 10 frames a
    second unless --stream-fps says another rate.
    """
    from mainstream.cli import console
    from mainstream.cli.deploy import check_flags
    from mainstream.experiments.experiment import OWN, Budget, Plan, sweep
    from mainstream.experiments.sweep_files import SweepFiles
    from mainstream.files import check_target

    with naming("command line"):
        _check_numbers(num_apps, trials, 1 if jobs is None else jobs, combs_max_samples)
        compared = _versions(versions)
        if budget is not None and utilisation is not None:
            raise ProblemError("--budget and --utilisation say the same; give one of them")
        budgets = tuple(Budget.of(word) for word in words(budget))
        _check_workers(executor, address, jobs or 1, runtime=local or bool(streamer))
        if (combs_max_samples is not None or combs_dry_run) and not combs:
            raise ProblemError("--combs-max-samples and --combs-dry-run are for --combs; give it, too")
    check_flags(local, streamer, source, model_dir, None, window, in_file=True)
    check_target(out_prefix.with_name(out_prefix.name + ".csv"))

    read = read_input(apps, workloads, profile, stream_fps, words(datasets), store)
    flags = {
        "objective": metric,
        "aggregate": {"avg": "mean"}.get(agg, agg),
        "method": method or "auto",
        "event_model": event_model,
        "gap": gap or "1e-6",
        "time_limit": time_limit,
    }
    how = _options(flags, read.options, compared)
    points = read.points(num_apps, combs=combs, most=combs_max_samples, seed=seed, x_vote=x_vote)
    if utilisation is not None:
        budgets = _of_cores(utilisation, points)
    elif not budgets and "budget" in read.options:
        budgets = (Budget.of(repr(read.options["budget"])),)
    plan = Plan(compared, budgets, how, trials)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet)
    if read.cut is not None:
        errors.print(f"{workloads}: line {read.cut} is cut off; the {len(points):,} whole ones before it are used")

    places = _places(points, local, source if local else streamer)
    settings = {
        "NUM_APPS": num_apps,
        "apps": digest(points),
        "versions": [version.name for version in compared],
        "budget": [one.asked for one in budgets] or None,
        **how.given(),
        "x_vote": x_vote,
        "combs": combs,
        "combs_max_samples": combs_max_samples,
        "seed": seed if combs_max_samples else None,
        "trials": trials,
        "runtime": _what_runs(places, local, model_dir, window),
    }
    wanted = [(point, plan.keys(point)) for point in points]
    files = SweepFiles(out_prefix, compared, [one.asked for one in budgets] or [OWN.asked], settings)
    left = [(point, keys) for point, all_keys in wanted if (keys := [key for key in all_keys if key not in files.done])]
    if combs_dry_run:
        typer.echo("".join(f"{point.id}\n" for point, _ in left), nl=False)
        return
    runtime = _runtime(places, local, model_dir, window)
    # A runtime takes equally long for any schedule; without one, part of the time grows with the number of apps.
    weight = {point.id: 1 if runtime else _EACH + len(point.apps) for point in points}
    total, done = sum(weight[point.id] * len(keys) for point, keys in left), 0
    with files, Bar(errors, "experiment", quiet=quiet) as bar:
        try:
            with keeping(files.kept), open_executor(executor, address, jobs or 1) as workers:
                for row in sweep(left, plan, runtime=runtime, executor=workers):
                    files.add(row)
                    done += weight[row.id]
                    bar(done / total)
            files.in_order(key for _, keys in wanted for key in keys)
        except DeployError as error:
            raise DeployError(f"{error}; {files.kept()}") from None
    print_comparison(screen, [files.done[key] for _, keys in wanted for key in keys], files.tidy)


def _check_numbers(num_apps: int, trials: int, jobs: int, combs_max_samples: int | None) -> None:
    from mainstream.ranges import Range

    for name, number, most in (
        ("NUM_APPS", num_apps, 10_000),
        ("--trials", trials, 10**6),
        ("--jobs", jobs, 256),
        ("--combs-max-samples", combs_max_samples or 1, 10**6),
    ):
        Range(1, most, whole=True).check(name, number)


def _check_workers(executor: Where, address: str | None, jobs: int, *, runtime: bool) -> None:
    check(executor, address)
    if runtime and (jobs > 1 or executor is Where.RAY):
        raise ProblemError("--jobs, --executor ray: a runtime runs one schedule at a time; leave them out")
    if jobs > 1 and executor is Where.RAY:
        raise ProblemError("--jobs is for --executor local; a cluster has a worker for each CPU")


def _versions(given: str) -> tuple[Version, ...]:
    from mainstream.experiments.versions import Version

    versions = [Version.of(word) for word in words(given)]
    if not versions:
        raise ProblemError("--versions: there is none; at least one is needed")
    names = [version.name for version in versions]
    if set(names) & set(_BOTH):
        versions += [Version(name) for name in _BOTH if name not in names]
    return tuple(dict.fromkeys(versions))


def _of_cores(given: str, points: Iterable[Point]) -> tuple[Budget, ...]:
    """Shares of the cores that all the profiles say, as budgets."""
    from mainstream.experiments.experiment import Budget
    from mainstream.io import SolveOptions

    asked = [SolveOptions.of({"utilisation": word}, where="command line").given() for word in words(given)]
    if not asked:
        raise ProblemError("command line: --utilisation: there is none; at least one is needed")
    capacity = capacity_of(stream.model for point in points for stream in point.streams)
    if capacity is None:
        raise ProblemError(
            "command line: utilisation: all profiles have to say the same cores and unit 'ms'; give --budget instead"
        )
    return tuple(dict.fromkeys(Budget.of(f"{capacity * one['utilisation']:.12g}") for one in asked))


def _options(flags: Mapping[str, Any], of_file: Mapping[str, Any], versions: tuple[Version, ...]) -> SolveOptions:
    """How to solve: what the flags say, then what the problem file says; every version has to be able to do it."""
    from mainstream.io import SolveOptions
    from mainstream.solver.checks import check_how

    given = SolveOptions.of(flags, where="command line").given()
    what = {key: of_file[key] for key in ("memory_mb", "objective", "event_model") if key in of_file}
    options = SolveOptions(**(what | given))
    for version in versions:
        check_how(given["aggregate"], version.method or given["method"], given["gap"], options.time_limit)
    return options


def _places(points: list[Point], local: bool, given: list[str] | None) -> dict[str | None, str] | None:
    """Where each stream runs; None where nothing is run."""
    from mainstream.cli.stream_options import by_stream

    if not (local or given):
        return None
    with naming("command line"):
        return by_stream(
            "source" if local else "streamer", given, None, [stream for point in points for stream in point.streams]
        )


def _what_runs(places: Mapping[str | None, str] | None, local: bool, model_dir: Path | None, window: float) -> Any:
    """The runtime as a plain value, for the settings of an experiment."""
    place = places[None] if places and None in places else places
    return ["local", place, str(model_dir), window] if local else place


def _runtime(
    places: Mapping[str | None, str] | None, local: bool, model_dir: Path | None, window: float
) -> Runtime | None:
    """A function that opens the runtimes of one schedule: in this process, or where they are."""
    from mainstream.cli.runtimes import opened

    if places is None:
        return None
    here = {"model_dir": model_dir, "window_s": window} if local else None
    return lambda names: opened({name: places[name] for name in names}, here, {})
