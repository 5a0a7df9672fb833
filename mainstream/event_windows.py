"""What the kernels need to know about apps besides their curves: frames in windows, chains, false alarms.

Event models that are a :class:`~mainstream.extensions.Mixture` let events differ. D(x, rho_r, L r / 1000) is the share
of windows of length L that are detected with per-frame accuracy x and a chain of correlation rho_r, at r frames a
second.

Lengths. An app's events have the lengths L_1..L_J, each as often as the others, and so do its windows without an event:

    recall = mean_j E_x[D(x, rho_r, L_j r/1000)],    alarms = (1-e)/e mean_j D(q, rho'_r, L_j r/1000)

False alarms. What is taken for an event on one frame is often taken for one on the next frame, too. So each model has
its own correlation rho' of frames without an event. Where rho' is not known, it is that of events.

Accuracy. Events differ: x has a Beta distribution with mean p and variance s p (1-p), where s is the spread. So the
hits in a window without a chain are beta-binomial. D is a polynomial in x. With the Chebyshev nodes
x_k = (1 + cos(pi (k + 1/2) / K)) / 2, and with m_i = E[T_i(2x - 1)], the mean of the Chebyshev polynomials over that
Beta distribution,

    E_x[D] = sum_k w_k D(x_k),    w_k = (1/K) sum_(i<K) (2 - [i = 0]) m_i cos(i pi (k + 1/2) / K)

is exact up to K - 1 frames. Beyond that it is off by less than 0.001 for p from 0.3 on and s up to 0.3. Without votes
and with p far below 0.3 it is off by more: 0.013 at 100 frames and 0.22 at 300 were seen, with s = 0.4. It is cheap
because the nodes are the same for all points of the curve. The m_i come from a recursion with three terms (R. Piessens
and M. Branders, "The evaluation and application of some modified moments", BIT 13, 1973),

    (1 - s + i s) m_(i+1) = 2 (1 - s) (2p - 1) m_i - (1 - s - i s) m_(i-1),    m_0 = 1, m_1 = 2p - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.apps import IntArray
from mainstream.blocks import over_blocks
from mainstream.errors import ProblemError
from mainstream.event_kernels import RECALL, MixedMemory, PassMemory, fill_mixed_values, fill_values
from mainstream.event_models import MOST
from mainstream.extensions import EventModel, Mixture
from mainstream.problem import FloatArray

NODES: Final = 16
"""K, which is at most what one pass takes."""
_ANGLES: Final = np.pi * (np.arange(NODES) + 0.5) / NODES
_X: Final = (1 + np.cos(_ANGLES)) / 2
_TRANSFORM: Final = np.cos(np.arange(NODES)[:, None] * _ANGLES) * np.where(np.arange(NODES) == 0, 1, 2)[:, None] / NODES
"""From moments to weights, (K, K)."""

Values = tuple[NDArray[np.float64], NDArray[np.int8]]


class EventColumns(NamedTuple):
    """How long and how often the events of N apps are; (N,) arrays, except for the lengths."""

    event_length_ms: FloatArray
    event_frequency: FloatArray
    correlation: FloatArray
    correlation_fps: FloatArray
    accuracy_spread: FloatArray
    event_lengths_ms: FloatArray
    """(N, J), rising, NaN after the last of each app; a row of NaN means that the app's events have one length."""


