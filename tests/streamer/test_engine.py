"""The engine: which frames each part gets, what comes out of the parts, and plans that cannot be run."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.keras_models import PLAIN_CHOKEPOINTS, plain
from support.runtime import CUTS, MODEL, SIZE, pictures, plan_of, write_models

from mainstream import ProblemError
from mainstream.formats.package import Package, save_package
from mainstream.graphs.part import TENSORFLOW
from mainstream.io import Curve
from mainstream.streamer import NetPlan
from mainstream.streamer.engine import Engine, run

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, [1, 2, 3])
    return folder


def frames_of(engine: Engine, numbers: Iterable[int]) -> dict[int, list[int]]:
    """`net_id` -> the frames that it runs on."""
    found: dict[int, list[int]] = {branch.subnet.net_id: [] for branch in engine.branches}
    for number in numbers:
        for one in engine.due(number):
            found[one.branch.subnet.net_id].append(number)
    return found


def outputs_of(engine: Engine, picture: NDArray[np.uint8]) -> dict[int, NDArray[Any]]:
    """`app_id` -> scores, every part run on one frame."""
    outputs, _ = run(engine.branches, lambda *view: picture)
    return {b.subnet.app_id: outputs[b.subnet.net_id] for b in engine.branches if not b.subnet.shared}


@pytest.mark.parametrize("seed", range(20))
def test_each_part_gets_an_evenly_spaced_subset_of_its_parents_frames(models: Path, seed: int) -> None:
    rng = random.Random(seed)
    stream_fps = rng.choice([10.0, 30000 / 1001, 25.0, 7.5])
    rate = lambda: rng.choice([rng.uniform(0.2, stream_fps), float(rng.randint(1, 7)), stream_fps, 40.0])  # noqa: E731
    plan = plan_of([(rng.choice(CUTS), rate()) for _ in range(3)])
    count = 1200
    found = frames_of(Engine(plan, TENSORFLOW, models, stream_fps), range(count))
    for part in plan.subnets:
        own = found[part.net_id]
        above = list(range(count)) if part.parent_id == -1 else found[part.parent_id]
        assert set(own) <= set(above)
        wanted = count * min(part.target_fps, stream_fps) / stream_fps
        assert abs(len(own) - wanted) <= 3, (part, len(own), wanted)
        places = [above.index(frame) for frame in own]
        gaps = {b - a for a, b in itertools.pairwise(places)}
        assert not gaps or max(gaps) - min(gaps) <= 1


def test_four_of_ten_frames_are_the_stems_and_exact_for_ever(models: Path) -> None:
    plan = plan_of([(4, 4), (4, 4), (6, 2)])
    found = frames_of(Engine(plan, TENSORFLOW, models, 10.0), range(10_000))
    stem, *_ = (part.net_id for part in plan.subnets if part.shared)
    for part in plan.tails:
        assert len(found[part.net_id]) == 1000 * part.target_fps
        assert set(found[part.net_id]) <= set(found[stem])


def test_tails_of_one_stem_come_due_on_different_frames_where_they_can(models: Path) -> None:
    plan = plan_of([(4, 10), (4, 2), (4, 2)])
    found = frames_of(Engine(plan, TENSORFLOW, models, 10.0), range(100))
    second, third = (set(found[part.net_id]) for part in plan.tails if part.target_fps == 2)
    assert len(second) == len(third) == 20
    assert not second & third


def test_a_dropped_frame_is_made_up_for_by_the_next_one_and_counted(models: Path) -> None:
    plan = plan_of([(4, 10), (4, 5)])
    engine = Engine(plan, TENSORFLOW, models, 10.0)
    kept = [n for n in range(100) if n % 10 not in (3, 4, 5)]
    dropped: Counter[int] = Counter()
    ran: Counter[int] = Counter()
    for number in kept:
        for branch, missed in engine.due(number):
            dropped[branch.subnet.app_id] += missed
            ran[branch.subnet.app_id] += 1
    assert ran[1] == 70 and dropped[1] == 30
    assert ran[2] + dropped[2] == 50 and dropped[2] <= 10


@pytest.mark.parametrize("form", ["pb", "keras"])
def test_parts_that_are_shared_give_what_each_app_gives_alone_and_whole(models: Path, form: str) -> None:
    given = [(4, 10), (6, 5), (0, 2)]
    together = Engine(plan_of(given, form=form), TENSORFLOW, models, 10.0)
    alone = {}
    for app in range(3):
        only = [(cut, fps if i == app else 0) for i, (cut, fps) in enumerate(given)]
        alone[app + 1] = Engine(plan_of(only, form=form), TENSORFLOW, models, 10.0)
    from mainstream.graphs.keras_file import load_keras_file

    for picture in pictures(3):
        scores = outputs_of(together, picture)
        assert list(scores) == [branch.subnet.app_id for branch in together.branches if not branch.subnet.shared]
        for app, (cut, _) in enumerate(given, start=1):
            np.testing.assert_array_equal(scores[app], outputs_of(alone[app], picture)[app])
            whole = load_keras_file(models / f"app{app}-{cut}.keras")(picture[None].astype(np.float32))
            np.testing.assert_allclose(scores[app], whole, atol=1e-5)


def test_a_frame_is_resized_once_for_each_size(models: Path) -> None:
    engine = Engine(plan_of([(0, 1), (4, 1), (0, 1)]), TENSORFLOW, models, 10.0)
    asked = []

    def pixels(*view: Any) -> NDArray[np.uint8]:
        asked.append(view)
        return pictures(1)[0]

    run(engine.branches, pixels)
    assert asked == [(SIZE, SIZE, 3, None)]


def test_parts_of_the_plan_before_are_not_loaded_again(models: Path) -> None:
    first = Engine(plan_of([(4, 2), (6, 2)]), TENSORFLOW, models, 10.0)
    second = Engine(plan_of([(4, 3), (0, 2)]), TENSORFLOW, models, 10.0, first.loaded)
    kept = {branch.key for branch in first.branches} & {branch.key for branch in second.branches}
    assert kept and all(second.loaded[key] is first.loaded[key] for key in kept)


def test_files_of_parts_that_are_loaded_are_not_read_again(models: Path, tmp_path: Path) -> None:
    for name in ("app1-4.pb", "app2-6.pb"):
        (tmp_path / name).write_bytes((models / name).read_bytes())
    first = Engine(plan_of([(4, 2), (6, 2)]), TENSORFLOW, tmp_path, 10.0)
    for file in tmp_path.iterdir():
        state = file.stat()
        file.write_bytes(bytes(state.st_size))
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (
        Engine(plan_of([(4, 3), (6, 1)]), TENSORFLOW, tmp_path, 10.0, first.loaded).loaded.keys() == first.loaded.keys()
    )


def changed(edit: Callable[[list[dict[str, Any]]], None], given: list[tuple[int, float]] | None = None) -> NetPlan:
    parts = json.loads(plan_of(given or [(4, 4), (6, 2)]).to_json())
    edit(parts)
    return NetPlan.from_json(json.dumps(parts))


def put(place: int, **keys: object) -> Callable[[list[dict[str, Any]]], None]:
    return lambda parts: parts[place].update(keys)


def everywhere(**keys: object) -> Callable[[list[dict[str, Any]]], None]:
    return lambda parts: [part.update(keys) for part in parts] and None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put(0, model_path="nothing.pb"), "net 0: model_path: there is no file 'nothing.pb' in the folder"),
        (put(1, model_path="../secret.pb"), "net 1: model_path: '../secret.pb' lies outside the folder"),
        (put(1, model_path="/etc/passwd"), "net 1: model_path: '/etc/passwd' lies outside the folder"),
        (put(1, model_path="link.pb"), "net 1: model_path: 'link.pb' lies outside the folder"),
        (put(1, model_path="a\0b"), r"net 1: model_path: .* is not a path"),
        (put(1, model_path="."), "net 1: model_path: there is no file '.'"),
        (put(1, model_path="truncated.pb"), "net 1: model_path: .*truncated.pb is not a frozen graph"),
        (put(1, model_path="text.keras"), "net 1: model_path: .*text.keras cannot be loaded"),
        (put(0, input_layer="fram"), "net 0: input_layer: .* has no tensor 'fram'; did you mean 'frame'"),
        (put(1, output_layer="softmx"), "net 1: output_layer: .* has no tensor 'softmx'; did you mean 'softmax'"),
        (everywhere(height=17), r"net 0: input_layer 'frame' of .* takes \(None, 16, 16, 3\); height, width"),
        (everywhere(channels=4), "net 0: channels: got 4; it has to be 3 .RGB. or 1 .grey."),
        (everywhere(width=10**6), "net 0: width: got 1000000; at most 8192 is allowed"),
        (put(1, width=20), r"net 1: height, width, channels \(16, 20, 3\) are not those of its parent_id's net"),
        (put(1, model_path="x" * 1000), r"net 1: model_path: 'x.*' is not a path$"),
        (put(1, output_layer="pool"), r"net 1: output_layer 'pool' gives \(1, 8, 8, 8\) for one frame"),
        (put(1, event_class=4), "net 1: event_class: got 4; the model has classes 0 to 3"),
        (put(1, event_class="cat"), "net 1: event_class: got 'cat'; app1-4.pb lies in no M-Package"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_by_net_and_key(
    models: Path, edit: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    secret = models.parent / "secret.pb"
    whole = (models / "app1-4.pb").read_bytes()
    secret.write_bytes(whole)
    if not (models / "link.pb").exists():
        os.symlink(secret, models / "link.pb")
    (models / "truncated.pb").write_bytes(whole[: len(whole) // 2])
    (models / "text.keras").write_text("no model")
    with pytest.raises(ProblemError, match=message) as caught:
        Engine(changed(edit), TENSORFLOW, models, 10.0)
    assert "\n" not in str(caught.value)


def test_parts_that_do_not_fit_each_other_are_refused(models: Path, tmp_path: Path) -> None:
    from mainstream.trainer.freeze import freeze

    freeze(plain(24), tmp_path / "other.pb")
    (tmp_path / "app1-4.pb").write_bytes((models / "app1-4.pb").read_bytes())
    plan = changed(put(1, model_path="other.pb"), [(4, 4)])
    message = r"net 1: input_layer 'first_relu' of 'other.pb' takes \(None, 24, 24, 8\); net 0, its parent_id, gives"
    with pytest.raises(ProblemError, match=message):
        Engine(plan, TENSORFLOW, tmp_path, 10.0)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (lambda tf, mean: tf.strings.as_string(mean), r"gives \(1, 3\) for one frame, of type object"),
        (lambda tf, mean: tf.cast(mean, tf.complex64), r"gives \(1, 3\) for one frame, of type complex64"),
        (lambda tf, mean: mean[1:], r"gives \(0, 3\) for one frame"),
        (lambda tf, mean: tf.tile(mean, [2, 1]), r"gives \(2, 3\) for one frame"),
        (lambda tf, mean: mean[:, :0], r"gives \(1, 0\) for one frame"),
        (lambda tf, mean: tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[]), r"'scores' is a resource, not an array"),
    ],
)
def test_what_is_no_scores_is_refused_before_it_runs(tmp_path: Path, scores: Callable[..., Any], message: str) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        mean = tf.reduce_mean(tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="frame"), [1, 2])
        tf.identity(scores(tf, mean), name="scores")
    (tmp_path / "odd.pb").write_bytes(graph.as_graph_def().SerializeToString())
    (part,) = json.loads(plan_of([(0, 10)]).to_json())
    plan = NetPlan.from_json(json.dumps([part | {"model_path": "odd.pb", "output_layer": "scores"}]))
    with pytest.raises(ProblemError, match=f"^net 0: .*{message}"):
        Engine(plan, TENSORFLOW, tmp_path, 10.0, trusted=True)


def test_absolute_paths_and_links_inside_the_folder_are_taken(models: Path) -> None:
    inner = models / "inner.pb"
    if not inner.exists():
        os.symlink(models / "app1-4.pb", inner)
    Engine(changed(put(1, model_path=str(models / "app1-4.pb"))), TENSORFLOW, models, 10.0)
    Engine(changed(put(1, model_path="inner.pb")), TENSORFLOW, models, 10.0)


def test_grey_frames_are_given_to_a_network_that_takes_them(tmp_path: Path) -> None:
    from mainstream.graphs.backend import keras
    from mainstream.trainer.freeze import freeze

    layers = keras().layers
    frame = keras().Input((8, 8, 1), name="frame")
    out = layers.Dense(2, activation="softmax", name="softmax")(layers.GlobalAveragePooling2D(name="gap")(frame))
    freeze(keras().Model(frame, out), tmp_path / "grey.pb")
    keys = {"channels": 1, "height": 8, "width": 8, "model_path": "grey.pb"}
    engine = Engine(changed(put(0, **keys), [(0, 4)]), TENSORFLOW, tmp_path, 10.0)
    sizes = []
    run(engine.branches, lambda *view: sizes.append(view) or np.zeros(view[:3], np.uint8))  # type: ignore[func-returns-value]
    assert sizes == [(8, 8, 1, None)]


def test_the_name_of_an_event_class_is_that_of_the_package(models: Path, tmp_path: Path) -> None:
    (tmp_path / "dogs" / "models").mkdir(parents=True)
    for cut in CUTS:
        (tmp_path / "dogs" / "models" / f"{cut}.pb").write_bytes((models / f"app1-{cut}.pb").read_bytes())
    package = Package(
        name="dogs",
        network="plain",
        weights_digest="sha256:0",
        height=SIZE,
        width=SIZE,
        total_layers=MODEL.total_layers,
        classes=("bird", "cat", "dog", "fish"),
        chokepoints=PLAIN_CHOKEPOINTS,
        models={cut: f"models/{cut}.pb" for cut in CUTS},
    )
    save_package(package, Curve(dict.fromkeys(CUTS, 0.9), None), tmp_path / "dogs")
    plan = changed(everywhere(model_path="dogs/models/4.pb"), [(4, 4)])
    named = json.loads(plan.to_json())
    named[1]["event_class"] = "dog"
    engine = Engine(NetPlan.from_json(json.dumps(named)), TENSORFLOW, tmp_path, 10.0)
    assert engine.branches[1].event_class == 2
    named[1]["event_class"] = "dgo"
    with pytest.raises(ProblemError, match=r"net 1: event_class: 'dgo' is no class; did you mean 'dog'"):
        Engine(NetPlan.from_json(json.dumps(named)), TENSORFLOW, tmp_path, 10.0)
