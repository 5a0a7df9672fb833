"""``mainstream init``: the problem file that it writes, what it takes for granted and says so, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import packages
from support.commands import run_here

from mainstream.files import yaml_values
from mainstream.io import load_problem, save_profile
from mainstream.problem import Model

MODEL = Model(
    total_layers=6,
    layer_latencies=(1.0,) * 6,
    frozen_layer_names={0: "in", 2: "a", 4: "b", 6: "out"},
    height=96,
    width=128,
    unit="ms",
    cores=4,
    name="small",
    measured_on="this box",
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with two packages, of which one is calibrated, and the profile of their network."""
    packages.make(tmp_path / "packages/cats", events=...)
    packages.make(tmp_path / "packages/dogs")
    save_profile(MODEL, tmp_path / "small.json")
    return tmp_path


def init(here: Path, *arguments: object) -> tuple[int, str, str]:
    done = run_here("init", *arguments, cwd=here, COLUMNS="400")
    return done.returncode, done.stdout, done.stderr


def test_the_file_says_what_it_takes_to_run_the_packages(here: Path) -> None:
    code, printed, errors = init(here, "packages/cats", "packages/dogs", "--stream-fps", "25")
    assert code == 0
    assert printed.splitlines() == [
        "written    problem.yaml: 2 apps, 3,200 ms/s",
        "run        mainstream run problem.yaml --source CLIP -m packages",
    ]
    assert errors.splitlines() == [
        "packages/cats is not calibrated: event length, frequency and correlation are guesses; mainstream calibrate "
        "packages/cats --labels FILE measures them; mainstream label makes the file"
    ]
    problem = load_problem(here / "problem.yaml")
    assert problem.given()["budget"] == 0.8 * 4000
    assert problem.camera.model == MODEL
    assert problem.camera.video.stream_fps == 25
    cats, dogs = problem.apps
    assert (cats.app_id, cats.event_length_ms, cats.event_frequency, cats.correlation) == (1, 2000, 0.1, 0.5)
    assert (dogs.app_id, dogs.event_length_ms, dogs.event_frequency, dogs.correlation) == (2, 2100, 0.2, 0.5)
    assert [app.x_vote for app in problem.apps] == ["auto", "auto"]
    text = (here / "problem.yaml").read_text(encoding="utf-8")
    assert "utilisation: 0.8 " in text and "the budget is 3,200 of 4,000 ms/s" in text
    assert text.count("mainstream calibrate") == 1
    assert "Calibrated on 12 events: 2,100 ms long, in 20% of such windows" in text
    assert max(map(len, text.splitlines())) <= 120


def test_it_is_written_again_with_force_only(here: Path) -> None:
    (here / "problem.yaml").write_text("mine")
    code, printed, errors = init(here, "packages/dogs", "--stream-fps", "10")
    assert (code, printed) == (2, "")
    assert errors == (
        "mainstream: problem.yaml: is there already; give --force to write over it, or another name with -o\n"
    )
    assert (here / "problem.yaml").read_text() == "mine"
    code, printed, errors = init(here, "packages/dogs", "--stream-fps", "10", "--force", "-q", "--budget", "7.5")
    assert (code, printed, errors) == (0, "", "")
    assert load_problem(here / "problem.yaml").budget == 7.5
    assert {path.name for path in here.iterdir()} == {"packages", "problem.yaml", "small.json"}


@pytest.mark.parametrize(
    "name", ["a: b", "# no", "two\nlines", "\x1b[31mred", "- x", "' \"", "ümlaut 😀", "*a", "true", "{x}", "tab\there"]
)
def test_a_package_may_be_called_anything(here: Path, name: str) -> None:
    (here / "packages/cats").rename(here / name)
    code, printed, errors = init(here, f"./{name}", "packages/dogs", "-o", "packages/box.yaml")
    assert code == 0
    cats, _ = load_problem(here / "packages/box.yaml").apps
    assert cats.model_path[0] == str(here / "packages/.." / name / "models/0.pb")
    assert all(line.isprintable() for line in [*printed.splitlines(), *errors.splitlines()])


