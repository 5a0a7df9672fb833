"""M-Packages: what is written reads back equal, what is kept is the Pareto front, and problems can name them."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import run_here
from support.packages import CURVE, EVENTS, KEYS, keys, make

from mainstream import ProblemError, solve
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, pareto, read_package, save_package
from mainstream.io import load_package, load_problem, load_profile, save_problem, save_profile
from mainstream.streamer import net_plan

MODEL = {
    "total_layers": 6,
    "layer_latencies": [1] * 6,
    "frozen_layer_names": {0: "in", 2: "a", 4: "b", 6: "out"},
    "height": 96,
    "width": 128,
}


def refused(call: Callable[..., object], *given: Any, **named: Any) -> str:
    with pytest.raises(ProblemError) as refusal:
        call(*given, **named)
    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_a_package_reads_back_as_written(tmp_path: Path) -> None:
    for n, changes in enumerate(({}, {"events": None, "event_class": None, "training": {}, "models": {}})):
        package = Package(**keys(**changes))
        folder = make(tmp_path / str(n), **changes)
        assert read_package(folder) == (package, CURVE)
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "package.yaml"]


def test_a_packages_curve_may_have_0_and_1_when_they_agree(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs")
    alone = load_package(folder)
    lines = (folder / "curve.csv").read_text().splitlines()
    (folder / "curve.csv").write_text("\n".join([*lines, lines[1].replace("0,", "1,", 1)]) + "\n")
    app = load_package(folder)
    assert app.accuracies.keys() - {0, 1} == alone.accuracies.keys() - {0, 1}
    assert [*app.accuracies.values()] == [*alone.accuracies.values()]


def test_package_yaml_is_for_people_and_plain_yaml(tmp_path: Path) -> None:
    text = (make(tmp_path / "dogs") / "package.yaml").read_text(encoding="utf-8")
    comment, first, *_ = text.splitlines()
    assert comment.startswith("# ")
    assert first == "name: 'dogs in straße #7'"
    assert "\n  learning_rate: 0.0001\n" in text
    assert "\n  correlation: {value: 0.5, low: 0.4, high: 0.6}\n" in text
    plain = yaml.safe_load(text)
    assert list(plain) == [key for key in Package.model_fields if key in plain]
    assert plain["chokepoints"] == KEYS["chokepoints"]
    assert plain["events"] == EVENTS
    assert (tmp_path / "dogs" / "curve.csv").read_text().splitlines()[:2] == [
        "num_frozen,accuracy,false_positive_rate",
        "0,0.95,0.01",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ...}, "missing key 'name'"),
        ({"name": " "}, "name: got ' '; it has to be a word"),
        ({"nmae": "x"}, "unknown key 'nmae'; did you mean 'name'?"),
        ({"weights_digest": "md5:0"}, "weights_digest: got 'md5:0'; it has to be 'sha256:' and hexadecimal digits"),
        ({"height": 0}, "height: got 0; it has to be a whole number, 1 or more"),
        ({"classes": ["dog"]}, "classes has 1; a classifier needs 2 or more"),
        ({"classes": ["dog", "dog"]}, "classes ['dog', 'dog'] are not all different"),
        ({"event_class": "dgo"}, "event_class: 'dgo' is not a class; did you mean 'dog'?"),
        ({"chokepoints": {0: "in", 2: "a"}}, "chokepoints has to have the two ends, 0 and 6"),
        ({"chokepoints": {0: "in", 6: "out", 7: "b"}}, "chokepoints has 7, but the network has only 6 layers"),
        ({"models": {3: "models/3.pb"}}, "models has 3, which is not a chokepoint; allowed: [0, 2, 4]"),
        ({"models": {6: "models/6.pb"}}, "models has 6, which is not a chokepoint; allowed: [0, 2, 4]"),
        ({"models": {0: "/models/0.pb"}}, "models.0: got '/models/0.pb'; it has to be a .pb file inside the package's"),
        ({"models": {0: "models/../../0.pb"}}, "models.0: got 'models/../../0.pb'; it has to be a .pb file inside"),
        ({"models": {0: "..\\0.pb"}}, "models.0: got '..\\\\0.pb'; it has to be a .pb file inside"),
        ({"models": {0: "models/0.keras"}}, "models.0: got 'models/0.keras'; it has to be a .pb file inside"),
        (
            {"events": {**EVENTS, "event_frequency": {"value": 0.4, "low": 0.1, "high": 0.3}}},
            "events: event_frequency: 0.4 is outside its interval, 0.1 to 0.3",
        ),
        (
            {"events": {**EVENTS, "correlation": {"value": 0.4, "low": 0.1, "high": 1.5}}},
            "events: correlation.high: got 1.5; it has to be a number in [0, 1]",
        ),
        ({"events": {**EVENTS, "correlation": {"value": 0.4, "low": 0.1}}}, "events: correlation: missing key 'high'"),
        ({"events": {**EVENTS, "evnts": 3}}, "events: unknown key 'evnts'; did you mean 'events'?"),
        ({"events": {**EVENTS, "correlation_fps": None}}, "events: correlation and correlation_fps go together"),
    ],
)
def test_a_wrong_package_is_one_line_that_names_file_and_key(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = make(tmp_path / "dogs")
    path = folder / "package.yaml"
    path.write_text(yaml.safe_dump(keys(**changes)), encoding="utf-8")
    said = refused(read_package, folder)
    assert said.startswith(f"{path}: ")
    assert message in said


@pytest.mark.parametrize(
    ("accuracies", "message"),
    [
        ({0: 0.9, 3: 0.8, 4: 0.7}, "num_frozen: 3 is not a chokepoint of package.yaml; allowed: [0, 2, 4]"),
        ({0: 0.9, 4: 0.8, 6: 0.7}, "num_frozen: 6 is not a chokepoint of package.yaml; allowed: [0, 2, 4]"),
        ({0: 0.9, 1: 0.8, 4: 0.7}, "num_frozen 0 and 1 both mean that nothing is shared, but have 0.9 and 0.8"),
        ({0: 0.9}, "num_frozen: 4 is missing; package.yaml has a model for it"),
    ],
)
def test_a_curve_that_does_not_fit_its_package(tmp_path: Path, accuracies: dict[int, float], message: str) -> None:
    folder = make(tmp_path / "dogs")
    before = (folder / "package.yaml").read_text(), (folder / "curve.csv").read_text()
    said = refused(save_package, Package(**KEYS), Curve(accuracies, None), folder)
    assert said == f"{folder / 'curve.csv'}: {message}" or said.startswith(f"{folder / 'curve.csv'}: {message};")
    assert before == ((folder / "package.yaml").read_text(), (folder / "curve.csv").read_text())
    (folder / "curve.csv").write_text(
        "num_frozen,accuracy\n" + "".join(f"{f},{accuracy}\n" for f, accuracy in accuracies.items())
    )
    assert refused(read_package, folder) == said


def test_what_is_no_package(tmp_path: Path) -> None:
    assert refused(read_package, tmp_path / "none") == (
        f"{tmp_path / 'none'}: not an M-Package: there is no package.yaml in it; `mainstream train` makes one"
    )
    folder = make(tmp_path / "dogs")
    (folder / "curve.csv").unlink()
    assert refused(read_package, folder) == f"{folder / 'curve.csv'}: no such file or directory"
    (folder / "package.yaml").write_text("[1]")
    assert "it has to be a mapping" in refused(read_package, folder)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_kept_is_what_no_less_specialised_model_matches(seed: int) -> None:
    rng = random.Random(seed)
    accuracies = {f: rng.choice([0.5, 0.6, 0.7, 0.8, 0.9]) for f in rng.sample(range(2, 100), rng.randint(1, 12))}
    kept = pareto(Curve(accuracies, None))
    expected = [f for f in sorted(accuracies) if all(accuracies[f] > accuracies[k] for k in accuracies if k > f)]
    assert list(kept) == expected


def test_an_app_of_a_package_has_what_is_kept(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs")
    app = load_package(folder, app_id=7, x_vote="auto")
    assert app.accuracies == {0: CURVE.accuracies[0], 4: CURVE.accuracies[4]}
    assert app.false_positive_rates == {0: 0.01, 4: 0.04}
    assert (app.event_length_ms, app.event_frequency, app.correlation) == (2100, 0.2, 0.5)
    assert (app.app_id, app.name, app.event_class, app.x_vote) == (7, KEYS["name"], 1, "auto")
    assert app.model_path == {f: str(tmp_path / "dogs" / "models" / f"{f}.pb") for f in (0, 4)}


def test_model_files_are_absolute_wherever_the_package_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "dogs")
    monkeypatch.chdir(tmp_path)
    assert load_package("dogs") == load_package(tmp_path / "dogs")


def test_what_is_given_beside_a_package_wins(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs")
    app = load_package(folder, event_length_ms=9, correlation_coefficient=0.1, name="mine", model_path={0: "at/0.pb"})
    assert (app.event_length_ms, app.correlation, app.name, app.model_path) == (9, 0.1, "mine", {0: "at/0.pb"})
    assert app.event_frequency == 0.2
    own = load_package(folder, accuracies={2: 0.5})
    assert (own.accuracies, own.false_positive_rates) == ({2: 0.5}, None)


def test_a_package_that_is_not_calibrated_needs_an_event_length(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs", events=None)
    assert refused(load_package, folder) == (
        f"{folder}: dogs in straße #7 has no event length; give event_length_ms, "
        f"or measure it: mainstream calibrate {folder} --labels FILE (mainstream label makes the file)"
    )
    app = load_package(folder, event_length_ms=100)
    assert (app.event_frequency, app.correlation) == (None, 0)
    assert refused(load_package, folder, event_length_ms=-1).startswith(f"{folder}: app 1: event_length_ms: got -1")
    assert "did you mean 'event_length_ms'?" in refused(load_package, folder, event_length_ms=1, event_lenght_ms=1)


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    make(tmp_path / "packages" / "dogs")
    make(tmp_path / "packages" / "cats", events=None, name="cats", event_class=None)
    path = tmp_path / "problems" / "two.yaml"
    path.parent.mkdir()
    write(path, [{"package": "../packages/dogs"}, {"package": "../packages/cats", "event_length_ms": 500}])
    return path


def write(path: Path, apps: list[Any], **changes: Any) -> None:
    described = {"budget": 30, "video": {"stream_fps": 10}, "model": {**MODEL, **changes}, "apps": apps}
    path.write_text(yaml.safe_dump(described))


def test_a_problem_names_packages(problem: Path) -> None:
    loaded = load_problem(problem)
    folder = problem.parent / ".." / "packages"
    assert loaded.apps == (
        load_package(folder / "dogs", app_id=1),
        load_package(folder / "cats", app_id=2, event_length_ms=500),
    )
    save_problem(loaded, problem.with_name("copy.yaml"))
    assert load_problem(problem.with_name("copy.yaml")) == loaded
    result = solve(loaded.apps, loaded.model, loaded.video, budget=60, objective="recall")
    plan = net_plan(result, loaded.apps, loaded.model)
    for part in plan.tails:
        assert Path(part.model_path).name in ("0.pb", "4.pb")
        assert part.event_class == (1 if part.app_id == 1 else None)


def test_the_problem_in_the_docs_loads(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", (root / "docs" / "packages.md").read_text(), re.MULTILINE | re.DOTALL)
    profile = load_profile(root / "data" / "profiles" / "mobilenetv2-96.json")
    like_it = {"width": 96, "total_layers": profile.total_layers, "chokepoints": dict(profile.frozen_layer_names)}
    curve = Curve({0: 0.9, 18: 0.7, 90: 0.8}, {0: 0.1, 18: 0.1, 90: 0.1})
    for name, events in (("pedestrian", EVENTS), ("animals", None), ("plants", None)):
        make(tmp_path / "packages" / name, curve, name=name, models={}, events=events, **like_it)
    save_profile(profile, tmp_path / "mobilenetv2-96.json")
    path = tmp_path / "problems" / "problem.yaml"
    path.parent.mkdir()
    path.write_text(text.replace("../profiles/", "../"))
    apps = load_problem(path).apps
    assert [(app.app_id, app.name, len(app.accuracies)) for app in apps] == [
        (1, "pedestrian", 2),
        (2, "animals", 2),
        (3, "plants", 3),
    ]


def test_packages_stand_beside_other_apps_and_have_their_own_ids(problem: Path) -> None:
    (problem.parent / "curve.csv").write_text("num_frozen,accuracy\n0,0.9\n2,0.8\n")
    write(
        problem,
        [
            {"app_id": 5, "curve": "curve.csv", "event_length_ms": 10},
            {"package": "../packages/dogs"},
            {"package": "../packages/dogs", "app_id": 9, "curve": "curve.csv", "event_frequency": 0.9},
        ],
    )
    first, second, third = load_problem(problem).apps
    assert [app.app_id for app in (first, second, third)] == [5, 2, 9]
    assert (third.accuracies, third.false_positive_rates) == ({0: 0.9, 2: 0.8}, None)
    assert (third.event_frequency, third.event_length_ms) == (0.9, 2100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights_digest": "sha256:ffffffffffffffff"},
            "apps[1]: its base network has the weights sha256:ffffffffffff, that of apps[0] has sha256:0123456789ab; "
            "only apps of the same network can share layers",
        ),
        ({"width": 96}, "apps[1]: takes frames of 96 x 96 x 3, the model takes 96 x 128 x 3"),
        (
            {"total_layers": 7, "chokepoints": {0: "in", 2: "a", 4: "b", 7: "out"}},
            "apps[1]: its network has 7 layers, the model has 6",
        ),
        (
            {"chokepoints": {0: "in", 2: "a", 4: "c", 6: "out"}},
            "apps[1]: chokepoint 4 is 'c', in the model it is 'b'",
        ),
    ],
)
def test_packages_that_do_not_fit_are_one_line(problem: Path, changes: dict[str, Any], message: str) -> None:
    make(problem.parent / "other", **changes)
    write(problem, [{"package": "../packages/dogs"}, {"package": "other"}])
    assert refused(load_problem, problem) == f"{problem}: {message}"


def test_a_model_without_a_size_takes_packages_of_one_size(problem: Path) -> None:
    make(problem.parent / "other", width=96)
    write(problem, [{"package": "../packages/dogs"}, {"package": "other"}], height=None, width=None)
    assert refused(load_problem, problem) == (
        f"{problem}: apps[1]: takes frames of 96 x 96 x 3, apps[0] takes 96 x 128 x 3"
    )


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ({"package": 3}, "apps[0]: package: got 3; it has to be the name of a folder"),
        ({"package": "none"}, "not an M-Package"),
        ({"package": "../packages/cats"}, "apps[0]: cats has no event length; give event_length_ms"),
        ({"package": "../packages/dogs", "wieght": 2}, "did you mean 'weight'?"),
    ],
)
def test_wrong_packages_in_a_problem(problem: Path, app: dict[str, Any], message: str) -> None:
    write(problem, [app])
    said = refused(load_problem, problem)
    assert said.startswith(f"{problem}: apps[0]: ")
    assert message in said


def shown(*given: object) -> subprocess.CompletedProcess[str]:
    return run_here("packages", *given)


def test_show_says_what_is_kept_and_why_and_which_files_there_are(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs")
    (folder / "models").mkdir()
    (folder / "models" / "4.pb").write_bytes(bytes(2_300_000))
    done = shown("show", folder)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "name dogs in straße #7",
        "network mobilenetv2, 6 layers, 96 x 128 x 3",
        "classes other, dog",
        "event class dog",
        "event length 2100 ms (1800 to 2400)",
        "correlation 0.5 (0.4 to 0.6) at 5 fps",
        "calibrated on 12 events in 795 frames; intervals of 95%",
        "learning_rate 0.0001",
        "versions python 3.11.2",
        "0 0.9500 0.0100 yes (models/0.pb missing, models/0.keras missing)",
        "2 0.8000 0.0010 no: 4 shares more and reaches 0.8500",
        "4 0.8500 0.0400 yes (models/4.pb 2.3 MB, models/4.keras missing)",
    ):
        assert line in lines


def test_show_of_a_package_that_is_not_calibrated_and_of_none(tmp_path: Path) -> None:
    folder = make(tmp_path / "dogs", Curve(CURVE.accuracies, None), events=None, event_class=None)
    done = shown("show", folder)
    assert f"not calibrated; mainstream calibrate {folder} --labels FILE measures them" in done.stdout
    assert "none: the curve is of all classes" in done.stdout
    for given, message in (
        (["show", tmp_path], f"mainstream: {tmp_path}: not an M-Package: there is no package.yaml in it"),
        ([], "mainstream: packages: give one of its commands"),
    ):
        done = shown(*given)
        assert done.returncode == 2
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