class Windows(NamedTuple):
    """Windows that are all alike; :func:`fill_values` explains the fields."""

    frames: tuple[FloatArray, FloatArray]
    chains: tuple[FloatArray, FloatArray, IntArray]
    blame: FloatArray

    def values(self, metric: int, p: FloatArray, q: FloatArray, meanwhile: Callable[[], None] | None = None) -> Values:
        """Values and votes (N, F, R) of curves (N, F); calls `meanwhile` between blocks of apps."""
        filled = _empty(p, self.frames[0].shape[1])
        freedom, correlation, x_vote = self.chains

        def fill(some: slice) -> None:
            fill_values(
                metric,
                (plain(p[some]), plain(q[some])),
                (freedom[some], correlation[some], x_vote[some]),
                (self.frames[0][some], self.frames[1][some]),
                self.blame[some],
                PassMemory.of(self.frames[0].shape[1]),
                (filled[0][some], filled[1][some]),
            )

        over_blocks(filled[0], fill, meanwhile)
        return filled

    def alarms(self, q: FloatArray) -> FloatArray:
        """Alarms for each event, (N, F, R)."""
        turned = self._replace(frames=self.frames[::-1])
        alarms: FloatArray = self.blame[:, None, None] * turned.values(RECALL, q, q)[0]
        return alarms


class MixedWindows(NamedTuple):
    """Windows that differ; :func:`fill_mixed_values` explains the fields."""

    frames: tuple[FloatArray, FloatArray]
    chains: tuple[FloatArray, FloatArray, IntArray]
    others: tuple[FloatArray, FloatArray]
    shares: tuple[FloatArray, FloatArray]
    lengths: IntArray
    spread: FloatArray

    def values(self, metric: int, p: FloatArray, q: FloatArray, meanwhile: Callable[[], None] | None = None) -> Values:
        """Values and votes (N, F, R) of curves (N, F); calls `meanwhile` between blocks of apps."""
        filled = _empty(p, self.frames[0].shape[1])
        freedom, correlation, x_vote = self.chains
        most = self.frames[0].shape[2]

        def fill(some: slice) -> None:
            fill_mixed_values(
                metric,
                (plain(p[some]), plain(q[some])),
                (_X, _TRANSFORM, self.spread[some]),
                (freedom[some], correlation[some], x_vote[some]),
                (self.others[0][some], self.others[1][some]),
                (self.frames[0][some], self.frames[1][some]),
                (self.shares[0][some], self.shares[1][some]),
                self.lengths[some],
                PassMemory.of(most),
                MixedMemory.of(most, NODES),
                (filled[0][some], filled[1][some]),
            )

        over_blocks(filled[0], fill, meanwhile)
        return filled

    def alarms(self, q: FloatArray) -> FloatArray:
        """Alarms for each event, (N, 1, R), of curves (N, 1)."""
        turned = self._replace(
            frames=self.frames[::-1],
            chains=(plain(self.others[0][:, 0]), plain(self.others[1][:, 0]), self.chains[2]),
            shares=self.shares[::-1],
            spread=np.zeros_like(self.spread),
        )
        return turned.values(RECALL, q, q)[0]


def windows_of(
    event_model: EventModel,
    events: EventColumns,
    false_correlations: FloatArray,
    x_vote: NDArray[np.number],
    rates: FloatArray,
    stream_fps: FloatArray | float,
) -> Windows | MixedWindows:
    """The windows of N apps under an event model.

    Parameters
    ----------
    event_model : EventModel
    events : EventColumns
    false_correlations : (N, F) array
        NaN where that of events holds.
    x_vote : (N,) array
    rates : (R,) or (N, R) array
    stream_fps : float or (N, R) array

    Raises
    ------
    ProblemError
        The model gave an array of another shape.
    """
    with np.errstate(over="ignore"):
        odds = np.minimum((1 - events.event_frequency) / events.event_frequency, MOST)
    votes = x_vote.astype(np.int64)
    if isinstance(event_model, Mixture):
        return _mixed(event_model, event_model, events, false_correlations, odds, votes, rates, stream_fps)
    frames, other_frames, blame = _frames(event_model, events.event_length_ms, odds, rates, stream_fps)
    freedom = event_model.freedom(events.correlation, votes)
    _check_shape(event_model, "freedom()", freedom, (len(votes),), frames.shape)
    return Windows((frames, other_frames), (plain(freedom), plain(events.correlation), votes), blame)


