"""Training: one curve and one package from labelled images; what is shared, kept, gone on with."""

from __future__ import annotations

import csv
import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.labelled_images import CHOKEPOINTS, CLASSES, draw, network, weights

from mainstream.errors import ProblemError
from mainstream.formats.curve import load_curve
from mainstream.formats.package import Estimate, Events, pareto, read_package, save_package
from mainstream.graphs.backend import tensorflow
from mainstream.trainer import Training, train

TRAINED = tuple(CHOKEPOINTS)[:-1]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("images") / "shapes")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network(tmp_path_factory.mktemp("net") / "tiny.keras")


class Here:
    """Trains in one folder, with few epochs."""

    def __init__(self, folder: Path, net: Path, images: Path) -> None:
        self.models, self.logs = folder / "models", folder / "logs"
        self.net, self.images = net, images

    def __call__(self, name: str = "shapes", *, images: Path | None = None, **keywords: Any) -> Training:
        ours = {"keep_all", "cache_gb", "resume", "progress", "groups", "test_images", "formats"}
        given = {key: keywords.pop(key) for key in ours & keywords.keys()}
        settings = {"net": str(self.net), "max_nb_epoch": 4, "learning_rate": 0.01, **keywords}
        chosen = images or self.images
        return train(name, chosen, model_dir=self.models, log_dir=self.logs, settings=settings, **given)

    def model(self, num_frozen: int, name: str = "shapes") -> dict[str, list[Any]]:
        return weights(self.models / name / "models" / f"{num_frozen}.keras")


@pytest.fixture
def here(tmp_path: Path, net: Path, images: Path) -> Here:
    return Here(tmp_path, net, images)


def measured(training: Training) -> dict[int, list[tuple[Any, ...]]]:
    """All that is measured on the way, without the times."""
    return {k: [epoch[:-1] for epoch in history] for k, history in training.histories.items()}


def test_a_package_a_curve_and_a_history_come_out(here: Here) -> None:
    done = here(keep_all=True)
    package, curve = read_package(here.models / "shapes")
    assert (package, curve) == (done.package, done.curve)
    assert package.chokepoints == CHOKEPOINTS
    assert package.classes == CLASSES
    assert (package.name, package.network, package.height, package.width) == ("shapes", "tiny", 16, 16)
    assert package.models == {k: f"models/{k}.pb" for k in TRAINED}
    assert package.training["max_nb_epoch"] == 4
    # Every test image has its say in a share of this curve: it is a whole number of them.
    assert package.tested is not None
    assert package.tested.accuracy == package.tested.false_positive_rate
    for accuracy in curve.accuracies.values():
        assert accuracy * package.tested.accuracy == pytest.approx(round(accuracy * package.tested.accuracy))
    assert set(package.versions) == {"mainstream", "tensorflow", "keras", "python"}
    for k in TRAINED:
        assert (done.folder / f"models/{k}.pb").is_file() and (done.folder / f"models/{k}.keras").is_file()
    lines = (here.logs / "shapes-accuracy").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == [str(k) for k in TRAINED]
    for k, accuracy, rate in (line.split(",") for line in lines):
        assert (float(accuracy), float(rate)) == (curve.accuracies[int(k)], (curve.false_positive_rates or {})[int(k)])
    with (here.logs / "shapes-history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["num_frozen"]) for row in rows} == {*TRAINED}
    assert sorted(path.name for path in here.logs.iterdir()) == [
        "shapes-accuracy",
        "shapes-history.csv",
        "shapes-state.json",
    ]


def test_something_is_learnt(here: Here) -> None:
    done = here(max_nb_epoch=30, patience=30, learning_rate=0.02, chokepoints=(5,))
    assert done.curve.accuracies[5] > 0.7


def test_the_models_that_pareto_leaves_out_go_at_the_end(here: Here) -> None:
    done = here()
    kept = pareto(done.curve)
    assert 0 < len(kept) < len(TRAINED), "these images no longer tell"
    names = {path.name for path in (done.folder / "models").iterdir()}
    assert names == {f"{k}.{suffix}" for k in kept for suffix in ("pb", "keras")}
    assert set(load_curve(done.folder / "curve.csv").accuracies) == {*TRAINED}


def test_models_are_onnx_too_where_that_is_asked_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra onnx", exc_type=ImportError)
    from mainstream.onnx_graphs.part import OnnxPart

    with pytest.raises(ProblemError, match=r"^formats: got \['pb', 'tflite'\]; allowed: pb"):
        here(formats=("pb", "tflite"))
    done = here(chokepoints=(5,), formats=("pb", "onnx"))
    folder = done.folder / "models"
    assert {path.name for path in folder.iterdir()} == {"5.pb", "5.keras", "5.onnx"}
    ends = CHOKEPOINTS[0], CHOKEPOINTS[max(CHOKEPOINTS)]
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)  # nothing can be converted any more
    frame = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3))
    scores = OnnxPart(folder / "5.pb", *ends)(frame)
    np.testing.assert_array_equal(OnnxPart(folder / "5.onnx", *ends)(frame), scores)
    assert scores.shape == (1, len(CLASSES))


