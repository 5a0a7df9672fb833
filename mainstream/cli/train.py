"""``mainstream train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from mainstream.cli import options
from mainstream.cli.ending import keeping
from mainstream.cli.executor_options import AddressOption, ExecutorOption, Where, check, open_executor
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.package import as_plain
from mainstream.cli.progress import Bar
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from rich.console import Console

    from mainstream.formats.package import Package
    from mainstream.store import Store
    from mainstream.trainer.training import Training, TrainingProgress

_MODEL_DIR: Final = Path("packages")
_LOG_DIR: Final = Path("logs")
_OPTION_OF: Final = {"max_nb_epoch": "--epochs", "n": "--size", "warm_start": "--cold"}
"""Settings whose options have a different name."""


class Command(TyperCommand):
    """Says of a setting that is no option where it goes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from mainstream.trainer.settings import Settings

        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            given = getattr(error, "option_name", "")
            key = given.lstrip("-").replace("-", "_")
            if key not in Settings.model_fields:
                raise
            option = f"{_OPTION_OF[key]}, or " if key in _OPTION_OF else ""
            raise ProblemError(
                f"train: {given} is no option, but a setting; give {option}{key} in --config FILE"
            ) from None


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the app and its package.", show_default=False)],
    published: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG MODEL_DIR LOG_DIR CHOKEPOINTS IMAGES TEST_IMAGES]",
            help="The published client's arguments in its order, in place of the options.",
            show_default=False,
        ),
    ] = None,
    images: options.MaybeImages = None,
    model_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the package's folder, NAME, goes.", show_default=str(_MODEL_DIR)),
    ] = None,
    log_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where NAME-accuracy, the history and the cache go.", show_default=str(_LOG_DIR)
        ),
    ] = None,
    test_images: options.TestImages = None,
    groups: options.Groups = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings: INI with [finetune-config], or YAML. Options go first.",
            show_default=False,
        ),
    ] = None,
    chokepoints: Annotated[
        str | None,
        typer.Option(
            metavar="mobilenets|inception|resnet|auto|N|K,K,...",
            help="Where to train: a published list, each block's end, every 5th layer up to N, or these num_frozen.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="The most epochs at each chokepoint.", show_default="20, or what --config says"),
    ] = None,
    net: options.MaybeNet = None,
    size: options.Size = None,
    weights: options.MaybeWeights = None,
    event_class: options.EventClass = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Train on this part of each image, in shares of it; the app then sees this part of frames.",
            show_default=False,
        ),
    ] = None,
    batch_norm: Annotated[
        bool | None,
        typer.Option("--batch-norm", help="Train batch norm, too, behind the chokepoint.", show_default=False),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Begin each tail from the base network.")] = False,
    seed: options.MaybeSeed = None,
    cache_gb: Annotated[float, typer.Option(help="Disk that activations may take; others are computed anew.")] = 8,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Keep models that share less than a more accurate one, too.")
    ] = False,
    formats: Annotated[
        str, typer.Option(metavar="pb|pb,onnx", help="Write each model as ONNX, too: for --engine onnx.")
    ] = "pb",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was interrupted.")] = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
    executor: ExecutorOption = Where.LOCAL,
    address: AddressOption = None,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0,
    server: options.MaybeServer = None,
) -> None:
    """Train an app from images: its accuracy curve and its package.

    There is a model for each num_frozen: the layers before it stay as in the base network, the others are fine-tuned,
    with early stopping on a part of the images, and measured once on the test images.

    The event class, whose true and false positive rates are measured, is the class called NAME unless --event-class
    names another; groups.csv in --images counts as --groups. The network is mobilenetv2 with the weights of imagenet
    unless a flag or --config says otherwise. With --store the package is pushed there, too.

    --server queues the training on a training server, which has to see the folders by the same names. There, and with
    --executor ray, --cpus and --gpus are what the job or each task gets.
    """
    from mainstream.cli import console
    from mainstream.labelling.frames import GROUPS
    from mainstream.trainer.fitting import Apart
    from mainstream.trainer.settings import load_settings
    from mainstream.trainer.training import check_name, train

    if published:
        config, model_dir, log_dir, chokepoints, images, test_images = _published(context, published)
    given: dict[str, Any] = {
        "chokepoints": chokepoints,
        "max_nb_epoch": epochs,
        "net": net,
        "n": size,
        "weights": weights,
        "event_class": event_class,
        "region": region,
        "batch_norm": batch_norm,
        "warm_start": False if cold else None,
        "seed": seed,
    }
    if images is None:
        raise ProblemError(
            "train: --images is needed, a folder with a subfolder of images for each class; or the six published "
            "arguments"
        )
    check_name(name)
    model_dir, log_dir = model_dir or _MODEL_DIR, log_dir or _LOG_DIR
    if groups is None and not published and (images / GROUPS).is_file():
        groups = images / GROUPS
    check(executor, address)
    if server is not None:
        if json is not None:
            raise ProblemError("train: --json is for a training from here, which is waited for; leave it out")
        paths: dict[str, Any] = {"config": config, "images": images, "model_dir": model_dir, "log_dir": log_dir}
        paths |= {"test_images": test_images, "groups": groups, "chokepoints": chokepoints}
        _queue(context, server, name, paths, 1 if cpus is None else cpus, gpus or 0)
        return
    check_json(json)
    in_store = _store(store, name)
    settings = {} if published or not (images / name).is_dir() else {"event_class": name}
    settings |= load_settings(config) if config is not None else {}
    settings |= {key: value for key, value in given.items() if value is not None}
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    kept = f"the chokepoints of {name} that were trained are kept, --resume goes on"
    with keeping(lambda: kept), Bar(errors, "reading", quiet=quiet) as bar:
        stage = "reading"

        def show(progress: TrainingProgress) -> None:
            nonlocal stage
            if progress.stage != stage:
                stage = progress.stage
                bar.next(stage)
            text = stage
            if progress.epoch is not None:
                text = (
                    f"num_frozen {progress.num_frozen}, epoch {progress.epoch.epoch}, "
                    f"validation accuracy {progress.epoch.validation_accuracy:.3f}"
                )
            bar(progress.done, text)

        with open_executor(executor, address) as workers:
            done = train(
                name,
                images,
                model_dir=model_dir,
                log_dir=log_dir,
                test_images=test_images,
                groups=groups,
                settings=settings,
                cache_gb=cache_gb,
                keep_all=keep_all,
                resume=resume,
                formats=[one.strip() for one in formats.split(",")],
                apart=None if workers is None else Apart(workers, cpus or 1, gpus or 0),
                progress=show,
            )
    _show(screen, done)
    plain = _plain(done)
    if in_store is not None:
        version = in_store.push(done.folder).version
        plain |= {"version": version.number, "store": str(in_store)}
        screen.print(f"pushed     {version} to {in_store}")
    put_json(lambda: plain, json)


