"""One of the streams of a problem: a camera by its name, its base network and its apps."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mainstream.description import Description, refuse, shown
from mainstream.formats.int8 import MODEL_KEY, Int8
from mainstream.problem import App, Model, Video
from mainstream.stream import Stream, streams_of

STREAM_NAME: Final = re.compile(r"[^\W_][\w.-]{0,49}")


def _name(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool):  # YAML reads 1 as a number
        given = str(given)
    if given is None or (isinstance(given, str) and STREAM_NAME.fullmatch(given)):
        return given
    raise refuse("it has to be 1 to 50 letters, digits, '_', '-' or '.', the first a letter or a digit")


StreamName = Annotated[str | None, BeforeValidator(_name)]
"""What a stream is called: in files, on the command line, in addresses."""


class NamedStream(Description):
    """A camera and what watches it.

    Parameters
    ----------
    name : str, optional
        Different for each stream of a problem; without one it is the only stream.
    source : str, optional
        Where its frames come from, for a runtime in this process: what :func:`mainstream.streamer.open_source` takes.
    streamer : str, optional
        Where its runtime listens, for one elsewhere: ``tcp://HOST:PORT``.
    apps : sequence of App
        At least one, with different `app_id`.
    model : Model
    video : Video
    int8 : Int8, optional
        The same apps, and their model, in 8 bits.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is not what it has to be.
    """

    name: StreamName = None
    source: str | None = None
    streamer: str | None = None
    apps: Annotated[tuple[App, ...], Field(min_length=1)]
    model: Model
    video: Video
    int8: Int8 | None = None

    @model_validator(mode="after")
    def _in_8_bits_the_same(self) -> Self:
        check_int8(self.apps, self.model, self.int8)
        return self

    def in_8_bits(self) -> NamedStream:
        """The stream with its apps and its model in 8 bits, as it is where it has none."""
        if self.int8 is None:
            return self
        return self.model_copy(update={"apps": self.int8.apps, "model": self.int8.model, "int8": None})

    def to_solve(self) -> tuple[Stream, ...]:
        """The stream as :func:`mainstream.solve` takes it: each region is one by itself."""
        return streams_of(self.apps, self.model, self.video, self.name)


def check_int8(apps: tuple[App, ...], model: Model, int8: Int8 | None) -> None:
    """Raise what a validator may where apps and model in 8 bits do not go with those that were trained."""
    if int8 is None:
        return
    if model.precision is not None:
        raise refuse(f"model was measured in {model.precision}, as {MODEL_KEY}; one of them has to be float32")
    if model.unit != int8.model.unit:
        raise refuse(
            f"model has unit {shown(model.unit)}, {MODEL_KEY} {shown(int8.model.unit)}; "
            "they share one budget and have to have the same"
        )
    if [app.app_id for app in apps] != [app.app_id for app in int8.apps]:
        raise refuse("int8 has to have the apps of the problem, in their order")
