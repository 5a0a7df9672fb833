"""Profiles: latencies of which the tails are the measured ones, timings, and the command from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support import packages
from support.commands import but_progress, run_here
from support.keras_models import plain
from support.terminal import COMMAND

from mainstream.costs import tail_costs
from mainstream.errors import ProblemError
from mainstream.graphs import onednn
from mainstream.io import load_profile
from mainstream.problem import Model
from mainstream.trainer import profile as profiles
from mainstream.trainer.networks import network
from mainstream.trainer.package_network import read_package_network
from mainstream.trainer.profile import latencies, timing, visit

TAILS = st.lists(st.floats(0.1, 100), min_size=2, max_size=12)


def model_of(tails: dict[int, float], total: int) -> Model:
    return Model(total_layers=total, layer_latencies=latencies(tails, total), frozen_layer_names={0: "a", total: "b"})


def test_tails_of_the_cost_model_are_the_measured_ones() -> None:
    tails = {0: 9.0, 4: 7.5, 5: 7.0, 11: 0.25}
    model = model_of(tails, 13)
    np.testing.assert_allclose(tail_costs(model, [0, 4, 5, 11], [1, 1, 1, 2]), [9.0, 7.5, 7.0, 0.5], atol=1e-5)
    assert model.layer_latencies[:5] == (0.375, 0.375, 0.375, 0.375, 0.5)


def test_a_tail_longer_than_the_one_that_holds_it_is_noise() -> None:
    model = model_of({0: 5.0, 3: 2.0, 4: 3.0, 6: 1.0}, 8)
    np.testing.assert_allclose(tail_costs(model, [3, 4, 6], [1, 1, 1]), [2.5, 2.5, 1.0], atol=1e-5)


@given(TAILS)
def test_latencies_are_the_nearest_that_no_layer_makes_negative(tails: list[float]) -> None:
    n = len(tails)
    found = np.array(latencies(dict(enumerate(tails)), n))
    assert found.min() >= 0
    fitted = np.cumsum(found[::-1])[::-1]
    # The largest of the means from there on of the smallest means: isotonic regression by its min-max formula.
    means = np.array([[np.mean(tails[i : j + 1]) if i <= j else np.nan for j in range(n)] for i in range(n)])
    nearest = [np.nanmin([np.nanmax(means[a, k:]) for a in range(k + 1)]) for k in range(n)]
    np.testing.assert_allclose(fitted, nearest, atol=1e-4)


def test_a_timing_leaves_out_visits_that_waited() -> None:
    times = np.array([1.0, 1.1, 0.9, 50.0, 1.0, 40.0, 1.0])
    found = timing(times, times < 10)
    assert (found.median_ms, found.fastest_ms, found.visits) == (1.0, 0.9, 5)
    assert timing(times, times < 1).visits == 7  # with so few undisturbed ones, all count


def test_the_spread_is_the_medians_interval() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(400):
        times = rng.lognormal(0, 0.2, 61)
        found = timing(times, np.ones(61, bool))
        outside += abs(found.median_ms - 1) > found.spread * found.median_ms
    assert 0.01 < outside / 400 < 0.15


def test_a_visit_calls_as_often_again_as_it_took_to_warm_up() -> None:
    seen: list[object] = []

    def first(value: object) -> str:
        seen.append(value)
        return "of the first"

    milliseconds, _ = visit([first, seen.append], "frame")
    assert seen == ["frame", "of the first"] * (len(seen) // 2)
    assert len(seen) % 4 == 0
    assert milliseconds.shape == (2,)
    assert (milliseconds > 0).all()


def test_a_visit_tells_when_it_had_to_wait() -> None:
    calls: list[object] = []

    def slow(value: object) -> None:
        calls.append(value)
        time.sleep(0.01)

    _, alone = visit([slow], "frame")
    assert len(calls) == 2
    assert not alone  # it slept: it did not have a core to itself


def test_after_a_pause_a_visit_calls_once() -> None:
    calls: list[float] = []
    begun = time.perf_counter()
    milliseconds, _ = visit([lambda frame: calls.append(time.perf_counter()) or np.zeros(1)], "frame", 50)
    assert len(calls) == 1 and calls[0] - begun >= 0.05
    assert milliseconds[0] < 50


@pytest.mark.parametrize("pause", [-1, 1e6, float("nan")])
def test_a_pause_has_to_be_one(pause: float) -> None:
    with pytest.raises(ProblemError, match="pause_ms: got"):
        profiles.profile(network(plain()), pause_ms=pause)


def test_threads_have_to_be_a_number() -> None:
    with pytest.raises(ProblemError, match="threads: got 0; it has to be at least 1"):
        profiles.use_threads(0)
    with pytest.raises(ProblemError, match="threads: got 99999999999; it has to be at most 4096"):
        profiles.use_threads(99_999_999_999)


@pytest.fixture
def any_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow takes its number of threads once a process, and this process runs many tests."""
    monkeypatch.setattr(profiles, "use_threads", lambda threads: None)