def _published(context: typer.Context, given: list[str]) -> tuple[Path, Path, Path, str, Path, Path]:
    """The published client's arguments. Its indices are a list of chokepoints, given by its name or its last number."""
    keys = ("config", "model_dir", "log_dir", "chokepoints", "images", "test_images")
    if len(given) != len(keys):
        raise ProblemError(
            f"train: NAME has {len(given)} arguments behind it; it has to have none, or CONFIG MODEL_DIR LOG_DIR "
            "CHOKEPOINTS IMAGES TEST_IMAGES"
        )
    for key in keys:
        if context.params[key] is not None:
            raise ProblemError(f"train: --{key.replace('_', '-')} and the published arguments both say it; give one")
    config, model_dir, log_dir, chokepoints, images, test_images = given
    return Path(config), Path(model_dir), Path(log_dir), chokepoints, Path(images), Path(test_images)


def _queue(context: typer.Context, server: str, name: str, paths: dict[str, Any], cpus: int, gpus: float) -> None:
    """Queue the same command, with absolute paths, on a server."""
    from mainstream.executors.jobs import Jobs

    values = context.params | paths | {"published": None, "server": None, "name": None, "cpus": None, "gpus": None}
    if values["executor"] is Where.RAY:
        raise ProblemError("train: --executor ray is for a training from here; a server's job runs on one machine")
    words = ["mainstream", "train", name]
    for parameter in context.command.params:
        value = values.get(parameter.name or "")
        if value is None or value == parameter.default:
            continue
        if isinstance(value, bool):
            words.append(parameter.opts[0])
        else:
            whole = isinstance(value, Path) or (isinstance(value, str) and Path(value).is_file())
            words += [parameter.opts[0], str(Path(value).absolute() if whole else value)]
    job = Jobs(server).submit(name, words, cpus, gpus)
    typer.echo(f"queued     {job}")
    typer.echo(f"follow     mainstream train-jobs follow {job} --server {server}")


def _store(url: str | None, name: str) -> Store | None:
    """The store that gets the package; it is checked to be there before the training."""
    if url is None:
        return None
    from mainstream.store import open_store

    store = open_store(url)
    store.check(name)
    return store


def _tested(package: Package) -> str:
    """How many images the curve was measured on."""
    tested = package.tested
    if tested is None:
        return "a number of images that is not known"
    if package.event_class is None:
        return f"{tested.accuracy} images"
    total = tested.accuracy + tested.false_positive_rate
    return f"{total} images: {tested.accuracy} of {package.event_class}, {tested.false_positive_rate} others"


def _plain(done: Training) -> dict[str, Any]:
    """The curve, the num_frozen whose models are kept, and how long each was trained, in plain values."""
    trained = {
        k: {"epochs": history[-1].epoch, "seconds": sum(epoch.seconds for epoch in history)}
        for k, history in sorted(done.histories.items())
    }
    plain = as_plain(done.package, done.curve) | {"kept": list(done.package.models)}
    return {**plain, "trained": trained, "folder": str(done.folder)}


def _show(console: Console, done: Training) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("num_frozen", justify="right", no_wrap=True)
    rate = "true positive" if done.package.event_class is not None else "accuracy"
    for heading in (rate, "false positive", "epochs", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True)
    rates = done.curve.false_positive_rates or {}
    for k in sorted(done.curve.accuracies):
        history = done.histories[k]
        cells = [
            str(k),
            f"{done.curve.accuracies[k]:.4f}",
            f"{rates[k]:.4f}",
            str(history[-1].epoch),
            f"{sum(epoch.seconds for epoch in history):.1f}",
            done.package.models.get(k, "-"),
        ]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    if any(k not in done.package.models for k in done.curve.accuracies):
        console.print("-          no model: another shares more layers and is as accurate (--keep-all keeps all)")
    console.print(f"measured   on {_tested(done.package)}")
    console.print(f"classes    {', '.join(done.package.classes)}")
    if done.package.event_class is not None:
        console.print(f"event      {done.package.event_class}")
    console.print(f"package    {done.folder}")