def _mixed(
    event_model: EventModel,
    mixture: Mixture,
    events: EventColumns,
    false_correlations: FloatArray,
    odds: FloatArray,
    votes: IntArray,
    rates: FloatArray,
    stream_fps: FloatArray | float,
) -> MixedWindows:
    known = (~np.isnan(events.event_lengths_ms)).sum(axis=1)
    lengths = np.full((len(known), max(1, events.event_lengths_ms.shape[1])), np.nan)
    lengths[:, : events.event_lengths_ms.shape[1]] = events.event_lengths_ms
    lengths[known == 0, 0] = events.event_length_ms[known == 0]
    n, each = lengths.shape
    counts = np.maximum(known, 1)

    def chains(correlation: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Freedom and correlation at each rate, (N, K, R), of correlations (N, K)."""
        k = correlation.shape[1]
        shape = (n * k, rates.shape[-1])
        measured_at = np.repeat(events.correlation_fps, k)[:, None]
        at_rates = np.repeat(rates, k, axis=0) if rates.ndim == 2 else rates
        correlations = mixture.correlations(correlation.reshape(-1, 1), measured_at, at_rates)
        _check_shape(event_model, "correlations()", correlations, shape, shape)
        freedom = event_model.freedom(correlations.ravel(), np.repeat(votes, k * shape[1]))
        _check_shape(event_model, "freedom()", freedom, (shape[0] * shape[1],), shape)
        return plain(freedom.reshape(n, k, -1)), plain(correlations.reshape(n, k, -1))

    own = events.correlation[:, None]
    freedom, correlations = (one[:, 0] for one in chains(own))
    rate = np.repeat(rates, each, axis=0) if rates.ndim == 2 else rates
    stream = np.repeat(stream_fps, each, axis=0) if isinstance(stream_fps, np.ndarray) else stream_fps
    *frames, blame = _frames(event_model, lengths.ravel(), np.repeat(odds, each), rate, stream)
    by_length = [plain(np.moveaxis(one.reshape(n, each, -1), 1, 2)) for one in frames]
    share = np.broadcast_to(1.0 / counts[:, None], (n, each))
    return MixedWindows(
        frames=(by_length[0], by_length[1]),
        chains=(plain(freedom), plain(correlations), votes),
        others=chains(np.where(np.isnan(false_correlations), own, false_correlations)),
        shares=(plain(share), plain(blame.reshape(n, each) * share)),
        lengths=counts,
        spread=np.nan_to_num(events.accuracy_spread),
    )


def _frames(
    event_model: EventModel,
    length_ms: FloatArray,
    odds: FloatArray,
    rates: FloatArray,
    stream_fps: FloatArray | float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Frames in windows with and without an event, (N, R), and windows without an event for each with one, (N,)."""
    frames = event_model.frames(length_ms[:, np.newaxis], rates, stream_fps)
    other_frames, blame = event_model.negatives(frames, odds)
    shape = (len(length_ms), rates.shape[-1])
    _check_shape(event_model, "frames()", frames, shape, shape)
    _check_shape(event_model, "negatives()", other_frames, shape, shape)
    _check_shape(event_model, "negatives()", blame, shape[:1], shape)
    return plain(frames), plain(other_frames), plain(blame)


def _check_shape(
    event_model: EventModel, name: str, array: FloatArray, wanted: tuple[int, ...], size: tuple[int, ...]
) -> None:
    if np.shape(array) != wanted:
        raise ProblemError(
            f"event_model {event_model.name}: {name} gave an array of shape {np.shape(array)}; "
            f"for {size[0]} apps and {size[1]} rates it has to be {wanted}"
        )


def _empty(p: FloatArray, rates: int) -> Values:
    return np.empty((*p.shape, rates)), np.empty((*p.shape, rates), dtype=np.int8)


def plain(array: FloatArray) -> FloatArray:
    """`array` in the one type that the kernels are compiled for; not copied if it has that type."""
    # np.require takes ten times as long to find that there is nothing to do.
    if array.dtype == np.float64 and array.flags.carray:
        return array
    return np.require(array, np.float64, ["C", "W"])