@pytest.mark.usefixtures("any_threads")
def test_a_profile_is_the_model_that_solve_takes() -> None:
    shares: list[float] = []
    found = profiles.profile(network(plain()), spread=10.0, progress=shares.append)
    model = found.model
    assert len(shares) == profiles.LEAST_ROUNDS
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert dict(model.frozen_layer_names) == {0: "frame", 4: "first_relu", 6: "add", 7: "pool", 8: "gap", 9: "softmax"}
    assert (model.height, model.width, model.channels, model.batch, model.unit) == (16, 16, 3, 1, "ms")
    assert model.total_layers == 9
    assert model.measured_on is not None
    assert "TensorFlow" in model.measured_on
    assert list(found.tails) == list(found.stems) == [4, 6, 7, 8]
    assert model.prefix[-1] > 0
    assert found.cut_cost_ms(4) == found.stems[4].median_ms + found.tails[4].median_ms - found.whole.median_ms


@pytest.mark.usefixtures("any_threads")
def test_measuring_ends_in_time() -> None:
    found = profiles.profile(network(plain()), spread=1e-9, seconds=0.5)
    assert found.spread > 1e-9
    assert found.whole.visits >= 1


@pytest.mark.parametrize(
    ("spread", "seconds"), [(0, 1), (1, 0), (float("nan"), 1), (1, float("nan")), (1, float("inf")), (float("inf"), 1)]
)
def test_limits_have_to_be_positive(spread: float, seconds: float) -> None:
    with pytest.raises(ProblemError, match="have to be positive"):
        profiles.profile(network(plain()), spread=spread, seconds=seconds)


@pytest.mark.parametrize("rounds", [4, 5])
def test_ctrl_c_keeps_what_five_rounds_have_measured(rounds: int) -> None:
    told: list[float] = []

    def press(done: float) -> None:
        told.append(done)
        if len(told) == rounds:
            raise KeyboardInterrupt

    calls = {0: (np.negative,), 2: (np.negative, np.negative)}
    given = calls, np.zeros(1), 0.0, 1e-9, 60.0, press
    if rounds < 5:
        with pytest.raises(KeyboardInterrupt):
            profiles._measure(*given)
    else:
        timings, ended = profiles._measure(*given)
        assert not ended and [len(timings[0]), len(timings[2])] == [1, 2] and timings[2][1].visits <= 5


def test_another_number_of_threads_in_one_process_is_refused() -> None:
    network(plain())
    with pytest.raises(ProblemError, match=r"already runs with .* threads in this process, not with 77"):
        profiles.use_threads(77)


def test_the_command_measures_and_writes(tmp_path: Path) -> None:
    plain().save(tmp_path / "plain.keras")
    out = tmp_path / "profile.json"
    command = [COMMAND, "profile", "--net", tmp_path / "plain.keras", "--spread", "10", "-o", out, "--threads", "2"]
    command += ["--json", tmp_path / "out.json"]
    environment = {**os.environ, onednn.VARIABLE: "1"}  # else two more processes measure which is faster
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    assert "first_relu" in done.stdout
    model = load_profile(out)
    assert (model.name, model.total_layers, model.threads) == ("plain", 9, 2)
    told = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (told["profile"], told["file"]) == (json.loads(out.read_text(encoding="utf-8")), str(out))
    assert f"whole      {told['whole']['median_ms']:.3f} ms" in done.stdout
    for cut in told["chokepoints"]:
        assert {"median_ms", "spread"} < cut["stem"].keys() == cut["tail"].keys()
        assert f"{cut['num_frozen']:>10}  {cut['layer']}" in done.stdout


def test_the_commands_say_what_is_wrong_in_one_line() -> None:
    done = run_here("layers", "mobilenetv2", "--chokepoints", "resnet", "--size", 32)
    assert done.returncode == 2
    assert done.stderr == "mainstream: chokepoints 'resnet': 2 (conv1_conv) is not in mobilenetv2-32\n"
    assert done.stdout == ""


def test_the_layers_of_a_file(tmp_path: Path) -> None:
    plain().save(tmp_path / "plain.keras")
    done = run_here("layers", tmp_path / "plain.keras")
    lines = done.stdout.splitlines()
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    assert lines[0].split() == ["layer", "name", "shape", "parameters", "num_frozen", "block"]
    assert lines[2].split() == ["1", "first", "16", "x", "16", "x", "8", "224", "2"]
    assert lines[4].split() == ["3", "first_relu", "16", "x", "16", "x", "8", "0", "4", "x"]
    assert lines[5].split() == ["4", "second", "16", "x", "16", "x", "8", "584"]
    assert lines[-1] == "plain: 9 layers, 876 parameters, 8 chokepoints, 6 to use, with 0 and 9"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "mobilenetv2-96"),
        ({"precision": "int8", "models": {0: "models/0.onnx", 4: "models/4.onnx"}}, "mobilenetv2-96-int8"),
        ({"network": "street"}, "street"),
    ],
)
def test_a_package_s_profile_is_called_after_its_base_network(
    changes: dict[str, Any], name: str, tmp_path: Path
) -> None:
    assert read_package_network(packages.make(tmp_path / "dogs", **changes)).name == name
