"""The command ``mainstream``: one file a command; this one joins them and turns errors into one line each."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mainstream.cli import (
    apps,
    calibrate,
    demo,
    deploy,
    evaluate,
    experiment,
    fleet,
    freeze,
    frontier,
    images,
    label,
    layers,
    methods,
    packages,
    plan,
    profile,
    quantise,
    report,
    run,
    scenes,
    share,
    simulate,
    solve,
    streamer,
    streamer_keys,
    train,
    train_jobs,
    train_server,
    workloads,
)
from mainstream.cli.exit_codes import BAD_INPUT, CANNOT_PRINT, INFEASIBLE, INTERRUPTED
from mainstream.errors import InfeasibleError, MainstreamError


class _Commands(TyperGroup):
    """The commands; typer by itself ends one that Ctrl-C ends without a word."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer does not export its own kind
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    name="mainstream",
    cls=_Commands,
    help="Choose layer sharing and frame rates for many DNN applications on one camera.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.command)
app.command("solve")(solve.command)
app.command("frontier")(frontier.command)
app.command("methods")(methods.command)
app.command("plan")(plan.command)
app.command("deploy")(deploy.command)
app.command("run")(run.command)
app.add_typer(fleet.app, name="fleet")
app.add_typer(apps.app, name="apps")
app.command("streamer")(streamer.command)
app.command("streamer-keys")(streamer_keys.command)
app.command("simulate")(simulate.command)
app.command("evaluate")(evaluate.command)
app.command("experiment")(experiment.command)
app.command("report")(report.command)
app.command("layers")(layers.command)
app.command("profile")(profile.command)
app.command("freeze")(freeze.command)
app.command("share")(share.command)
app.command("images")(images.command)
app.command("train")(train.command)
app.command("train-server")(train_server.command)
app.add_typer(train_jobs.app, name="train-jobs")
app.command("quantise")(quantise.command)
app.command("calibrate")(calibrate.command)
app.command("label")(label.command)
app.command("scenes")(scenes.command)
app.add_typer(workloads.app, name="workloads")
app.add_typer(packages.app, name="packages")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mainstream {version('mainstream')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Choose layer sharing and frame rates for many DNN applications on one camera."""


def main() -> None:
    """Run the command line; every error on purpose is one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is escaped, not an error
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        print("mainstream: interrupted", file=sys.stderr)
        code = INTERRUPTED
    except InfeasibleError as error:
        code = _fail(error, INFEASIBLE)
    except (MainstreamError, typer.TyperException) as error:
        code = _fail(error, BAD_INPUT)
    except BrokenPipeError:  # as in `mainstream solve ... | head`
        code = _cannot_print()
    except OSError as error:
        code = _fail(error, _cannot_print())
    sys.exit(code)


def _fail(error: Exception, code: int) -> int:
    text = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    print(f"mainstream: {' '.join(text.split())}", file=sys.stderr)
    return code


def _cannot_print() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter's own flush must not fail again
    return CANNOT_PRINT