def test_same_seed_same_curve_cached_or_computed_anew(here: Here, tmp_path: Path) -> None:
    cached = here("cached")
    again = here("again")
    computed = here("computed", cache_gb=0)
    some = here("some", cache_gb=60 * 8 * 8 * 8 * 4 / 1e9)  # the shallowest activations do not fit
    other = here("other", seed=1)
    assert measured(cached) == measured(again)
    assert cached.curve == again.curve == computed.curve == some.curve
    assert measured(other) != measured(cached)
    for k, history in cached.histories.items():
        for anew in (computed, some):
            np.testing.assert_allclose(
                [epoch.validation_loss for epoch in history],
                [epoch.validation_loss for epoch in anew.histories[k]],
                rtol=1e-4,
            )


def test_frozen_layers_are_the_base_networks_to_the_last_bit(here: Here, net: Path) -> None:
    base, order = weights(net), list(weights(net))
    here(keep_all=True, batch_norm=True)
    for k in TRAINED:
        model = here.model(k)
        for number, layer in enumerate(order):
            equal = all((a == b).all() for a, b in zip(base[layer], model[layer], strict=True))
            assert equal or number >= k, f"num_frozen {k}: {layer} has changed"
        assert not all((a == b).all() for a, b in zip(base["softmax"], model["softmax"], strict=True))


def test_two_apps_have_the_same_stem_to_the_last_bit(here: Here, tmp_path: Path) -> None:
    here("one", keep_all=True)
    here("two", keep_all=True, images=draw(tmp_path / "others", seed=5))
    for k in TRAINED[1:]:
        stems = [constants(here.models / name / f"models/{k}.pb", CHOKEPOINTS[k]) for name in ("one", "two")]
        assert stems[0] == stems[1], k
        assert stems[0]
    assert read_package(here.models / "one")[0].weights_digest == read_package(here.models / "two")[0].weights_digest


def constants(path: Path, tensor: str) -> dict[str, str]:
    """All that a tensor of a frozen graph depends on: name -> digest of the node."""
    graph = tensorflow().compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    nodes = {node.name: node for node in graph.node}
    needed: dict[str, str] = {}
    todo = [tensor]
    while todo:
        node = nodes[todo.pop().lstrip("^").split(":")[0]]
        needed[node.name] = hashlib.sha256(node.SerializeToString(deterministic=True)).hexdigest()
        todo += [name for name in node.input if name not in needed]
    return needed


def test_batch_norm_statistics_stay_unless_asked_for(here: Here, net: Path) -> None:
    base = weights(net)
    here("inference", keep_all=True)
    here("training", keep_all=True, batch_norm=True, early_stop=False)
    for k in TRAINED:
        for layer, behind in {"block_1_bn": k <= 3, "block_2_project_bn": k <= 9}.items():
            gamma, _, mean, variance = here.model(k, "inference")[layer]
            assert (mean == base[layer][2]).all() and (variance == base[layer][3]).all()
            assert (gamma != base[layer][0]).any() == behind or not behind
            assert (here.model(k, "training")[layer][2] != base[layer][2]).any() == behind


def test_a_warm_start_begins_with_the_trained_tail_of_the_next_deeper_chokepoint(here: Here) -> None:
    warm = here("warm", early_stop=False).histories
    for k, deeper in pairwise(TRAINED):
        assert warm[k][0].validation_loss == pytest.approx(warm[deeper][-1].validation_loss, rel=1e-4)
    cold = here("cold", early_stop=False, warm_start=False).histories
    for k in TRAINED:
        assert cold[k][0].validation_loss == pytest.approx(cold[15][0].validation_loss, rel=1e-4)


