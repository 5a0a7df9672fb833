"""The four doors: what others can add to Mainstream without changing it.

========================  ==========================================================  =======================
door                      what goes through it                                        where a name is taken
========================  ==========================================================  =======================
:data:`METHODS`           a way to search for a schedule                              ``solve(method=)``
:data:`EVENT_MODELS`      how frames become events                                    ``solve(event_model=)``
:data:`PART_LOADERS`      an engine that runs a part of a model file                  ``LocalRunner(engine=)``
:data:`SOURCES`           where frames come from, by the scheme of its URI            ``LocalRunner(source)``
========================  ==========================================================  =======================

Each takes an object with what its Protocol asks for in place of a name. A name is made known by ``register(part)``, or
by an installed package with an entry point in the group ``mainstream.methods``, ``mainstream.event_models``,
``mainstream.part_loaders`` or ``mainstream.sources``; then the command line and problem files know it, too.
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
        Whether it goes on until the gap asked for is proven, as long as its limits allow.
    """

    name: str
    aggregates: Collection[str]
    exact: bool

    def maximise(self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: _Ints) -> Outcome:
        """The schedule of largest mean, or largest smallest, value that it finds within a budget.

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
    """What a method may also have: ``frontier()`` then gives each search the best schedule of the smaller budgets."""

    def improve(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: NDArray[np.int32]
    ) -> Outcome:
        """As :meth:`Method.maximise`, from a schedule that fits the budget.

        Parameters
        ----------
        first : (N,) int32 array
            Its cell for each app, as :meth:`~mainstream.solver.joint_table.JointTable.schedules` takes them.
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
        """Frames that are analysed in a window with an event, on average.

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
        """What P(hit | miss) is of p: 1 - correlation where successive frames are a chain, 1 where they are free.

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
            Windows without an event for each with one; NaN where that is not known.

        Returns
        -------
        (N, R) array, (N,) array
            Frames that are analysed in one stretch without an event, and such stretches for each event.
        """
        ...


@runtime_checkable
class Mixture(Protocol):
    """What an event model may also have: with it, each app's spread of accuracy and lengths of events count.

    Its `frames` and `negatives` are asked for each length of each app, N being their number, `freedom` for each rate of
    each app.
    """

    def correlations(self, correlation: _Floats, correlation_fps: _Floats, rates: _Floats) -> _Floats:
        """Correlation between successive analysed frames at each rate.

        Parameters
        ----------
        correlation, correlation_fps : (N, 1) arrays
            What was measured, and the analysed frames a second at that; NaN where that is not known.
        rates : (R,) or (N, R) array

        Returns
        -------
        (N, R) array, in [0, 1]
        """
        ...


class Part(Protocol):
    """The layers between two tensors of a model, ready to run; several threads may call it.

    Attributes
    ----------
    input_shape, output_shape : tuple of (int or None), or None
        What it takes and gives; None where any number will do, such as the batch, or all where it is not known.
    """

    input_shape: tuple[int | None, ...] | None
    output_shape: tuple[int | None, ...] | None

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        """Run it on a batch of `input_shape`; a :class:`ProblemError` where that cannot be."""
        ...


class PartLoader(Protocol):
    """An engine: it runs parts of model files.

    An engine that computes in other threads than the one that calls has an attribute ``own_threads``, True: what its
    parts take of a core is then not told, since it cannot be measured.

    An engine that can compare models has a method ``check_stem(stem, own, layer, *, trusted)``. It raises a
    :class:`ProblemError` where the layers up to that tensor have other weights in the file `own`, of a tail, than in
    the file `stem`, from which they are taken.

    An engine for which something can be done beforehand, such as a conversion, has a method ``make_ready(path, *,
    trusted)``, which does it for a model file that may be loaded later, while others run.

    Attributes
    ----------
    name : str
    """

    name: str

    def start(self) -> None:
        """Get ready, before the first part is loaded; a :class:`MissingExtraError` where a package is missing."""
        ...

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        """The layers between two tensors of a model file.

        Parameters
        ----------
        path : Path
        input_layer, output_layer : str
        trusted : bool
            The file may do all that the engine can make it do; else it may compute, and neither read nor write files,
            talk to others, nor run code of its own.

        Raises
        ------
        ProblemError
            The file is no model that it can run, has no such tensor, or no way from the one to the other; the message
            begins with the key that is to blame: ``model_path``, ``input_layer`` or ``output_layer``.
        """
        ...


class Source(Protocol):
    """A stream of frames; it is iterated once.

    Attributes
    ----------
    fps : float
        The stream's frames a second; of a live one those at first, since the runtime goes on measuring.
    live : bool
        Whether frames come when the camera takes them, asked for or not.
    reconnects : int
        How many times a camera that was lost has come back.
    damaged : int
        How many frames were left out because they are damaged.
    """

    fps: float
    live: bool
    reconnects: int
    damaged: int

    def __iter__(self) -> Iterator[Frame]:
        """The frames, each when it is due; a :class:`ProblemError` where the stream is damaged."""
        ...

    def close(self) -> None:
        """End the stream, also for a thread that waits for its next frame."""
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
        """The source of a URI.

        Parameters
        ----------
        uri : str
        loop : bool
            Begin again at the end, where there is one.
        paced : bool
            Frames come at their rate by the clock; else as fast as they are taken. Cameras pace themselves.

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
