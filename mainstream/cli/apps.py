"""``mainstream apps``: list and change the apps of a running box, for scripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mainstream.cli import options
from mainstream.errors import DeployError, ProblemError

app = typer.Typer(help="List or change the apps of a box that runs.", rich_markup_mode=None, add_completion=False)

_TIMEOUT_S: Final = 60.0
_LARGEST: Final = 2**26

At = Annotated[str, typer.Option("--at", metavar="URL", help="Where `mainstream run --page` serves it.")]
Token = Annotated[
    Path | None,
    typer.Option(
        "--token", metavar="FILE", help="The token, in the state's folder; else $MAINSTREAM_TOKEN.", show_default=False
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Certificate to trust, of an https:// URL.", show_default=False),
]
AppId = Annotated[str, typer.Argument(metavar="APP", help="Its app_id.", show_default=False)]
Weight = Annotated[float | None, typer.Option(help="Weight in the mean.", show_default=False)]
MinValue = Annotated[float | None, typer.Option(help="Least value, such as F1.", show_default=False)]

_HERE: Final = "http://127.0.0.1:8080"


@app.callback()
def _group() -> None:
    """List or change the apps of a box that runs."""


@app.command(name="list")
def list_apps(at: At = _HERE, token: Token = None, ca: Ca = None, json: options.Json = None) -> None:
    """List the apps: what each was given, and how it runs."""
    from mainstream.cli.json_file import STDOUT, check_json, put_json

    check_json(json)
    answer = _ask("GET", "/api/apps", None, at, token, ca)
    put_json(lambda: answer, json)
    if json == STDOUT:
        return
    names = max(3, *(len(str(one["app_id"])) for one in answer["apps"])) if answer["apps"] else 3
    streams = [one["stream"] for one in answer["apps"] if "stream" in one]
    wide = max(len(name) for name in ("stream", *streams)) + 2 if streams else 0
    typer.echo(f"{'stream' * bool(streams):<{wide}}{'app':<{names}}  target fps  observed  value  weight  state")
    for one in answer["apps"]:
        value, target, observed = (one[key] for key in ("value", "target_fps", "observed_fps"))
        state = "paused" if one["paused"] else "left out" if target is None else one["failure"] or "runs"
        numbers = f"{_number(target, 'g'):>10}  {_number(observed, '.2f'):>8}  {_number(value, '.3f'):>5}"
        typer.echo(
            f"{one.get('stream', ''):<{wide}}{one['app_id']!s:<{names}}  {numbers}  {one['weight']:>6g}  {state}"
        )
    for app_id in answer["removed"]:
        typer.echo(f"{app_id!s:<{names}}  removed")


@app.command()
def add(
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE", help="A folder of the box's model folder.", show_default=False)
    ],
    app_id: Annotated[
        str | None, typer.Option("--id", metavar="APP", help="Its app_id; else the package's name.", show_default=False)
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option("--stream", metavar="NAME", help="Its camera, where there are several.", show_default=False),
    ] = None,
    weight: Weight = None,
    min_value: MinValue = None,
    at: At = _HERE,
    token: Token = None,
    ca: Ca = None,
) -> None:
    """Add an app."""
    body = {"package": package, "app_id": app_id, "stream": stream, "weight": weight, "min_value": min_value}
    _change("POST", "/api/apps", {key: value for key, value in body.items() if value is not None}, at, token, ca)


@app.command()
def remove(app_id: AppId, at: At = _HERE, token: Token = None, ca: Ca = None) -> None:
    """Remove an app."""
    _change("DELETE", _of(app_id), None, at, token, ca)


@app.command()
def pause(app_id: AppId, at: At = _HERE, token: Token = None, ca: Ca = None) -> None:
    """Let an app not run for now."""
    _change("PATCH", _of(app_id), {"paused": True}, at, token, ca)


@app.command()
def resume(app_id: AppId, at: At = _HERE, token: Token = None, ca: Ca = None) -> None:
    """Let a paused or removed app run again."""
    _change("PATCH", _of(app_id), {"paused": False, "removed": False}, at, token, ca)


def _of(app_id: str) -> str:
    from urllib.parse import quote

    return f"/api/apps/{quote(app_id, safe='')}"


def _change(method: str, path: str, body: dict[str, Any] | None, at: str, token: Path | None, ca: Path | None) -> None:
    """Make a change, and print what is then predicted."""
    from mainstream.description import counted

    done = _ask(method, path, body, at, token, ca)
    unit = f" {done['unit']}/s" if done["unit"] else ""
    typer.echo(
        f"{counted(done['apps'], 'app')}, predicted {done['metric']} {done['objective']:.3f}, "
        f"cost {done['cost']:.4g} of {done['budget']:.4g}{unit}"
    )


def _ask(method: str, path: str, body: dict[str, Any] | None, at: str, token: Path | None, ca: Path | None) -> Any:
    """The box's answer.

    Raises
    ------
    ProblemError
        The box refuses; the message is in its words.
    DeployError
        The box does not answer.
    """
    import json
    import ssl
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from mainstream.files import json_values, read_text, reason

    if not at.startswith(("http://", "https://")):
        raise ProblemError(f"--at: got {at!r}; it has to be the URL that `mainstream run --page` says")
    headers = {"Content-Type": "application/json"}
    given = os.environ.get("MAINSTREAM_TOKEN", "") if token is None else read_text(token).strip()
    if given:
        headers["Authorization"] = f"Bearer {given}"
    text = None if body is None else json.dumps(body).encode()
    try:
        request = Request(at.rstrip("/") + path, text, headers, method=method)
        trusted = ssl.create_default_context(cafile=ca) if at.startswith("https://") else None
        with urlopen(request, timeout=_TIMEOUT_S, context=trusted) as answer:
            return json_values(answer.read(_LARGEST).decode("utf-8", "replace"))
    except HTTPError as error:
        raise ProblemError(_refusal(error.read(_LARGEST), error.code)) from None
    except (OSError, ValueError, HTTPException) as error:
        raise DeployError(f"{at}: {reason(error) or type(error).__name__}; is `mainstream run --page` there?") from None


def _refusal(body: bytes, status: int) -> str:
    from mainstream.files import json_values

    try:
        return str(json_values(body.decode())["error"])
    except (ValueError, TypeError, KeyError):
        return f"the box answers {status}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