def test_what_is_no_package_is_left_out_and_said(here: Path) -> None:
    (here / "packages/notes.txt").write_text("")
    (here / "packages/empty").mkdir()
    given = [f"packages/{name}" for name in ("cats", "dogs", "empty", "notes.txt")]
    code, _, errors = init(here, *given, "--stream-fps", "10")
    assert code == 0
    assert "mainstream: no packages, left out: packages/empty, packages/notes.txt" in errors.splitlines()
    assert len(load_problem(here / "problem.yaml").apps) == 2


def test_the_rate_is_that_of_the_source(here: Path) -> None:
    pytest.importorskip("av", reason="needs the extra run")
    from support.clips import write_clip

    write_clip(here / "a clip.avi", frames=3, fps=12)
    code, printed, errors = init(here, "packages/dogs", "--source", "a clip.avi")
    assert (code, errors) == (0, "")
    assert printed.splitlines() == [
        "written    problem.yaml: 1 app, 3,200 ms/s",
        "run        mainstream run problem.yaml --source 'a clip.avi' -m packages",
    ]
    assert load_problem(here / "problem.yaml").camera.video.stream_fps == 12


def test_pictures_that_were_cut_out_are_suspected(here: Path) -> None:
    pytest.importorskip("av", reason="needs the extra run")
    from support.clips import write_clip

    write_clip(here / "clip.avi", frames=3)  # 4:3
    for name, size in (("crops", [160, 160]), ("frames", [320, 240])):
        packages.make(here / name, picture_size=size)
    code, _, errors = init(here, "crops", "frames", "--source", "clip.avi")
    assert code == 0
    (line,) = errors.splitlines()
    assert line.startswith("crops was trained on pictures of 160 x 160, and clip.avi has frames of ")
    assert line.endswith("train it on whole frames (mainstream images), for one place with --region")


def test_a_package_of_a_store_is_named_as_there(here: Path) -> None:
    pytest.importorskip("fsspec", reason="needs the extra store")
    from mainstream.store import open_store

    (here / "packages/dogs/models").mkdir()
    for name in ("0.pb", "0.keras", "4.pb", "4.keras"):
        (here / "packages/dogs/models" / name).write_bytes(b"model")
    open_store(str(here / "store")).push(here / "packages/dogs", "dogs")
    options = ["--store", here / "store", "--stream-fps", "10"]
    done = run_here("init", "store://dogs", *options, cwd=here, COLUMNS="400", HOME=str(here / "home"))
    assert (done.returncode, done.stderr) == (0, "")
    folder = Path(done.stdout.split()[-1])
    assert folder.is_relative_to("home") and (here / folder).is_dir()
    (dogs,) = load_problem(here / "problem.yaml", fetch=open_store(str(here / "store")).fetch).apps
    assert dogs.event_length_ms == 2100
    assert yaml_values((here / "problem.yaml").read_text(encoding="utf-8"))["apps"][0]["package"] == "store://dogs"


def test_false_positive_rates_that_some_lack(here: Path) -> None:
    (here / "packages/cats/curve.csv").write_text("num_frozen,accuracy\n0,0.95\n2,0.8\n4,0.65\n")
    assert init(here, "packages/cats", "packages/dogs", "--stream-fps", "10")[0] == 0
    assert load_problem(here / "problem.yaml").objective == "recall"
    assert init(here, "packages/cats", "--stream-fps", "10", "--force")[0] == 0
    assert load_problem(here / "problem.yaml").objective is None


def other_weights(here: Path) -> None:
    packages.make(here / "packages/birds", weights_digest="sha256:" + "f" * 64)


def other_size(here: Path) -> None:
    for name in ("cats", "dogs"):
        path = here / "packages" / name / "package.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("height: 96", "height: 64"), encoding="utf-8")


