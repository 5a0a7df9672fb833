"""The int8 variant of a package: measured, cut at the same tensors, with stems that stay the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("tf2onnx", reason="needs the extra onnx")

from PIL import Image
from support.labelled_images import CLASSES, draw, network
from typer.testing import CliRunner

from mainstream import Model, ProblemError
from mainstream.cli import app
from mainstream.formats.package import check_fit, read_package
from mainstream.onnx_graphs.layers import read_network
from mainstream.onnx_graphs.part import OnnxPart
from mainstream.trainer import train
from mainstream.trainer.package_network import read_package_network
from mainstream.trainer.profile import profile
from mainstream.trainer.quantisation import quantise
from mainstream.trainer.sharing import shared_layers


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages ``one`` and ``two``, their images, ``NAME-images`` and ``NAME-test``, and the variants ``NAME-int8``."""
    folder = tmp_path_factory.mktemp("trained")
    net = network(folder / "tiny.keras")
    draw(folder / "calibration", count=10, seed=7)
    for seed, name in enumerate(("one", "two")):
        images = draw(folder / f"{name}-images", count=15, seed=seed)
        test_images = draw(folder / f"{name}-test", count=10, seed=10 + seed)
        settings = {"net": str(net), "max_nb_epoch": 1, "learning_rate": 0.02, "chokepoints": (5, 13)}
        train(
            name,
            images,
            test_images=test_images,
            model_dir=folder,
            log_dir=folder / "logs",
            settings=settings,
            keep_all=True,
        )
        quantise(
            folder / name,
            folder / f"{name}-int8",
            images,
            test_images=test_images,
            calibration=folder / "calibration",
        )
    return folder


def test_the_curve_is_what_the_models_reach_on_the_test_images(trained: Path) -> None:
    package, curve = read_package(trained / "one-int8")
    before, _ = read_package(trained / "one")
    assert package.precision == "int8" and package.name == "one-int8"
    assert package.models == {k: f"models/{k}.onnx" for k in before.models}
    assert package.chokepoints == before.chokepoints and package.weights_digest == before.weights_digest
    assert set(curve.accuracies) == {0, 5, 13}
    pictures = [
        (label, np.asarray(Image.open(file)))
        for label, name in enumerate(CLASSES)
        for file in sorted((trained / "one-test" / name).iterdir())
    ]
    for k, file in package.models.items():
        part = OnnxPart(trained / "one-int8" / file, "frame", "softmax")
        right = [part(picture[None].astype(np.float32)).argmax() == label for label, picture in pictures]
        assert curve.accuracies[k] == pytest.approx(np.mean(right))


def test_it_computes_about_the_same_in_integers_and_can_be_cut_as_before(trained: Path) -> None:
    frame = np.asarray(Image.open(next((trained / "one-test" / "square").iterdir())))[None].astype(np.float32)
    exact = OnnxPart(trained / "one/models/5.pb", "frame", "softmax")(frame)
    rounded = trained / "one-int8/models/5.onnx"
    whole = OnnxPart(rounded, "frame", "softmax")(frame)
    assert 0 < np.abs(whole - exact).max() < 0.1
    stem = OnnxPart(rounded, "frame", "block_1_relu")(frame)
    np.testing.assert_array_equal(OnnxPart(rounded, "block_1_relu", "softmax")(stem), whole)
    assert len(np.unique(stem)) <= 256


def test_apps_that_are_calibrated_on_the_same_images_keep_their_common_stem(trained: Path) -> None:
    frame = np.asarray(Image.open(next((trained / "one-test" / "square").iterdir())))[None].astype(np.float32)
    for k, layer in ((5, "block_1_relu"), (13, "block_3_relu")):
        paths = [trained / f"{name}-int8/models/{k}.onnx" for name in ("one", "two")]
        least = next(number for number, name in read_network(paths[0]).cuts.items() if name == layer)
        assert all((place.num_frozen or 0) >= least for place in shared_layers(paths).stem.values())
        assert np.array_equal(*(OnnxPart(path, "frame", layer)(frame) for path in paths))


