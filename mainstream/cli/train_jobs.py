"""``mainstream train-jobs``: the jobs of a training server."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstream.cli import options
from mainstream.cli.exit_codes import FAILED

app = typer.Typer(
    help="List, follow or cancel the jobs of a training server.",
    rich_markup_mode=None,
    add_completion=False,
)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="As train --server and list print it.", show_default=False)]
_URL = "http://127.0.0.1:8265"


@app.command("list")
def list_(server: options.Server = _URL, json: options.Json = None) -> None:
    """List all jobs, the oldest first."""
    from mainstream.cli.json_file import STDOUT, check_json, put_json
    from mainstream.executors.jobs import Jobs

    check_json(json)
    jobs = Jobs(server).list()
    put_json(lambda: [{"job": job.id, "state": job.state, "command": job.command} for job in jobs], json)
    for job in jobs if json != STDOUT else []:
        typer.echo(f"{job.id}  {job.state:9}  {job.command}")


@app.command()
def follow(job: JobId, server: options.Server = _URL) -> None:
    """Print what a job prints, to its end.

    Ctrl-C leaves the job alone.
    """
    from mainstream.executors.jobs import Jobs

    ended = Jobs(server).follow(job, lambda text: typer.echo(text, nl=False))
    typer.echo(f"{ended.id}  {ended.state}  {ended.told}", err=True)
    if ended.state != "succeeded":
        raise typer.Exit(FAILED)


@app.command()
def cancel(job: JobId, server: options.Server = _URL) -> None:
    """End a job; what it has trained so far is kept.

    A job in the queue ends at its turn, before it does anything.
    """
    from mainstream.executors.jobs import Jobs

    jobs = Jobs(server)
    waits = jobs.get(job).state == "pending"
    if not jobs.cancel(job):
        typer.echo(f"{job}  had ended already")
    else:
        typer.echo(f"{job}  {'ends when its turn comes' if waits else 'is ended'}")
