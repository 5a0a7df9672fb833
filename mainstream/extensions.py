"""The four doors: the parts that others can add to Mainstream without changing it.

========================  ==========================================================  =======================
door                      what goes through it                                        where a name is taken
========================  ==========================================================  =======================
:data:`METHODS`           a way to search for a schedule                              ``solve(method=)``
:data:`EVENT_MODELS`      how frames become events                                    ``solve(event_model=)``
:data:`PART_LOADERS`      an engine that runs a part of a model file                  ``LocalRunner(engine=)``
:data:`SOURCES`           where frames come from, by the scheme of its URI            ``LocalRunner(source)``
========================  ==========================================================  =======================

Each takes a name, or an object that has what its Protocol asks for. ``register(part)`` makes a name known. So does an
installed package with an entry point in the group ``mainstream.methods``, ``mainstream.event_models``,
``mainstream.part_loaders`` or ``mainstream.sources``; then the command line and problem files know the name, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.registry import Registry

if TYPE_CHECKING:
    from mainstream.solver.joint_table import JointTable
    from mainstream.solver.search import Limits, Outcome
    from mainstream.streamer.frames import Frame

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


class Method(Protocol):
    """A way to search for a schedule.

    Attributes
    ----------
    name : str
    aggregates : collection of str
        What it can maximise: "mean", "min" or both.
    exact : bool
        Whether it goes on until it has proven the gap asked for, as long as its limits allow.
    """

    name: str
    aggregates: Collection[str]
    exact: bool

    def maximise(self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: _Ints) -> Outcome:
        """Return the best schedule that it finds within a budget: with the largest mean, or the largest minimum.

        Parameters
        ----------
        table : JointTable
            What each app may choose; ``table.packed`` has the options that are worth looking at.
        budget : float
            Compute a second; a schedule fits at up to budget * (1 + 1e-9).
        limits : Limits
        aggregate : {"mean", "min"}
        staircases : (S, D) int array
            Stems that are worth trying first.

        Returns
        -------
        Outcome
            Its `bound` has to hold for every schedule within the budget.

        Raises
        ------
        InfeasibleError
            Nothing fits the budget.
        """
        ...


@runtime_checkable
class Improver(Protocol):
    """A method may also have this: ``frontier()`` then gives each search the best schedule of the smaller budgets."""

    def improve(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: NDArray[np.int32]
    ) -> Outcome:
        """Do what :meth:`Method.maximise` does, but start from a schedule that fits the budget.

        Parameters
        ----------
        first : (N,) int32 array
            The cell of each app, as :meth:`~mainstream.solver.joint_table.JointTable.schedules` takes them.
        """
        ...


class EventModel(Protocol):
    """How the frames that an app analyses become events that it finds; see :mod:`mainstream.events` for the chain.

    Attributes
    ----------
    name : str
    """

    name: str

    def frames(self, length_ms: _Floats, rates: _Floats, stream_fps: _Floats | float) -> _Floats:
        """The average number of frames that are analysed in a window with an event.

        Parameters
        ----------
        length_ms : (N, 1) array
        rates : (R,) or (N, R) array
        stream_fps : float or (N, R) array

        Returns
        -------
        (N, R) array
            Rising with the rate.
        """
        ...

    def freedom(self, correlation: _Floats, x_vote: _Ints) -> _Floats:
        """P(hit | miss) as a share of p: 1 - correlation where frames are a chain, 1 where they are independent.

        Parameters
        ----------
        correlation, x_vote : (N,) arrays
            Votes are 0 for no voting and -1 for "auto".

        Returns
        -------
        (N,) array, in [0, 1]
        """
        ...

    def negatives(self, frames: _Floats, odds: _Floats) -> tuple[_Floats, _Floats]:
        """Where false alarms come from.

        Parameters
        ----------
        frames : (N, R) array
            What :meth:`frames` gave.
        odds : (N,) array
            The number of windows without an event for each with one; NaN where that is not known.

        Returns
        -------
        (N, R) array, (N,) array
            Frames that are analysed in one stretch without an event, and such stretches for each event.
        """
        ...


@runtime_checkable
class Mixture(Protocol):
    """An event model may also have this: then each app's spread of accuracy and lengths of events count.

    `frames` and `negatives` are then called with N lengths, those of all apps, and `freedom` for each rate of each app.
    """

    def correlations(self, correlation: _Floats, correlation_fps: _Floats, rates: _Floats) -> _Floats:
        """The correlation between successive analysed frames at each rate.

        Parameters
        ----------
        correlation, correlation_fps : (N, 1) arrays
            What was measured, and at how many analysed frames a second; NaN where that rate is not known.
        rates : (R,) or (N, R) array

        Returns
        -------
        (N, R) array, in [0, 1]
        """
        ...


class Part(Protocol):
    """The layers between two tensors of a model, ready to run. Several threads may call it.

    Attributes
    ----------
    input_shape, output_shape : tuple of (int or None), or None
        The shapes that it takes and gives. A number is None where any will do, such as the batch; a shape is None where
        it is not known.
    """

    input_shape: tuple[int | None, ...] | None
    output_shape: tuple[int | None, ...] | None

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        """Run it on a batch of `input_shape`; raise :class:`ProblemError` where that is not possible."""
        ...


class PartLoader(Protocol):
    """An engine: it runs parts of model files.

    An engine that computes in other threads than the calling one has an attribute ``own_threads`` that is True. The
    core time of its parts is then not reported, since it cannot be measured.

    An engine that can compare models has a method ``check_stem(stem, own, layer, *, trusted)``. The layers up to that
    tensor are taken from the file `stem`; it raises :class:`ProblemError` where they have other weights in `own`, the
    file of a tail.

    An engine that can prepare a model file beforehand, for example convert it, has a method ``make_ready(path, *,
    trusted)``. It is called for a model file that may be loaded later, while others run.

    Attributes
    ----------
    name : str
    """

    name: str

    def start(self) -> None:
        """Get ready before the first part is loaded; raise :class:`MissingExtraError` if a package is missing."""
        ...

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        """The layers between two tensors of a model file.

        Parameters
        ----------
        path : Path
        input_layer, output_layer : str
        trusted : bool
            The file may do all that the engine can make it do. If False it may only compute: it may not read or write
            files, talk to others or run code of its own.

        Raises
        ------
        ProblemError
            The file is no model that it can run, lacks one of the tensors, or has no path from the one to the other.
            The message begins with the key that is to blame: ``model_path``, ``input_layer`` or ``output_layer``.
        """
        ...


class Source(Protocol):
    """A stream of frames; it is iterated once.

    Attributes
    ----------
    fps : float
        The stream's frames a second. For a live stream it is the rate at the start; the runtime goes on measuring.
    live : bool
        Whether frames come when the camera takes them, whether or not anybody asks for them.
    reconnects : int
        How many times a camera that was lost has come back.
    damaged : int
        How many frames were left out because they were damaged.
    """

    fps: float
    live: bool
    reconnects: int
    damaged: int

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames, each when it is due; raise :class:`ProblemError` if the stream is damaged."""
        ...

    def close(self) -> None:
        """End the stream, even while a thread waits for its next frame."""
        ...


