"""A stream of a problem: a named camera, its base network and its apps."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mainstream.description import Description, counted, refuse, shown
from mainstream.formats.int8 import MODEL_KEY, Int8
from mainstream.problem import App, Model, Video
from mainstream.stream import Stream, streams_of

STREAM_NAME: Final = re.compile(r"[^\W_][\w.-]{0,49}")


def _name(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool):  # a name such as 1 is a number in YAML
        given = str(given)
    if given is None or (isinstance(given, str) and STREAM_NAME.fullmatch(given)):
        return given
    raise refuse("it has to be 1 to 50 letters, digits, '_', '-' or '.', the first a letter or a digit")


StreamName = Annotated[str | None, BeforeValidator(_name)]
"""The name of a stream: in files, on the command line, in addresses."""


class NamedStream(Description):
    """A camera and the apps that watch it.

    Parameters
    ----------
    name : str, optional
        Each stream of a problem has a different name; only a single stream may have none.
    source : str, optional
        Where a runtime in this process takes frames from: any argument of :func:`mainstream.streamer.open_source`.
    streamer : str, optional
        Address of a runtime elsewhere: ``tcp://HOST:PORT``.
    apps : sequence of App
        At least one, with different `app_id`.
    model : Model
    video : Video
    int8 : Int8, optional
        The same apps and their model in 8 bits.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is wrong.
    """

    name: StreamName = None
    source: str | None = None
    streamer: str | None = None
    apps: Annotated[tuple[App, ...], Field(min_length=1)]
    model: Model
    video: Video
    int8: Int8 | None = None

    def __repr__(self) -> str:
        called = "" if self.name is None else f" {self.name}"
        return f"<NamedStream{called}: {counted(len(self.apps), 'app')}, {self.video.stream_fps:g} fps>"

    @model_validator(mode="after")
    def _in_8_bits_the_same(self) -> Self:
        check_int8(self.apps, self.model, self.int8)
        return self

    def in_8_bits(self) -> NamedStream:
        """The stream with its apps and its model in 8 bits; unchanged if it has none."""
        if self.int8 is None:
            return self
        return self.model_copy(update={"apps": self.int8.apps, "model": self.int8.model, "int8": None})

    def to_solve(self) -> tuple[Stream, ...]:
        """The stream as :func:`mainstream.solve` takes it: one stream for each region."""
        return streams_of(self.apps, self.model, self.video, self.name)


def check_int8(apps: tuple[App, ...], model: Model, int8: Int8 | None) -> None:
    """Raise a validator's error if apps and model in 8 bits do not match the trained ones."""
    if int8 is None:
        return
    if model.precision is not None:
        raise refuse(
            f"model was measured in {model.precision}, as {MODEL_KEY} was; give the profile in float32 as model"
        )
    if model.unit != int8.model.unit:
        raise refuse(
            f"model has unit {shown(model.unit)}, {MODEL_KEY} {shown(int8.model.unit)}; "
            "they share one budget, so give both the same unit"
        )
    if [app.app_id for app in apps] != [app.app_id for app in int8.apps]:
        raise refuse("int8 has to have the apps of the problem, in their order")
