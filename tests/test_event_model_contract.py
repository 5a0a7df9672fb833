"""One contract for all event models, those that come along and a third party's."""

from __future__ import annotations

import numpy as np
import pytest
from support.third_party_solver import DELAYED, Delayed

from mainstream import ProblemError
from mainstream.events import event_metrics
from mainstream.extensions import EVENT_MODELS, EventModel

EVERY = [*(EVENT_MODELS[name] for name in EVENT_MODELS.built_in), DELAYED]
EACH = pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)

LENGTH_MS = np.array([[300.0], [2000.0], [9000.0]])
RATES = np.array([0.5, 1.0, 3.0, 10.0])
STREAM_FPS = 10.0


@EACH
def test_frames_rise_with_the_rate_and_the_length(model: EventModel) -> None:
    frames = model.frames(LENGTH_MS, RATES, STREAM_FPS)
    assert frames.shape == (3, 4)
    assert (frames >= 0).all() and np.isfinite(frames).all()
    assert (np.diff(frames, axis=1) >= 0).all() and (np.diff(frames, axis=0) >= 0).all()
    own_rates = model.frames(LENGTH_MS, np.tile(RATES, (3, 1)), np.full((3, 4), STREAM_FPS))
    np.testing.assert_allclose(own_rates, frames)


@EACH
def test_freedom_is_a_share(model: EventModel) -> None:
    freedom = model.freedom(np.array([0.0, 0.4, 1.0]), np.array([0, -1, 3]))
    assert freedom.shape == (3,)
    assert ((freedom >= 0) & (freedom <= 1)).all()


@EACH
def test_negatives_are_as_many_as_events_are_rare(model: EventModel) -> None:
    frames = model.frames(LENGTH_MS, RATES, STREAM_FPS)
    seen, stretches = model.negatives(frames, np.array([0.0, 4.0, np.nan]))
    assert seen.shape == (3, 4) and stretches.shape == (3,)
    # Events that fill all windows leave nothing to be wrong about; where nobody knows how rare they are, nobody says.
    assert (seen[0] * stretches[0] == 0).all()
    np.testing.assert_allclose(seen[1] * stretches[1], 4 * frames[1])
    assert np.isnan(stretches[2])


@EACH
@pytest.mark.parametrize("votes", [0, 1, 3])
def test_metrics_are_shares_that_hang_together(model: EventModel, votes: int) -> None:
    recall, precision, f1 = event_metrics(
        np.array([[0.0], [0.6], [1.0]])[..., None],
        0.05,
        event_length_ms=2000,
        event_frequency=0.2,
        correlation=0.3,
        stream_fps=STREAM_FPS,
        target_fps=RATES,
        x_vote=votes,
        event_model=model,
    )
    for metric in (recall, precision, f1):
        assert ((metric >= 0) & (metric <= 1)).all()
    assert (np.diff(recall, axis=-1) >= -1e-12).all()  # more frames never find less
    assert (recall[0] == 0).all()
    both = recall + precision
    np.testing.assert_allclose(f1, np.divide(2 * recall * precision, both, out=np.zeros_like(f1), where=both > 0))


def test_a_third_partys_model_changes_what_is_seen() -> None:
    given = {"event_frequency": 0.2, "correlation": 0.0, "stream_fps": 10, "target_fps": 2}
    late = event_metrics(0.7, 0.1, event_length_ms=2500, event_model=DELAYED, **given)
    usual = event_metrics(0.7, 0.1, event_length_ms=2000, event_model="windowed", **given)
    np.testing.assert_allclose(late, usual)


@pytest.mark.parametrize("broken", ["frames", "freedom", "negatives"])
def test_arrays_of_another_shape_are_refused(broken: str) -> None:
    class Broken(Delayed):
        name = "broken"

    setattr(Broken, broken, lambda self, *given: (np.zeros(7), np.zeros(7)) if broken == "negatives" else np.zeros(7))
    with pytest.raises(ProblemError, match=rf"event_model broken: {broken}\(\) gave an array of shape \(7,\); for 1 a"):
        event_metrics(
            0.7,
            0.1,
            event_length_ms=2500,
            event_frequency=0.2,
            correlation=0,
            stream_fps=10,
            target_fps=2,
            event_model=Broken(),
        )