def test_apps_that_are_calibrated_on_different_images_do_not(trained: Path, tmp_path: Path) -> None:
    quantise(trained / "two", tmp_path / "own", trained / "two-images", test_images=trained / "two-test")
    found = shared_layers([trained / "one-int8/models/13.onnx", tmp_path / "own/models/13.onnx"])
    assert [place.layer for place in found.stem.values()] == ["frame"] * 2


def test_a_float_stem_and_a_quantised_tail_are_one_line(trained: Path) -> None:
    packages = {name: read_package(trained / name)[0] for name in ("one", "two-int8")}
    names = packages["one"].chokepoints
    model = Model(total_layers=16, layer_latencies=[1.0] * 16, height=16, width=16, frozen_layer_names=names)
    with pytest.raises(
        ProblemError, match="two-int8: its models are in int8, those of one in float32; precisions are not mixed"
    ):
        check_fit(packages, model)
    check_fit({"one": packages["one"]}, model)


def test_each_precision_is_measured_with_its_models_and_cut_where_the_package_says(trained: Path) -> None:
    for name, precision in (("one", None), ("one-int8", "int8")):
        package, _ = read_package(trained / name)
        model = profile(read_package_network(trained / name), engine="onnx", seconds=0.5).model
        assert (model.precision, model.engine, model.total_layers) == (precision, "onnx", package.total_layers)
        assert model.frozen_layer_names == package.chokepoints
        check_fit({name: package}, model)
    with pytest.raises(ProblemError, match="is an ONNX model, which engine tensorflow does not run"):
        profile(read_package_network(trained / "one-int8"), engine="tensorflow", seconds=0.5)
    with pytest.raises(ProblemError, match="a package has its own; leave them out"):
        profile(read_package_network(trained / "one-int8"), engine="onnx", which="every", seconds=0.5)


def test_the_command_prints_both_accuracies(trained: Path, tmp_path: Path) -> None:
    given = ["quantise", str(trained / "one"), str(tmp_path / "new"), "--images", str(trained / "one-images")]
    given += ["--test-images", str(trained / "one-test"), "--calibration", str(trained / "calibration")]
    ended = CliRunner().invoke(app, [*given, "--json", str(tmp_path / "out.json")])
    assert ended.exit_code == 0, ended.output
    _, curve = read_package(tmp_path / "new")
    assert ended.stdout.splitlines()[-1] == f"package {tmp_path / 'new'}"
    for k, accuracy in curve.accuracies.items():
        assert f"{k}: accuracy {accuracy:.4f}, " in ended.stdout
    assert curve == read_package(trained / "one-int8")[1]
    told = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert told["folder"] == str(tmp_path / "new") and told["package"]["precision"] == "int8"
    assert told["accuracies"] == {str(k): accuracy for k, accuracy in curve.accuracies.items()}
    assert told["kept"] == [*curve.accuracies] and told["before"]["accuracies"].keys() == told["accuracies"].keys()
    again = trained / "one-int8/models/5.onnx"
    assert (tmp_path / "new/models/5.onnx").read_bytes() == again.read_bytes()


def test_what_cannot_be_quantised_is_one_line(trained: Path, tmp_path: Path) -> None:
    one, images, test = trained / "one", trained / "one-images", trained / "one-test"
    (tmp_path / "empty").mkdir()
    for folder, out, given, reason in (
        (one, trained / "two", {"test_images": test}, "exists already"),
        (one, tmp_path / "new", {}, "these are not the images"),
        (one, tmp_path / "new", {"test_images": trained / "two-test"}, "these are not the images"),
        (one, tmp_path / "none" / "new", {"test_images": test}, "there is no folder"),
        (one, tmp_path / "new", {"test_images": test, "calibration": tmp_path / "empty"}, "no classes"),
        (trained / "one-int8", tmp_path / "new", {"test_images": test}, "it is int8 already"),
        (tmp_path / "empty", tmp_path / "new", {"test_images": test}, "not an M-Package"),
    ):
        with pytest.raises(ProblemError, match=reason) as caught:
            quantise(folder, out, images, **given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]
