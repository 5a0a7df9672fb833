"""The published generator's settings: read, refused, drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.commands import run_here

from mainstream import ProblemError
from mainstream.experiments.event_grid import EventGrid, draw_apps, load_event_grid
from mainstream.experiments.workloads import workloads_on_grid
from mainstream.io import Curve, load_curve, load_profile, load_workloads

DATA = Path(__file__).parents[2] / "data"
KEYS = {
    "event_frequency_min": 0.1,
    "event_frequency_max": 1,
    "event_frequency_delta": 0.3,
    "event_length_ms_min": 200,
    "event_length_ms_max": 1000,
    "event_length_ms_delta": 500,
    "correlation_min": 0,
    "correlation_max": 0.9,
    "correlation_delta": 0.1,
}
INI = "[config]\n" + "".join(f"{key}={value}\n" for key, value in KEYS.items())


def test_ini_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "setup.v1").write_text(INI, encoding="utf-8")
    (tmp_path / "setup.yaml").write_text("".join(f"{k}: {v}\n" for k, v in KEYS.items()), encoding="utf-8")
    grid = load_event_grid(tmp_path / "setup.v1")
    assert grid == load_event_grid(tmp_path / "setup.yaml")
    assert grid.values("event_frequency").tolist() == [0.1, 0.4, 0.7, 1.0]
    assert grid.values("event_length_ms").tolist() == [200, 700]  # the next would be beyond the maximum
    assert grid.values("correlation").tolist() == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (INI.replace("[config]", "[other]"), "it has the sections ['other']; it has to have only [config]"),
        (INI.replace("[config]\n", ""), "not an INI file: "),
        (
            INI.replace("correlation_max", "corelation_max"),
            "unknown key 'corelation_max'; did you mean 'correlation_max'?",
        ),
        (INI.replace("event_frequency_min=0.1", "event_frequency_min=often"), "event_frequency_min: got 'often'"),
        (INI.replace("event_frequency_max=1", "event_frequency_max=1.5"), "event_frequency_max: got 1.5; it has to be"),
        (INI.replace("event_length_ms_min=200", "event_length_ms_min=2000"), "event_length_ms_min 2000 is above"),
        (INI.replace("correlation_delta=0.1", "correlation_delta=0"), "correlation_delta: got 0"),
        (INI.replace("correlation_delta=0.1", "correlation_delta=1e-9"), "correlation_delta 1e-09 makes more than"),
        (INI.replace("correlation_delta=0.1\n", ""), "missing key 'correlation_delta'"),
    ],
)
def test_bad_settings_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "setup").write_text(text, encoding="utf-8")
    with pytest.raises(ProblemError) as refusal:
        load_event_grid(tmp_path / "setup")
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(f"{tmp_path / 'setup'}: ") and "\n" not in str(refusal.value)


def test_apps_take_each_curve_and_each_value_alike() -> None:
    curves = [Curve({0: 0.9, 4: 0.8}, {0: 0.1, 4: 0.2}), Curve({0: 0.7}, None), Curve({0: 0.6}, {0: 0.3})]
    n = 4000
    drawn = draw_apps(EventGrid.of(KEYS), curves, n, np.random.default_rng(3))
    assert [app.app_id for app in drawn] == list(range(1, n + 1))
    of_curve = [sum(app.accuracies == curve.accuracies for app in drawn) for curve in curves]
    assert np.abs(np.array(of_curve) - n / 3).max() < 5 * np.sqrt(n * 2 / 9)
    for name, count in (("event_frequency", 4), ("event_length_ms", 2), ("correlation", 10)):
        values, found = np.unique([getattr(app, name) for app in drawn], return_counts=True)
        assert values.tolist() == EventGrid.of(KEYS).values(name).tolist()
        assert np.abs(found - n / count).max() < 5 * np.sqrt(n / count)


def test_workloads_differ_and_run_out() -> None:
    model = load_profile(DATA / "profiles" / "mobilenetv2-96.json")
    one = Curve({0: 0.9, 18: 0.8}, {0: 0.1, 18: 0.2})
    few = EventGrid.of({**KEYS, "correlation_max": 0, "event_length_ms_max": 200})
    made = list(workloads_on_grid(few, [one], 1, 4, seed=1, stream_fps=10, model=model))
    assert sorted(apps[0].event_frequency or 0 for apps, _, _ in made) == [0.1, 0.4, 0.7, 1.0]
    with pytest.raises(ProblemError, match="setups: got 5; these curves and this grid gave only 4 different workloads"):
        list(workloads_on_grid(few, [one], 1, 5, seed=1, stream_fps=10, model=model))


def test_the_command_writes_the_same_lines_again(tmp_path: Path) -> None:
    (tmp_path / "setup").write_text(INI, encoding="utf-8")
    curves = [DATA / "curves" / f"{name}.csv" for name in ("person", "plant")]
    arguments = ["-n", "3", "--setups", "5", "--config", tmp_path / "setup", "--stream-fps", "8"]
    arguments += ["--profile", DATA / "profiles" / "mobilenetv2-96.json"]
    for curve in curves:
        arguments += ["--curve", curve]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        command = ["workloads", "generate", *arguments, "--seed", seed, "-o", tmp_path / f"{name}.jsonl"]
        run_here(*command).check_returncode()
    first, again, other = ((tmp_path / f"{name}.jsonl").read_text(encoding="utf-8") for name in "abc")
    assert first == again != other
    problems, _ = load_workloads(tmp_path / "a.jsonl")
    assert len(problems) == 5
    known = [load_curve(curve).accuracies for curve in curves]
    for problem in problems:
        assert problem.video.stream_fps == 8
        assert all(app.accuracies in known and app.x_vote is None for app in problem.apps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "3", "--setups", "2", "-o", "two.yaml"], "two.yaml: 2 workloads need a file that ends in .jsonl"),
        (["-n", "3", "--setups", "0", "-o", "no.jsonl"], "--setups: got 0; it has to be"),
        (["-n", "3", "--config", "setup", "-o", "w.jsonl"], "event parameters from a grid need measured curves"),
        (["-n", "3", "--config", "setup", "--voting", "1", "-o", "w.jsonl"], "--voting has no use with --config"),
        (["-n", "3", "-o", "nowhere/w.jsonl"], "nowhere/w.jsonl: cannot be written: there is no folder nowhere"),
    ],
)
def test_the_command_refuses(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "setup").write_text(INI, encoding="utf-8")
    done = run_here("workloads", "generate", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(f"mainstream: {message}")
    assert done.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["setup"]
