"""The API's description in OpenAPI 3.1, made of the schemas that requests are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from mainstream.web.bodies import ADD, APP_ID, BUDGET, CHANGE, Schema
from mainstream.web.timeline import MOST

_NUMBER: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": ["integer", "null"]}
_TEXT: Final[Schema] = {"type": ["string", "null"]}
_OBJECT: Final[Schema] = {"type": ["object", "null"]}
_REFUSALS: Final = {
    "401": "The token is missing or wrong.",
    "403": "The request comes from a page of another site.",
    "421": "The request names another host.",
    "429": "Too many wrong tokens, or too many requests.",
    "503": "Busy.",
}
_OF_CHANGES: Final = {
    "409": "It does not fit or is not possible; one line says what would have to give. Nothing has changed.",
    "507": "The disk is full or broken, so the change would be lost. Nothing has changed.",
}
_OF_BODIES: Final = {
    "408": "The body took too long.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The body has another form.",
}


def described() -> dict[str, Any]:
    """The description as plain values."""
    app_id = _parameter("path", "app_id", {"type": "string", "minLength": 1}, "Its `app_id`.")
    event_id = _parameter("path", "event_id", {"type": "string"}, "Its `event_id`.")
    about = "Name of the camera; required if there are several."
    stream = _parameter("query", "stream", {"type": "string"}, about, required=False)
    limit = {"type": "integer", "minimum": 1, "maximum": MOST}
    paths = {
        "/api/apps": {
            "get": _get("Each app: what is wanted of it, what it was given, how it runs, what it said", _APPS),
            "post": _change("Add an app, a package of the model folder", ADD, "201"),
        },
        "/api/apps/{app_id}": {
            "parameters": [app_id],
            "patch": _change("Pause an app, set its weight or least value; null stands for what the file says", CHANGE),
            "delete": _change("Remove an app"),
        },
        "/api/budget": {
            "get": _get("The budget, and how much of it is used", _BUDGET),
            "put": _change("Set the budget", BUDGET),
        },
        "/api/changes": {
            "get": _get("All that was changed on top of the problem file", _object()),
            "delete": _change("Take back all changes: what the file says counts"),
        },
        "/api/schedule": {"get": _get("The schedule that was chosen, with its stem", _SCHEDULE)},
        "/api/frontier": {"get": _get("The best schedule at each of several budgets", _FRONTIER)},
        "/api/health": {"get": _get("What is wrong", _HEALTH)},
        "/api/packages": {"get": _get("Packages of the model folder", _list_of("packages", {"type": "string"}))},
        "/api/events": {
            "get": _get("The last events, the newest first", _list_of("events", {"type": "object"}), ("422",))
            | {"parameters": [_parameter("query", "limit", limit, "How many.", required=False)]},
        },
        "/api/events/{event_id}/picture": {"parameters": [event_id], "get": _media("Its picture", "image/jpeg")},
        "/api/events/{event_id}/clip": {
            "parameters": [event_id],
            "get": _media("The video around it", "video/mp4", "video/x-matroska"),
        },
        "/api/picture": {
            "get": _media("The camera's picture", "image/jpeg", refusals=("422",)) | {"parameters": [stream]},
        },
        "/api/stream": {"get": _media("Server-sent events: status, event, said", "text/event-stream")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mainstream", "version": version("mainstream")},
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Refusal": _object(error={"type": "string"})},
        },
    }


def _object(optional: Mapping[str, Schema] | None = None, **properties: Schema) -> Schema:
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": [*properties]}


def _list_of(key: str, items: Schema) -> Schema:
    return _object(None, **{key: {"type": "array", "items": items}})


def _parameter(place: str, name: str, schema: Schema, about: str, *, required: bool = True) -> Schema:
    return {"in": place, "name": name, "required": required, "schema": schema, "description": about}


def _refusals(*statuses: str) -> dict[str, Any]:
    texts = {**_REFUSALS, **_OF_CHANGES, **_OF_BODIES, "404": "There is no such thing."}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {status: {"description": texts[status], "content": content} for status in (*_REFUSALS, *statuses)}


def _get(summary: str, schema: Schema, refusals: tuple[str, ...] = ()) -> Schema:
    answer = {"description": "As it is now.", "content": {"application/json": {"schema": schema}}}
    return {"summary": summary, "responses": {"200": answer, **_refusals("409", *refusals)}}


def _media(summary: str, *kinds: str, refusals: tuple[str, ...] = ()) -> Schema:
    answer = {"description": "Here it is.", "content": {kind: {} for kind in kinds}}
    return {"summary": summary, "responses": {"200": answer, **_refusals("404", *refusals)}}


def _change(summary: str, body: Schema | None = None, status: str = "200") -> Schema:
    answer = {"description": "What is predicted.", "content": {"application/json": {"schema": _PREDICTED}}}
    refusals = _refusals("404", *_OF_CHANGES, *(_OF_BODIES if body else ()))
    made = {"summary": summary, "security": [{"token": []}], "responses": {status: answer, **refusals}}
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


_OF_STREAMS: Final = {"stream": {"type": "string", "description": "Name of the camera, if there are several."}}
_INTERVAL: Final[Schema] = {"type": ["array", "null"]}
_MEASURED: Final = {
    "measured": {
        **_object(f1={"type": "number"}, f1_interval=_INTERVAL, events={"type": "integer"}, seconds={"type": "number"}),
        "type": ["object", "null"],
        "description": "Measured against labels since the last plan took over, if there are labels.",
    }
}
_APP: Final = _object(
    {**_OF_STREAMS, **_MEASURED},
    app_id=APP_ID,
    name={"type": "string"},
    added={"type": "boolean"},
    paused={"type": "boolean"},
    region={"type": ["array", "null"], "description": "x, y, width, height as shares of the frame; null: the whole."},
    weight={"type": "number"},
    min_value=_NUMBER,
    min_fps=_NUMBER,
    target_fps=_NUMBER,
    num_frozen=_COUNT,
    value=_NUMBER,
    f1=_NUMBER,
    recall=_NUMBER,
    precision=_NUMBER,
    f1_interval=_INTERVAL,
    tail_cost=_NUMBER,
    observed_fps=_NUMBER,
    analysed=_COUNT,
    dropped=_COUNT,
    failed=_COUNT,
    failure=_TEXT,
    stopped={"type": ["boolean", "null"]},
    now=_OBJECT,
    event=_OBJECT,
)
_APPS: Final = _object(apps={"type": "array", "items": _APP}, removed={"type": "array", "items": APP_ID})
_BUDGET: Final = _object(
    budget=_NUMBER,
    of_file=_NUMBER,
    changed={"type": "boolean"},
    unit=_TEXT,
    cost=_NUMBER,
    measured=_NUMBER,
    capacity=_NUMBER,
)
_LAYERS: Final = {"layers": {"type": "object", "description": "How many layers each camera's network has."}}
_SCHEDULE: Final = _object(_LAYERS, runs={"type": "boolean"}, trouble=_TEXT, total_layers=_COUNT, result=_OBJECT)
_POINT: Final = _object(
    budget={"type": "number"}, objective={"type": "number"}, cost={"type": "number"}, fps={"type": "object"}
)
_FRONTIER: Final = _object(unit=_TEXT, metric=_TEXT, points={"type": "array", "items": _POINT})
_CAMERAS: Final = {
    "streams": {
        "type": "object",
        "description": "Each camera by its name, if there are several.",
        "additionalProperties": _object(stream_fps=_NUMBER, troubles={"type": "array", "items": {"type": "string"}}),
    }
}
_HEALTH: Final = _object(
    _CAMERAS,
    healthy={"type": "boolean"},
    ready={"type": "boolean"},
    troubles={"type": "array", "items": {"type": "string"}},
    said={"type": "array", "items": {"type": "object"}},
)
_PREDICTED: Final = _object(
    apps={"type": "integer"},
    left_out={"type": "array"},
    metric={"type": "string"},
    objective={"type": "number"},
    cost={"type": "number"},
    budget={"type": "number"},
    unit=_TEXT,
    runtime_s={"type": "number"},
)