class SourceOpener(Protocol):
    """Opens the sources whose URI has one scheme.

    Attributes
    ----------
    name : str
        The scheme, without ``://``, in small letters.
    """

    name: str

    def open(self, uri: str, *, loop: bool, paced: bool) -> Source:
        """Open the source of a URI.

        Parameters
        ----------
        uri : str
        loop : bool
            Start again at the end, if there is one.
        paced : bool
            Frames come at their rate by the clock. If False they come as fast as they are taken. Cameras pace
            themselves.

        Raises
        ------
        ProblemError
            It cannot be opened.
        """
        ...


METHODS: Final[Registry[Method]] = Registry(
    "method",
    Method,
    {
        "auto": "mainstream.solver.methods:AUTO",
        "branch-and-bound": "mainstream.solver.methods:BRANCH_AND_BOUND",
        "cp-sat": "mainstream.solver.methods:CP_SAT",
        "greedy": "mainstream.solver.methods:GREEDY",
        "greedy-released": "mainstream.solver.methods:GREEDY_RELEASED",
    },
    "mainstream.methods",
)

EVENT_MODELS: Final[Registry[EventModel]] = Registry(
    "event_model",
    EventModel,
    {
        "windowed": "mainstream.event_models:WINDOWED",
        "measured": "mainstream.event_models:MEASURED",
        "paper": "mainstream.event_models:PAPER",
        "released": "mainstream.event_models:RELEASED",
    },
    "mainstream.event_models",
)

PART_LOADERS: Final[Registry[PartLoader]] = Registry(
    "engine",
    PartLoader,
    {
        "tensorflow": "mainstream.graphs.part:TENSORFLOW",
        "onnx": "mainstream.onnx_graphs.part:ONNX",
        "auto": "mainstream.onnx_graphs.auto:AUTO",
    },
    "mainstream.part_loaders",
)

SOURCES: Final[Registry[SourceOpener]] = Registry(
    "source",
    SourceOpener,
    {
        "file": "mainstream.streamer.sources:FILE",
        "rtsp": "mainstream.streamer.sources:RTSP",
        "rtsps": "mainstream.streamer.sources:RTSPS",
        "http": "mainstream.streamer.sources:HTTP",
        "https": "mainstream.streamer.sources:HTTPS",
        "tcp": "mainstream.streamer.sources:TCP",
        "udp": "mainstream.streamer.sources:UDP",
        "rtp": "mainstream.streamer.sources:RTP",
        "test": "mainstream.streamer.sources:TEST",
    },
    "mainstream.sources",
)