def profile(file: str, **changes: object) -> Callable[[Path], None]:
    return lambda here: save_profile(MODEL.model_copy(update=changes), here / file)


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no such package": (str, "packages/dgos", "packages/dgos: not an M-Package: there is no package.yaml in it"),
    "a folder of packages": (
        str,
        "packages",
        "packages: not an M-Package: there is no package.yaml in it; name the packages in it: packages/*; `mainstream",
    ),
    "twice": (str, "packages/dogs packages/dogs", "packages/dogs: stands twice; give each package once"),
    "the same": (str, "packages/dogs ./packages/dogs", "./packages/dogs: is the same package as packages/dogs;"),
    "other network": (
        other_weights,
        "packages/dogs packages/birds --profile small.json",
        "packages/birds: its base network has the weights sha256:ffffffffffff, that of packages/dogs has sha256:01",
    ),
    "other network, no profile": (
        other_weights,
        "packages/dogs packages/birds",
        "profile: none in this folder fits; small.json is none: packages/birds: its base network has the weights",
    ),
    "other profile": (
        other_size,
        "packages/dogs --profile small.json",
        "packages/dogs: takes frames of 64 x 128 x 3, the model takes 96 x 128 x 3",
    ),
    "no profile": (
        lambda here: (here / "small.json").unlink(),
        "packages/dogs",
        "profile: none in this folder fits; measure one: mainstream profile --net packages/dogs; or name one with --p",
    ),
    "two profiles": (
        profile("other.json", name="other"),
        "packages/dogs",
        "profile: several fit: other.json, small.json; say which one with --profile",
    ),
    "no cores": (
        profile("small.json", cores=None),
        "packages/dogs",
        "utilisation: the profile has to say its cores, and unit 'ms'; give a budget instead",
    ),
    "both": (
        str,
        "packages/dogs --budget 5 --utilisation 0.5",
        "command line: budget and utilisation say the same; give one of them",
    ),
    "budget": (
        str,
        "packages/dogs --budget nan",
        "command line: budget: got 'nan'; it has to be a finite number above 0",
    ),
    "utilisation": (
        str,
        "packages/dogs --utilisation 2",
        "command line: utilisation: got '2'; it has to be a number above 0",
    ),
    "fps": (str, "packages/dogs --stream-fps 0", "stream_fps: got 0.0; it has to be a finite number above 0"),
    "many fps": (
        str,
        "packages/dogs --stream-fps 5000",
        "problem.yaml: video: stream_fps 5000 would offer every whole rate",
    ),
    "fps and source": (
        str,
        "packages/dogs --stream-fps 5 --source x.avi",
        "command line: --source and --stream-fps both say how many",
    ),
    "no clip": (str, "packages/dogs --source x.avi", "x.avi: "),
    "json": (str, "packages/dogs -o problem.json", "problem.json: is read as JSON by its name, and this writes YAML;"),
    "no folder": (str, "packages/dogs -o no/p.yaml", "no/p.yaml: cannot be written: there is no folder no"),
    "no words": (str, "", "Missing argument 'PACKAGE...'"),
    "a curve of others": (
        profile("small.json", frozen_layer_names={0: "in", 2: "a", 6: "out"}),
        "packages/dogs",
        "problem.yaml: app 1: num_frozen 4 in accuracies is no chokepoint of the model; allowed: [0, 2, 6]",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line(here: Path, what: str) -> None:
    spoil, arguments, message = BAD[what]
    spoil(here)
    code, printed, errors = init(here, *arguments.split())
    assert (code, printed) == (2, "")
    assert errors.startswith(f"mainstream: {message}"), errors
    assert errors.count("\n") == 1
    assert not (here / "problem.yaml").exists()


def test_json_files_that_are_no_profiles_do_not_count(here: Path) -> None:
    (here / "a.json").write_text("{")
    (here / "b.json").write_text(json.dumps({"layers": []}))
    (here / "c.json").mkdir()
    assert init(here, "packages/dogs", "--stream-fps", "10")[0] == 0
