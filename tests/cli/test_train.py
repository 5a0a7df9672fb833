"""``mainstream train``: what it prints, what it refuses, what it keeps."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.commands import but_progress, run_here
from support.labelled_images import draw, network

from mainstream.formats.curve import load_curve
from mainstream.formats.package import read_package
from mainstream.trainer.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("mainstream"))
QUICK = ("--chokepoints", "11,15", "--seed", "1")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, a network and settings."""
    folder = tmp_path_factory.mktemp("given")
    draw(folder / "images", 12)
    network(folder / "tiny.keras")
    config = f"[finetune-config]\nnet = {folder}/tiny.keras\nmax_nb_epoch = 3\nlearning-rate = 0.01\n"
    (folder / "config.ini").write_text(config, encoding="utf-8")
    return folder


def arguments(given: Path, out: Path, *more: object) -> list[str]:
    options = {"--images": given / "images", "--config": given / "config.ini"}
    for key, value in {**options, "--model-dir": out / "models", "--log-dir": out / "logs"}.items():
        if key not in more:
            more = (key, value, *more)
    return [COMMAND, "train", "shapes", *map(str, more)]


def run(given: Path, out: Path, *more: object) -> tuple[int, str, str]:
    done = run_here(*arguments(given, out, *more)[1:])
    return done.returncode, done.stdout, done.stderr


def test_the_command_trains_and_shows_the_curve(given: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        arguments(given, tmp_path, *QUICK, "--epochs", 2),
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        check=False,
        timeout=120,
    )
    printed = done.stdout
    assert (done.returncode, but_progress(done.stderr)) == (0, ""), "TensorFlow says nothing either"
    lines = printed.splitlines()
    assert lines[0].split() == ["num_frozen", "accuracy", "false", "positive", "epochs", "seconds", "model"]
    package, curve = read_package(tmp_path / "models/shapes")
    assert [line.split()[:2] for line in lines[1:4]] == [[str(k), f"{curve.accuracies[k]:.4f}"] for k in (0, 11, 15)]
    assert any(line.startswith("-          no model") for line in lines) == (len(package.models) < 3)
    assert [line.split() for line in lines[-3:]] == [
        ["measured", "on", "6", "images"],
        ["classes", "circle,", "cross,", "square"],
        ["package", str(tmp_path / "models/shapes")],
    ]
    assert package.training["seed"] == 1 and package.training["max_nb_epoch"] == 2
    assert package.picture_size == (16, 16)


