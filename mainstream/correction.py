"""A profile, corrected by what the parts of a schedule took when they were measured.

Part i holds the layers a_i..b_i - 1 and ran n_i times. With p_k the profile's latency of layer k, it was predicted to
take P_i = p_{a_i} + ... + p_{b_i - 1} each time, and took m_i. Its factor is

    f_i = m_i / P_i.

A layer may be in several parts: in the stem, in tails that begin before it, in whole networks. Its latency becomes
p_k x_k, where x_k is the mean of their factors, weighted by how often they ran:

    x_k = sum_i n_i f_i / sum_i n_i,   over the parts i that hold layer k.

So the measured schedule is now predicted to cost what it did cost: the sum over all parts of n_i sum_k p_k x_k equals
that of n_i f_i P_i = n_i m_i. Parts that disagree about a layer are moved towards each other, not fitted one by one.
This is one step of the Richardson-Lucy algorithm (Shepp and Vardi, "Maximum likelihood reconstruction for emission
tomography", IEEE Transactions on Medical Imaging 1, 1982); each round of the loop takes another one.

A part counts when it ran at least 5 times and f_i is between 1/20 and 20: a profile that is further off was measured in
another unit or on another kind of device. Layers that no such part holds take the factor of all parts that count
together.

No factor can correct a latency of 0. So where P_i is 0, which noise can cause for a few layers, the layers of the part
begin with p_k = m_i / (b_i - a_i), if that is no more than 20 times the whole network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

import numpy as np

from mainstream.problem import FloatArray, Model

LEAST_RUNS: Final = 5
LARGEST_FACTOR: Final = 20.0
_Name = TypeVar("_Name", bound=str | None)
_CORRECTED: Final = re.compile(r"(, )?corrected by measured compute, \d{4}-\d\d-\d\d$")


@dataclass(frozen=True)
class MeasuredPart:
    """One part of a schedule that was measured.

    Attributes
    ----------
    app_id : int, str or None
        The app that the part belongs to; None for a part of the stem.
    start, stop : int
        Its layers, start..stop-1.
    runs : int
        Frames on which it ran.
    measured_core_s : float
        Seconds of a core that these frames took.
    predicted_core_s : float or None
        The seconds that the profile predicts; None where its unit is not the millisecond.
    """

    app_id: int | str | None
    start: int
    stop: int
    runs: int
    measured_core_s: float
    predicted_core_s: float | None

    @property
    def factor(self) -> float | None:
        """Measured over predicted; None where there is too little to compare."""
        return _factor(self.runs, self.measured_core_s, self.predicted_core_s or 0.0)


def corrected(model: Model, parts: Sequence[MeasuredPart]) -> Model:
    """The profile with the measured latencies of the parts; the same profile where no part counts."""
    latencies = _without_nothing(model, parts)
    prefix = np.concatenate([[0.0], np.cumsum(latencies)])
    runs, weighted = np.zeros((2, model.total_layers))
    measured = predicted = 0.0
    for part in parts:
        if part.factor is None and part.predicted_core_s != 0:
            continue
        seconds = part.runs * float(prefix[part.stop] - prefix[part.start]) / 1000
        factor = _factor(part.runs, part.measured_core_s, seconds)
        if factor is not None:
            runs[part.start : part.stop] += part.runs
            weighted[part.start : part.stop] += part.runs * factor
            measured += part.measured_core_s
            predicted += seconds
    if not predicted:
        return model
    factors = np.where(runs > 0, weighted / np.maximum(runs, 1), measured / predicted)
    before = _CORRECTED.sub("", model.measured_on or "")
    note = f"{', ' if before else ''}corrected by measured compute, {date.today().isoformat()}"
    return Model.of(
        model.model_dump(exclude_defaults=True)
        | {
            "layer_latencies": tuple((latencies * factors).tolist()),
            "measured_on": before + note,
            "whole_network_ms": None,
        }
    )


def corrected_each(models: Mapping[_Name, Model], parts: Mapping[_Name, Sequence[MeasuredPart]]) -> dict[_Name, Model]:
    """The profile of each stream, corrected by the parts of all the streams that have the same base network.

    Parameters
    ----------
    models : mapping of Model
        Name of the stream -> its model.
    parts : mapping of sequence of MeasuredPart
        Name of the stream -> its parts; a stream that was not measured is missing.
    """
    known: list[tuple[Model, Model]] = []
    for model in models.values():
        if all(model != before for before, _ in known):
            those = [part for name, one in models.items() if one == model for part in parts.get(name, ())]
            known.append((model, corrected(model, those)))
    return {name: next(new for before, new in known if before == model) for name, model in models.items()}


def _factor(runs: int, measured_s: float, predicted_s: float) -> float | None:
    """Measured over predicted; None where there is too little to compare."""
    if runs < LEAST_RUNS or not predicted_s:
        return None
    factor = measured_s / predicted_s
    return factor if 1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR else None


def _without_nothing(model: Model, parts: Sequence[MeasuredPart]) -> FloatArray:
    """The latencies, (total_layers,); a part of latency 0 that took time when measured gets that time."""
    latencies = np.array(model.layer_latencies)
    for part in parts:
        if part.predicted_core_s == 0 and part.runs >= LEAST_RUNS:
            each = 1000 * part.measured_core_s / part.runs
            if each <= LARGEST_FACTOR * model.prefix[-1]:
                layers = latencies[part.start : part.stop]
                np.maximum(layers, each / len(layers), out=layers)
    return latencies
