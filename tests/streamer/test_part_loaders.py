"""One contract for all engines: those that come along, on all their kinds of files, and a third party's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from support.keras_models import plain
from support.onnx_models import write_channels_first, write_channels_last
from support.third_party import MATRICES, write_matrices

from mainstream import ProblemError
from mainstream.extensions import PART_LOADERS, Part, PartLoader
from mainstream.graphs.shapes import fits
from mainstream.registry import check_has

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)


class Case(NamedTuple):
    """An engine, a model for it, and three of the model's tensors: the frame, one in the middle, the scores."""

    loader: PartLoader
    model: Path
    ends: tuple[str, str, str]
    side: int


def _keras(path: Path) -> None:
    plain().save(path)


def _frozen(path: Path) -> None:
    from mainstream.trainer.freeze import freeze

    freeze(plain(), path)


CASES: dict[str, tuple[Callable[[], PartLoader], str, Callable[[Path], None], tuple[str, str, str]]] = {
    "tensorflow, pb": (lambda: PART_LOADERS["tensorflow"], "net.pb", _frozen, ("frame", "add", "softmax")),
    "tensorflow, keras": (lambda: PART_LOADERS["tensorflow"], "net.keras", _keras, ("frame", "add", "softmax")),
    "onnx, pb": (lambda: PART_LOADERS["onnx"], "net.pb", _frozen, ("frame", "add", "softmax")),
    "onnx, keras": (lambda: PART_LOADERS["onnx"], "net.keras", _keras, ("frame", "add", "softmax")),
    "onnx, channels last": (lambda: PART_LOADERS["onnx"], "net.onnx", write_channels_last, ("frame", "add", "softmax")),
    "onnx, channels first": (
        *(lambda: PART_LOADERS["onnx"], "net.onnx"),
        *(write_channels_first, ("frame", "add", "softmax")),
    ),
    "auto, pb": (lambda: PART_LOADERS["auto"], "net.pb", _frozen, ("frame", "add", "softmax")),
    "matrices": (lambda: MATRICES, "net.npz", write_matrices, ("frame", "hidden", "scores")),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    loader, name, write, ends = CASES[request.param]
    path = tmp_path_factory.mktemp("model") / name
    write(path)
    found = loader()
    found.start()
    return Case(found, path, ends, 16)


def frames(case: Case, count: int = 1, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 255, (count, case.side, case.side, 3)).astype(np.float32)


def test_every_engine_that_comes_along_is_in_the_contract() -> None:
    assert {loader().name for loader, _, _, _ in CASES.values()} - {"matrices"} == set(PART_LOADERS.built_in)


def test_it_has_what_an_engine_and_a_part_have_to_have(case: Case) -> None:
    check_has("engine", case.loader, PartLoader)
    assert case.loader.name and isinstance(case.loader.name, str)
    case.loader.start()  # a second runner in the same process
    check_has("part", case.loader.load(case.model, case.ends[0], case.ends[2], trusted=False), Part)


def test_a_stem_and_its_tail_give_what_the_whole_gives(case: Case) -> None:
    first, middle, last = case.ends
    whole, stem, tail = (
        case.loader.load(case.model, *ends, trusted=False) for ends in [(first, last), (first, middle), (middle, last)]
    )
    batch = frames(case)
    between = stem(batch)
    assert fits(batch.shape, stem.input_shape) and fits(between.shape, tail.input_shape)
    assert fits(stem.output_shape, tail.input_shape) and fits(between.shape, stem.output_shape)
    scores = tail(between)
    assert isinstance(scores, np.ndarray) and scores.shape[0] == 1 and scores.ndim == 2
    np.testing.assert_allclose(scores, whole(batch), rtol=1e-5, atol=1e-5)


def test_several_threads_may_call_a_part(case: Case) -> None:
    part = case.loader.load(case.model, case.ends[0], case.ends[2], trusted=False)
    batches = [frames(case, seed=seed) for seed in range(40)]
    alone = [part(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        for one, other in zip(alone, threads.map(part, batches), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_batch_of_another_shape_is_refused(case: Case) -> None:
    part = case.loader.load(case.model, case.ends[0], case.ends[2], trusted=False)
    for batch in (np.zeros((1, case.side, case.side, 4)), np.zeros((case.side, 3))):
        with pytest.raises(ProblemError, match="shape") as caught:
            part(batch)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "spoil"),
    [
        ("model_path", lambda path, ends: (path.with_name(f"no such{path.suffix}"), ends[0], ends[2])),
        ("model_path", lambda path, ends: (_damaged(path), ends[0], ends[2])),
        ("input_layer", lambda path, ends: (path, "no such", ends[2])),
        ("output_layer", lambda path, ends: (path, ends[0], "no such")),
        ("output_layer", lambda path, ends: (path, ends[1], ends[0])),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_its_key_in_one_line(
    case: Case, key: str, spoil: Callable[[Path, tuple[str, str, str]], tuple[Any, ...]]
) -> None:
    with pytest.raises(ProblemError, match=f"^{key}: ") as caught:
        case.loader.load(*spoil(case.model, case.ends), trusted=False)
    assert "\n" not in str(caught.value)


def _damaged(path: Path) -> Path:
    other = path.with_name(f"damaged{path.suffix}")
    other.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    return other