def test_what_a_training_that_was_killed_kept_of_its_images_goes_with_the_next_start(
    given: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(arguments(given, tmp_path, *QUICK), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 100
        while not any(path.stat().st_size for path in tmp_path.glob("logs/.shapes-cache-*/*")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    (left,) = tmp_path.glob("logs/.shapes-cache-*")
    assert any(left.iterdir())
    code, _, errors = run(given, tmp_path, *QUICK, "--resume")
    assert (code, errors) == (0, "")
    assert [path.name for path in (tmp_path / "logs").iterdir() if "cache" in path.name] == []
    assert read_package(tmp_path / "models/shapes")


def test_a_package_goes_into_a_store_when_it_is_done(given: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="needs the extra store")
    from mainstream.store import open_store
    from mainstream.store.address import Reference

    for name, store, message in (
        ("shapes", "/dev/null", "/dev/null: owner cannot be read: not a directory"),
        ("-", tmp_path / "store", "package name '-': it has to be letters"),
        ("shapes", "redis://:geheim@127.0.0.1:1/0?files=/tmp/none", "redis://***@127.0.0.1:1/0: cannot be reached"),
    ):
        command = arguments(given, tmp_path, *QUICK, "--store", store)
        done = run_here("train", name, *command[3:])
        assert done.returncode == 2
        assert done.stderr.startswith(f"mainstream: {message}") and done.stderr.count("\n") == 1
        assert not (tmp_path / "models").exists()  # it is told before anything is trained
    code, printed, errors = run(given, tmp_path, *QUICK, "--store", tmp_path / "store")
    assert (code, errors) == (0, "")
    assert printed.splitlines()[-1].split() == ["pushed", "shapes@1", "to", str(tmp_path / "store")]
    open_store(str(tmp_path / "store")).pull(Reference("shapes"), tmp_path / "pulled")
    trained = tmp_path / "models/shapes"
    for path in trained.rglob("*"):
        if path.is_file():
            assert (tmp_path / "pulled" / path.relative_to(trained)).read_bytes() == path.read_bytes()


def test_what_the_documents_show_works(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (command,) = {*re.findall(r"^    mainstream (train shapes .*)$", page, flags=re.MULTILINE)}
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (config,) = re.findall(r"^```ini\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "documented.ini").write_text(config, encoding="utf-8")
    defaults = Settings(net="mobilenetv2", n=96, learning_rate=1e-4)
    assert Settings.of(load_settings(tmp_path / "documented.ini")) == defaults
    (tmp_path / "images").symlink_to(given / "images")
    (tmp_path / "train.ini").symlink_to(given / "config.ini")
    monkeypatch.chdir(tmp_path)
    done = run_here(*command.split())
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    exec(code, {})
    for name in ("shapes", "shapes-1"):
        assert len(read_package(tmp_path / "models" / name)[1].accuracies) == 6


def test_broken_images_are_named_and_counted(given: Path, tmp_path: Path) -> None:
    shutil.copytree(given / "images", tmp_path / "images")
    (tmp_path / "images/cross/a.png").write_bytes(b"no picture")
    (tmp_path / "images/square/b.jpg").write_bytes((given / "images/square/001.png").read_bytes()[:100])
    code, _, errors = run(given, tmp_path, "--images", tmp_path / "images", *QUICK)
    assert code == 0
    first, second, count = errors.splitlines()
    assert first == f"skipped {tmp_path}/images/cross/a.png: no image"
    assert second.startswith(f"skipped {tmp_path}/images/square/b.jpg: ")
    assert count == f"skipped 2 of 38 images in {tmp_path}/images"


def test_test_images_groups_and_formats(given: Path, tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx", reason="needs the extra onnx", exc_type=ImportError)
    draw(tmp_path / "test", 3, seed=9)
    groups = tmp_path / "groups.csv"
    files = sorted(path.relative_to(given / "images") for path in (given / "images").rglob("*.png"))
    groups.write_text("".join(f"{file},{int(file.stem) // 3}\n" for file in files), encoding="utf-8")
    options = ["--test-images", tmp_path / "test", "--groups", groups, "--formats", "pb,onnx"]
    code, _, errors = run(given, tmp_path, *options, *QUICK)
    assert (code, errors) == (0, "")
    written = {path.name for path in (tmp_path / "models/shapes/models").iterdir()}
    kept = read_package(tmp_path / "models/shapes")[0].models
    assert written == {f"{k}.{suffix}" for k in kept for suffix in ("pb", "keras", "onnx")}
    for accuracy in load_curve(tmp_path / "models/shapes/curve.csv").accuracies.values():
        assert accuracy * 9 == pytest.approx(round(accuracy * 9)), "nine test images"


def no_images_in(*classes: str) -> Callable[[Path], object]:
    return lambda folder: [path.unlink() for name in classes for path in (folder / "images" / name).iterdir()]


def without(*classes: str) -> Callable[[Path], object]:
    return lambda folder: [shutil.rmtree(folder / "images" / name) for name in classes]


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "empty class": (no_images_in("cross"), "", "{}/images/cross: no JPEG or PNG in this class's folder"),
    "one class": (
        without("cross", "square"),
        "",
        "{}/images: only one class, 'circle'; it has to have two subfolders or more",
    ),
    "no classes": (
        without("circle", "cross", "square"),
        "",
        "{}/images: no classes; it has to have a subfolder of images for each class",
    ),
    "no folder": (str, "--images {}/nowhere", "{}/nowhere: no folder of images: no such file or directory"),
    "two images": (
        lambda folder: [path.unlink() for path in sorted((folder / "images/cross").iterdir())[2:]],
        "",
        "{}/images/cross: its 2 images that can be read are too few, or in too few groups, for training,",
    ),
    "other test classes": (
        lambda folder: (folder / "test/oval").mkdir(parents=True),
        "--test-images {}/test",
        "{}/test: it has to have the same subfolders (classes) as the training images; "
        "only one of the two folders has 'circle',",
    ),
    "groups": (
        text("groups", "circle/000.png,a"),
        "--groups {}/groups",
        "{}/groups: 'circle/001.png' is in no group of {}/images (and 34 more); give a line for each image",
    ),
    "network": (str, "--net mobilnetv2", "network 'mobilnetv2' is not known; did you mean 'mobilenetv2'?"),
    "published list": (str, "--chokepoints resnet", "chokepoints 'resnet': 2 (conv1_conv) is not in tiny"),
    "unknown list": (str, "--chokepoints some", "chokepoints 'some' are not known; known: block, every"),
    "groups beside the images": (
        text("images/groups.csv", "image,group\ncircle/000.png,a"),
        "",
        "{}/images/groups.csv: 'circle/001.png' is in no group of {}/images (and 34 more); give a line for each image",
    ),
    "no such cut": (
        str,
        "--chokepoints 5,7",
        "tiny cannot be cut after 7 layers; nearest: 5 and 11; `mainstream layers ",
    ),
    "a setting as an option": (
        str,
        "--max-nb-epoch 2",
        "train: --max-nb-epoch is no option, but a setting; give --epochs, or max_nb_epoch in --config FILE",
    ),
    "another setting as an option": (
        str,
        "--patience=2",
        "train: --patience is no option, but a setting; give patience in --config FILE",
    ),
    "a job's curve": (
        str,
        "--server http://127.0.0.1:9 --json -",
        "train: --json is for a training from here, which is waited for; leave it out",
    ),
    "formats": (str, "--formats pb,tflite", "formats: got ['pb', 'tflite']; allowed: pb, or pb and onnx"),
    "cache": (str, "--cache-gb nan", "cache_gb: got nan; it has to be a finite number, 0 or more"),
    "event class": (
        str,
        "--event-class crosses",
        "event class 'crosses' is not one of the classes; did you mean 'cross'?",
    ),
    "model folder": (text("file", ""), "--model-dir {}/file", "{}/file/shapes/models: cannot be written: not a"),
    "log folder": (str, "--log-dir /proc/logs", "/proc/logs: cannot be written: no such file or directory"),
    "optimizer": (
        text("config.yaml", "optimizer: adadelta"),
        "--config {}/config.yaml",
        "{}/config.yaml: settings: optimizer: got 'adadelta'; it has to be 'adam', 'adamax'",
    ),
    "outputs of the network": (
        lambda folder: network(folder / "five.keras", classes=5),
        "--net {}/five.keras",
        "{}/five.keras gives outputs of shape (None, 5); for the 3 classes of these images it has to be (None, 3)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line(given: Path, tmp_path: Path, what: str) -> None:
    spoil, options, message = BAD[what]
    shutil.copytree(given / "images", tmp_path / "images")
    spoil(tmp_path)
    more = options.replace("{}", str(tmp_path)).split()
    if "--images" not in more:
        more += ["--images", str(tmp_path / "images")]
    code, printed, errors = run(given, tmp_path, *more)
    assert (code, printed) == (2, "")
    assert errors.startswith("mainstream: " + message.replace("{}", str(tmp_path)))
    assert errors.count("\n") == 1
    assert (tmp_path / "models").exists() == (what in {"two images", "log folder"}), "else nothing is begun"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name in {"models", "logs"}]


def test_a_name_and_images_are_enough(given: Path, tmp_path: Path) -> None:
    """The folders have defaults, and a class with the app's name is its event."""
    options = ["--images", given / "images", "--net", given / "tiny.keras", *QUICK]
    done = run_here("train", "circle", *options, "--json", "out.json", cwd=tmp_path)
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    told = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    package, curve = read_package(tmp_path / "packages/circle")
    assert (told["folder"], told["kept"]) == ("packages/circle", [*package.models])
    assert told["accuracies"] == {str(k): accuracy for k, accuracy in curve.accuracies.items()}
    assert told["trained"].keys() == told["accuracies"].keys() and told["package"]["event_class"] == "circle"
    assert [line.split() for line in done.stdout.splitlines()[-4:]] == [
        ["measured", "on", "6", "images:", "2", "of", "circle,", "4", "others"],
        ["classes", "circle,", "cross,", "square"],
        ["event", "circle"],
        ["package", "packages/circle"],
    ]
    assert (tmp_path / "logs/circle-accuracy").is_file()


def test_the_published_arguments(given: Path, tmp_path: Path) -> None:
    """Each counts as its option does; nothing else is taken for granted."""
    images = given / "images"
    published = [given / "config.ini", tmp_path / "models", tmp_path / "logs", "11,15", images, images]
    done = run_here("train", "circle", *published)
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    package, curve = read_package(tmp_path / "models/circle")
    assert (package.event_class, [*curve.accuracies], package.training["max_nb_epoch"]) == (None, [0, 11, 15], 3)
    done = run_here("train", "circle", *published[:5])
    assert done.returncode == 2
    assert done.stderr.startswith("mainstream: train: NAME has 5 arguments behind it; it has to have none, or CONFIG")
    done = run_here("train", "circle")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("mainstream: train: --images is needed")


def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(given: Path, tmp_path: Path) -> None:
    part = interrupted(given, tmp_path, "--chokepoints", "2,11,15")
    assert not list((tmp_path / "logs").glob(".*cache*"))
    code, _, _ = run(given, tmp_path, "--chokepoints", "2,11,15", "--resume")
    assert code == 0
    assert part in (tmp_path / "logs/shapes-accuracy").read_text(encoding="utf-8")


def interrupted(given: Path, out: Path, *more: object) -> str:
    """Press Ctrl-C when something has been trained; gives the accuracy file."""
    log = out / "logs/shapes-accuracy"
    with subprocess.Popen(
        arguments(given, out, *more, "--cache-gb", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not log.exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, ""), errors
    assert "--resume goes on" in errors
    return log.read_text(encoding="utf-8")


def test_progress_on_a_terminal(given: Path, tmp_path: Path) -> None:
    here, there = pty.openpty()
    with subprocess.Popen(
        arguments(given, tmp_path, *QUICK), stdout=subprocess.DEVNULL, stderr=there, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(there)
        shown = b""
        try:
            while piece := os.read(here, 10_000):
                shown += piece
        except OSError:
            pass  # how Linux tells that the other end is closed
    os.close(here)
    assert process.returncode == 0
    assert b"num_frozen 11, epoch" in shown and b"validation accuracy 0." in shown