def test_early_stopping_keeps_the_best_epoch_and_waits_for_patience(here: Here) -> None:
    done = here(max_nb_epoch=40, patience=2, learning_rate=0.3, chokepoints=(0,))
    losses = [epoch.validation_loss for epoch in done.histories[0]]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 41
    # Training that goes on from there begins where the best epoch was.
    carried = here("carried", max_nb_epoch=40, patience=2, learning_rate=0.3, chokepoints=(5,)).histories
    assert carried[0][0].validation_loss == pytest.approx(min(e.validation_loss for e in carried[5]), rel=1e-4)


class Interrupt:
    """Ctrl-C after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def __call__(self, progress: Any) -> None:
        self.left -= progress.stage == "training"
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, net: Path, images: Path) -> tuple[Here, Training]:
    here = Here(tmp_path_factory.mktemp("whole"), net, images)
    return here, here("whole", keep_all=True)


@pytest.mark.parametrize("epochs", [0, 7, 13])
def test_an_interrupted_training_that_is_resumed_ends_as_one_that_was_not(
    here: Here, epochs: int, uninterrupted: tuple[Here, Training]
) -> None:
    there, whole = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        here("broken", keep_all=True, progress=Interrupt(epochs))
    accuracy = here.logs / "broken-accuracy"
    done = accuracy.read_text(encoding="utf-8").splitlines() if accuracy.exists() else []
    assert len(done) == epochs // 5, "each has epochs 0 to 4"
    assert not [path for path in here.logs.iterdir() if "cache" in path.name]
    resumed = here("broken", keep_all=True, resume=True)
    assert (resumed.curve, measured(resumed)) == (whole.curve, measured(whole))
    for k in TRAINED:
        for layer, values in there.model(k, "whole").items():
            for one, other in zip(values, here.model(k, "broken")[layer], strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{k} {layer}")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Stands for a full disk: writes fail in the same places, for another reason."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [20_000, 80_000])  # the frames do not fit; the activations do not
def test_a_disk_that_fills_while_caching_keeps_what_was_trained(
    here: Here, size: int, uninterrupted: tuple[Here, Training]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        here(keep_all=True, progress=Interrupt(7))
    before = {path: path.read_bytes() for path in here.logs.iterdir()}
    with (
        file_size_limit(size),
        pytest.raises(ProblemError, match=r"the cache cannot be written: file too large; lower --cache-gb"),
    ):
        here(keep_all=True, resume=True)
    assert before == {path: path.read_bytes() for path in here.logs.iterdir()}
    assert here(keep_all=True, resume=True).curve == uninterrupted[1].curve


def test_a_model_that_cannot_be_written_is_one_line_and_keeps_what_was_trained(here: Here) -> None:
    with (
        file_size_limit(65_000),
        pytest.raises(ProblemError, match=r"models/15.keras: cannot be written: .*; what was trained before is kept"),
    ):
        here(keep_all=True, cache_gb=0)
    assert not list((here.models / "shapes/models").iterdir())
    assert here(keep_all=True, resume=True).curve.accuracies.keys() == {*TRAINED}


def test_frozen_graphs_of_a_training_that_was_removed_are_not_kept(here: Here) -> None:
    here(keep_all=True)
    (here.models / "shapes/package.yaml").unlink()
    (here.logs / "shapes-state.json").unlink()
    old = {k: (here.models / f"shapes/models/{k}.pb").read_bytes() for k in TRAINED}
    here(keep_all=True, seed=4)
    for k in TRAINED:
        assert (here.models / f"shapes/models/{k}.pb").read_bytes() != old[k]


def test_keeping_all_after_the_end_keeps_what_is_left(here: Here) -> None:
    first = here()
    again = here(keep_all=True, resume=True)
    assert again.package.models == first.package.models


def test_a_calibrated_package_stays_calibrated(here: Here) -> None:
    done = here(chokepoints=(15,))
    length = Estimate(value=900, low=800, high=1000)
    share = Estimate(value=0.2, low=0.1, high=0.3)
    events = Events(
        event_length_ms=length,
        min_event_length_ms=length,
        event_frequency=share,
        confidence=0.95,
        labelled_frames=100,
        events=7,
    )
    save_package(done.package.model_copy(update={"events": events}), done.curve, done.folder)
    assert here(chokepoints=(15,), resume=True).package.events == events


def test_a_finished_training_is_not_trained_again(here: Here) -> None:
    first = here()
    files = {path: path.stat().st_mtime_ns for path in (here.models / "shapes/models").iterdir()}
    with pytest.raises(
        ProblemError, match=r"shapes-state.json: there is a training of this name.*continue it with --resume"
    ):
        here()
    again = here(resume=True, progress=Interrupt(0))
    assert again.curve == first.curve
    assert files == {path: path.stat().st_mtime_ns for path in (here.models / "shapes/models").iterdir()}


def test_other_settings_are_refused_and_nothing_is_touched(here: Here) -> None:
    here()
    before = {path: path.read_bytes() for path in [*here.models.rglob("*.*"), *here.logs.iterdir()]}
    for resume in (False, True):
        with pytest.raises(ProblemError, match=r"package.yaml is of a training with other settings: batch_size 32"):
            here(batch_size=16, resume=resume)
    (here.models / "shapes/package.yaml").rename(here.models / "shapes/away")
    with pytest.raises(ProblemError, match=r"shapes-state.json is of a training with other settings: seed 0, now 3"):
        here(seed=3, resume=True)
    (here.models / "shapes/away").rename(here.models / "shapes/package.yaml")
    assert before == {path: path.read_bytes() for path in [*here.models.rglob("*.*"), *here.logs.iterdir()]}


def test_other_weights_in_the_same_file_are_other_settings(here: Here, tmp_path: Path) -> None:
    here.net = network(tmp_path / "mine.keras")
    here(chokepoints=(15,))
    network(tmp_path / "mine.keras", seed=8)
    with pytest.raises(ProblemError, match="other settings: weights_digest"):
        here(chokepoints=(15,), resume=True)


def test_other_images_are_other_settings(here: Here, tmp_path: Path) -> None:
    here(chokepoints=(15,))
    with pytest.raises(ProblemError, match="other settings: images"):
        here(chokepoints=(15,), images=draw(tmp_path / "more", 21), resume=True)


def test_the_images_behind_the_rates_of_an_event_class_are_counted(here: Here) -> None:
    every = here(chokepoints=(15,), max_nb_epoch=1).package.tested
    own = here(chokepoints=(15,), max_nb_epoch=1, name="own", event_class=CLASSES[0]).package.tested
    assert every is not None and own is not None
    assert own.accuracy + own.false_positive_rate == every.accuracy
    assert own.accuracy == every.accuracy / len(CLASSES)


def test_the_rates_of_an_event_class(here: Here) -> None:
    done = here(event_class="cross", chokepoints=(15,), max_nb_epoch=1)
    assert done.package.event_class == "cross"
    # 4 test images of each class: the true positive rate is so many quarters, the false positive rate eighths.
    assert done.curve.accuracies[15] * 4 == pytest.approx(round(done.curve.accuracies[15] * 4))
    rate = (done.curve.false_positive_rates or {})[15]
    assert rate * 8 == pytest.approx(round(rate * 8))


def test_augmented_versions_are_made_once_and_take_turns(here: Here) -> None:
    keywords: dict[str, Any] = {"max_nb_epoch": 3, "early_stop": False, "chokepoints": (5, 15)}
    plain = here("plain", **keywords)
    for key in ("data_augmentation", "heavy_augmentation"):
        done = here(key, **{key: True}, passes=2, **keywords)
        again = here(f"{key}-again", **{key: True}, passes=2, **keywords, cache_gb=0)
        assert done.curve == again.curve
        first, second = ([epoch.loss for epoch in training.histories[15]] for training in (plain, done))
        assert first[1] == pytest.approx(second[1], rel=1e-5), "the first pass is the plain images"
        assert first[2] != pytest.approx(second[2], rel=1e-5)


def test_a_loss_that_is_no_number_is_one_line_and_keeps_the_rest(here: Here) -> None:
    with pytest.raises(ProblemError, match=r"num_frozen \d+, epoch \d+: the loss is no longer a finite number") as info:
        here(learning_rate=1e38)
    assert "\n" not in str(info.value)
