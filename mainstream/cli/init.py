"""``mainstream init``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from mainstream.cli import options
from mainstream.description import printable
from mainstream.errors import ProblemError
from mainstream.formats.package import PACKAGE
from mainstream.formats.problem_reader import STORE

_MOST_PROFILES: Final = 1000
_LARGEST_PROFILE: Final = 2**22
"""The most bytes of a file that may be a profile; a profile of a thousand layers has a fiftieth of that."""


def command(
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE...", help="Folders of M-Packages, as in packages/*, or store://NAME.", show_default=False
        ),
    ],
    profile: options.ProfileFile = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.yaml", help="The problem to write.")] = Path(
        "problem.yaml"
    ),
    source: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URI", help="The camera or clip, whose frames a second are taken.", show_default=False
        ),
    ] = None,
    stream_fps: options.MaybeStreamFps = None,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    store: options.StoreUrl = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a problem file for packages, ready to run.

    Each package is an app, and each line of the file says what it means. What nobody has calibrated is a guess, and
    said to be one. Without --profile the profile in the current folder that fits is taken, without a budget 80 % of its
    cores, and without --source and --stream-fps 10 frames a second.
    """
    from mainstream.cli import console
    from mainstream.files import check_target, write_text
    from mainstream.formats.first_problem import first_problem
    from mainstream.formats.problem import SolveOptions

    console.errors(quiet=quiet)
    screen = console.output(quiet=quiet)
    given = SolveOptions.of({"budget": budget, "utilisation": utilisation}, where="command line")
    if source is not None and stream_fps is not None:
        raise ProblemError("command line: --source and --stream-fps both say how many frames a second; give one")
    if output.suffix.lower() == ".json":
        raise ProblemError(f"{output}: is read as JSON by its name, and this writes YAML; give -o a name in .yaml")
    if output.exists() and not force:
        raise ProblemError(f"{output}: is there already; give --force to write over it, or another name with -o")
    check_target(output)
    folders = dict(_folders(packages, store, quiet=quiet))
    fps, frame_size = (stream_fps, None) if source is None else _of(source)
    made = first_problem(
        folders,
        _only_profile(folders) if profile is None else profile,
        output,
        budget=given.budget,
        utilisation=given.utilisation,
        stream_fps=fps,
        frame_size=frame_size,
        camera=source,
    )
    write_text(output, made.text)
    unit, compute = made.problem.models[0].unit, made.problem.given()["budget"]
    apps = f"{len(folders)} app{'s' * (len(folders) > 1)}"
    screen.print(f"written    {output}: {apps}, {compute:,.10g} {f'{unit}/s' if unit else ''}".rstrip(), soft_wrap=True)
    words = ["mainstream", "run", str(output), "--source", source or "CLIP", "-m", _model_dir([*folders.values()])]
    screen.print(f"run        {shlex.join(words)}", soft_wrap=True)


def _folders(packages: Sequence[str], store: str | None, *, quiet: bool) -> Iterator[tuple[str, Path]]:
    """Each package and its folder. What else ``packages/*`` matches is left out, with a message."""
    seen: set[str] = set()
    others = []
    for name in packages:
        if name in seen:
            raise ProblemError(f"{printable(name)}: stands twice; give each package once")
        seen.add(name)
        if name.startswith(STORE):
            from mainstream.store import open_store

            yield name, open_store(store).fetch(name)
        elif not Path(name).exists() or (Path(name) / PACKAGE).exists():
            yield name, Path(name)
        else:
            others.append(name)
    if len(others) == len(packages):
        hint = f"; name the packages in it: {others[0]}/*" if Path(others[0]).is_dir() else ""
        raise ProblemError(
            f"{printable(others[0])}: not an M-Package: there is no {PACKAGE} in it{printable(hint)}; "
            "`mainstream train` makes packages"
        )
    if others and not quiet:
        typer.echo(f"mainstream: no packages, left out: {printable(', '.join(others))}", err=True)


def _only_profile(folders: dict[str, Path]) -> Path:
    """The one profile in the current folder that fits the packages."""
    from mainstream.formats.package import check_fit, read_package
    from mainstream.formats.profile import load_profile

    read = {name: read_package(folder)[0] for name, folder in folders.items()}
    fitting, why = [], ""
    for path in _profiles():
        try:
            check_fit(read, load_profile(path))
        except ProblemError as error:
            why = why or f"{path} is none: {error}; "
        else:
            fitting.append(path)
    if len(fitting) > 1:
        names = ", ".join(map(str, fitting[:5]))
        raise ProblemError(f"profile: several fit: {names}; say which one with --profile")
    if not fitting:
        make = shlex.join(["mainstream", "profile", "--net", next(iter(folders))])
        raise ProblemError(f"profile: none in this folder fits; {why}measure one: {make}; or name one with --profile")
    return fitting[0]


def _profiles() -> Iterator[Path]:
    """The JSON files in the current folder that look like profiles."""
    from mainstream.files import parse
    from mainstream.stream import is_model

    for path in sorted(Path().glob("*.json"))[:_MOST_PROFILES]:
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST_PROFILE and is_model(parse(path)):
                yield path
        except (OSError, ProblemError):
            continue


def _of(source: str) -> tuple[float, tuple[int, int] | None]:
    """A source's frames a second, and for a clip their width and height; a camera might make us wait for a frame."""
    from contextlib import closing, suppress

    from mainstream.streamer.sources import open_source

    size = None
    with closing(open_source(source, paced=False)) as opened:
        if not opened.live:
            with suppress(ProblemError):  # damaged: the command that runs it says so
                size = next((frame.size for frame in opened), None)
        return float(opened.fps), size


def _model_dir(folders: Sequence[Path]) -> str:
    """The folder that holds all packages once links are followed; a runtime here has to be given this one."""
    common = Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    return os.path.relpath(common) if common.is_relative_to(Path.cwd()) else str(common)
