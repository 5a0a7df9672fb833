"""``mainstream packages``: M-Packages in a store, and on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.json_file import STDOUT, check_json, put_json
from mainstream.cli.package import as_plain, as_text
from mainstream.description import printable
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.formats.curve import Curve
    from mainstream.formats.package import Package
    from mainstream.store.store import Entry
    from mainstream.store.version import Version

app = typer.Typer(help="Keep packages in a store, by name and version.", rich_markup_mode=None, add_completion=False)


@app.callback()
def _group() -> None:
    """Keep packages in a store, by name and version."""


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the M-Package.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="In the store; else the package's own.", show_default=False)
    ] = None,
    store: options.StoreUrl = None,
    json: options.Json = None,
) -> None:
    """Make the next version of a package from a folder.

    All of it is stored, or nothing. Model files that the store has already are not sent again.
    """
    from mainstream.store import open_store

    check_json(json)
    opened = open_store(store)
    done = opened.push(folder, name)
    version = done.version
    put_json(lambda: {**_named(version), "folder": str(folder), "store": str(opened), "sent_bytes": done.sent}, json)
    if json == STDOUT:
        return
    typer.echo(f"{version}  {version.digest}")
    typer.echo(f"{len(version.files)} model files, {_mb(version.size)}; {_mb(done.sent)} sent to {opened}")


@app.command()
def pull(
    package: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="The newest without VERSION.", show_default=False)
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="New folder; NAME where none is given.", show_default=False)
    ] = None,
    store: options.StoreUrl = None,
    json: options.Json = None,
) -> None:
    """Write a version as an M-Package, checked against its digests."""
    from mainstream.store import open_store
    from mainstream.store.address import Reference

    check_json(json)
    reference = Reference.of(package)
    folder = folder or Path(reference.name)
    opened = open_store(store)
    version = opened.pull(reference, folder)
    put_json(lambda: {**_named(version), "folder": str(folder), "store": str(opened)}, json)
    if json == STDOUT:
        return
    typer.echo(f"{version}  {version.digest}")
    typer.echo(f"package {folder}")


@app.command(name="list")
def list_packages(store: options.StoreUrl = None, json: options.Json = None) -> None:
    """List the packages with their newest version.

    The JSON has its curve, event parameters and all else.
    """
    from mainstream.store import open_store

    check_json(json)
    opened = open_store(store)
    entries = opened.entries()
    put_json(lambda: [_entry(one) for one in entries], json)
    if json == STDOUT:
        return
    if not entries:
        typer.echo(f"no packages in {opened}")
        return
    names = max(4, *(len(entry.name) for entry in entries))
    typer.echo(f"{'name':<{names}}  version  {'pushed, UTC':<19}  {'models':>9}  layers  network")
    for entry in entries:
        typer.echo(f"{entry.name:<{names}}  {entry.numbers[-1]:>7}  {_line(entry)}")


@app.command()
def show(
    package: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]|DIR",
            help="In the store, the newest without VERSION; with a '/' in it, such as ./dogs, a folder.",
            show_default=False,
        ),
    ],
    layer: Annotated[
        int | None,
        typer.Option(metavar="NUM_FROZEN", help="Only what was measured at this one.", show_default=False),
    ] = None,
    store: options.StoreUrl = None,
    json: options.Json = None,
) -> None:
    """Show what a package holds.

    That is its curve, what is kept of it and why, its event parameters and its files.
    """
    from mainstream.store import open_store
    from mainstream.store.address import Reference, is_folder

    check_json(json)
    head: list[str] = []
    if is_folder(package):
        if store is not None:
            raise ProblemError(f"command line: {package} is a folder, so --store has no use; leave it out")
        described, curve, sizes, plain = _of_folder(Path(package))
    else:
        opened = open_store(store)
        with _hinting_at_folder(package):
            version = opened.read(Reference.of(package))
        described, curve, plain = version.package, version.curve, _plain(version)
        sizes = {path: file.bytes for path, file in version.files.items()}
        head = [
            f"version   {version.number}, pushed {_moment(version)} UTC",
            f"versions  {_numbers(opened.numbers(version.name))}",
            f"digest    {version.digest}",
        ]
        package = f"store://{version}"
    if layer is not None:
        plain = _at(curve, layer)
        lines = [f"{key:<19}  {value}" for key, value in plain.items() if value is not None]
    else:
        lines = [*head, *as_text(described, curve, sizes, package)]
    put_json(lambda: plain, json)
    if json != STDOUT:
        for line in lines:
            typer.echo(line)


@app.command()
def rm(
    packages: Annotated[list[str], typer.Argument(metavar="NAME@VERSION...", show_default=False)],
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="Names without a version stand for all that there are.")
    ] = False,
    store: options.StoreUrl = None,
    json: options.Json = None,
) -> None:
    """Remove versions, and model files that none has any more.

    A version's number is never given again.
    """
    from mainstream.store import open_store
    from mainstream.store.address import Reference

    check_json(json)
    references = [Reference.of(package) for package in packages]
    for reference in references:
        if reference.version is None and not all_versions:
            raise ProblemError(f"command line: {reference}: name a version, {reference}@1, or give --all-versions")
    opened = open_store(store)
    removed: list[dict[str, Any]] = []
    try:
        for reference in references:
            numbers = opened.numbers(reference.name) if reference.version is None else [reference.version]
            if not numbers:
                raise opened.unknown(reference.name)
            cleaned = opened.remove(reference.name, numbers)
            done = ", ".join(f"{reference.name}@{number}" for number in numbers)
            removed.append({"name": reference.name, "versions": numbers, "model_files": cleaned.removed})
            if json != STDOUT:
                typer.echo(f"removed {done} and {cleaned.removed} model files")
            if cleaned.refused is not None:
                raise ProblemError(f"the versions are removed, their model files are kept for now: {cleaned.refused}")
    finally:
        put_json(lambda: removed, json)


def _entry(entry: Entry) -> dict[str, Any]:
    if entry.newest is None:
        return {"name": entry.name, "versions": entry.numbers, "damaged": entry.damage}
    return {**_plain(entry.newest), "versions": entry.numbers}


@contextmanager
def _hinting_at_folder(package: str) -> Iterator[None]:
    try:
        yield
    except ProblemError as error:
        if not Path(package).is_dir():
            raise
        raise ProblemError(f"{error}; for the folder, write ./{package}") from None


def _of_folder(folder: Path) -> tuple[Package, Curve, dict[str, int], dict[str, Any]]:
    from mainstream.formats.package import read_package
    from mainstream.store.version import model_files

    package, curve = read_package(folder)
    paths = sorted(frozenset().union(*model_files(package)))
    sizes = {path: (folder / path).stat().st_size for path in paths if (folder / path).is_file()}
    return package, curve, sizes, {**as_plain(package, curve), "files": sizes}


def _named(version: Version) -> dict[str, Any]:
    return {"name": version.name, "version": version.number, "digest": version.digest}


def _plain(version: Version) -> dict[str, Any]:
    return {
        **_named(version),
        "pushed": version.pushed,
        **as_plain(version.package, version.curve),
        "files": {path: file.bytes for path, file in version.files.items()},
    }


def _at(curve: Curve, num_frozen: int) -> dict[str, Any]:
    if num_frozen not in curve.accuracies:
        measured = ", ".join(map(str, sorted(curve.accuracies)))
        raise ProblemError(f"--layer {num_frozen}: was not measured; there are: {measured}")
    rates = curve.false_positive_rates
    return {
        "num_frozen": num_frozen,
        "accuracy": curve.accuracies[num_frozen],
        "false_positive_rate": None if rates is None else rates.get(num_frozen),
    }


def _line(entry: Entry) -> str:
    if entry.newest is None:
        return f"damaged: {entry.damage}"
    package = entry.newest.package
    size = _mb(entry.newest.size)
    return printable(f"{_moment(entry.newest):<19}  {size:>9}  {package.total_layers:>6}  {package.network}")


def _moment(version: Version) -> str:
    return version.pushed.replace("T", " ").rstrip("Z")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _numbers(numbers: list[int]) -> str:
    """The newest versions as text; older ones are left out."""
    return ("..., " if len(numbers) > 10 else "") + ", ".join(map(str, numbers[-10:]))
