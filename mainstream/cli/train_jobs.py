"""``mainstream train-jobs``: the jobs of a training server."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstream.cli.exit_codes import FAILED

app = typer.Typer(
    help="The jobs of a training server.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)

Server = Annotated[str, typer.Option(metavar="URL", help="The server.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="As train --server and list print it.", show_default=False)]
_URL = "http://127.0.0.1:8265"


@app.command("list")
def list_(server: Server = _URL) -> None:
    """Print all jobs, the oldest first."""
    from mainstream.executors.jobs import Jobs

    for job in Jobs(server).list():
        typer.echo(f"{job.id}  {job.state:9}  {job.command}")


@app.command()
def follow(job: JobId, server: Server = _URL) -> None:
    """Print what a job prints, to its end; Ctrl-C leaves the job alone."""
    from mainstream.executors.jobs import Jobs

    ended = Jobs(server).follow(job, lambda text: typer.echo(text, nl=False))
    typer.echo(f"{ended.id}  {ended.state}  {ended.told}", err=True)
    if ended.state != "succeeded":
        raise typer.Exit(FAILED)


@app.command()
def cancel(job: JobId, server: Server = _URL) -> None:
    """End a job; what it has trained so far is kept. One in the queue ends at its turn, before it does anything."""
    from mainstream.executors.jobs import Jobs

    jobs = Jobs(server)
    waits = jobs.get(job).state == "pending"
    if not jobs.cancel(job):
        typer.echo(f"{job}  had ended already")
    else:
        typer.echo(f"{job}  {'ends when its turn comes' if waits else 'is ended'}")
