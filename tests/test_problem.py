"""App, Model, Video and Apps: both published forms are taken, everything wrong is refused in one clear line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mainstream import App, Apps, Model, ProblemError, Video
from mainstream.description import nearest, one_of, shown

SHORT_FORM: dict[str, Any] = {
    "app_id": 1,
    "model_path": {0: "/path/to/model.pb", 10: "/path/to/model-10.pb"},
    "event_length_ms": 10,
    "correlation": 0,
    "accuracies": {1: 1, 10: 0.8, 21: 0.6, 30: 0.6, 40: 0.2},
}
LONG_FORM: dict[str, Any] = {
    "app_id": 1,
    "name": "train",
    "event_length_ms": 500,
    "event_frequency": 0.1,
    "correlation_coefficient": 0.2,
    "x_vote": 2,
    "accuracies": {"0": 0.9, "10": 0.8},
    "prob_tnrs": {"0": 0.1, "10": 0.2},
    "model_path": {"0": "a.pb", "10": "b.pb"},
}
PUBLISHED_MODEL: dict[str, Any] = {
    "total_layers": 41,
    "channels": 3,
    "height": 299,
    "width": 299,
    "layer_latencies": [1] * 41,
    "frozen_layer_names": {1: "input", 10: "conv1", 21: "conv2", 30: "pool", 40: "fc", 41: "softmax"},
}
APP: dict[str, Any] = {"app_id": 3, "accuracies": {0: 0.9, 10: 0.8}, "event_length_ms": 100}
MODEL: dict[str, Any] = {"total_layers": 3, "layer_latencies": [1, 2, 3], "frozen_layer_names": {0: "in", 2: "a"}}


def test_both_published_forms_are_taken_as_they_stand() -> None:
    short, long = App(**SHORT_FORM), App(**LONG_FORM)
    assert short.accuracies == {1: 1.0, 10: 0.8, 21: 0.6, 30: 0.6, 40: 0.2}
    assert long.correlation == 0.2
    assert long.false_positive_rates == {0: 0.1, 10: 0.2}
    assert long.model_path == {0: "a.pb", 10: "b.pb"}
    assert Model(**PUBLISHED_MODEL).chokepoints == {0, 10, 21, 30, 40, 41}
    apps = Apps.of([SHORT_FORM])
    assert apps.chokepoints.tolist() == [0, 10, 21, 30, 40]
    assert apps.unshared_key.tolist() == [1]
    apps.check(Model(**PUBLISHED_MODEL), Video(stream_fps=30), "mainstream")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accuracies": {0: 1.2}}, "app 3: accuracies.0: got 1.2; it has to be a number in [0, 1]"),
        ({"accuracies": {0: float("nan")}}, "app 3: accuracies.0: got nan; it has to be a number in [0, 1]"),
        ({"accuracies": {0: True}}, "app 3: accuracies.0: got True; it has to be a number in [0, 1]"),
        ({"accuracies": {"x": 0.5}}, "app 3: accuracies: key 'x'; it has to be a whole number, 0 or more"),
        ({"accuracies": {-1: 0.5}}, "app 3: accuracies: key -1; it has to be a whole number, 0 or more"),
        ({"accuracies": {}}, "app 3: accuracies is empty"),
        ({"accuracies": [0.5]}, "app 3: accuracies: got [0.5]; it has to be a mapping of keys to values"),
        ({"accuracies": {10: 0.5, "10": 0.6}}, "the same num_frozen stands twice"),
        ({"accuracies": {0: 0.5, 1: 0.6}}, "app 3: accuracies: got {0: 0.5, 1: 0.6}; num_frozen 0 and 1 both mean"),
        ({"model_path": {0: "a.pb", 1: "b.pb"}}, "nothing is shared, but have 'a.pb' and 'b.pb'; give one of them"),
        ({"false_positive_rates": {0: 0.1}}, "only one of them has [10]"),
        ({"corelation": 0.5}, "app 3: unknown key 'corelation'; did you mean 'correlation'?"),
        ({"zzz": 0.5}, "app 3: unknown key 'zzz'; known: app_id, accuracies, "),
        ({"correlation": 0.1, "correlation_coefficient": 0.1}, "is another name of 'correlation'; give one of them"),
        ({"correlation": 1.01}, "app 3: correlation: got 1.01; it has to be a number in [0, 1]"),
        ({"event_frequency": 0}, "app 3: event_frequency: got 0; it has to be a number above 0, up to 1"),
        ({"event_length_ms": float("inf")}, "app 3: event_length_ms: got inf; it has to be a finite number above 0"),
        ({"event_length_ms": -5}, "app 3: event_length_ms: got -5; it has to be a finite number above 0"),
        ({"weight": 0}, "app 3: weight: got 0; it has to be a finite number above 0"),
        ({"x_vote": 0}, "app 3: x_vote: got 0; it has to be an integer of at least 1, or 'auto'"),
        ({"x_vote": 1.5}, "app 3: x_vote: got 1.5; it has to be an integer of at least 1, or 'auto'"),
        ({"x_vote": True}, "app 3: x_vote: got True; it has to be an integer of at least 1, or 'auto'"),
        ({"x_vote": "Auto"}, "app 3: x_vote: got 'Auto'; it has to be an integer of at least 1, or 'auto'"),
        ({"pinned": 10}, "app 3: pinned: got 10; it has to be a pair: num_frozen, target_fps"),
        ({"pinned": (10,)}, "app 3: pinned: got (10,); it has to be a pair: num_frozen, target_fps"),
        ({"pinned": (9, 5)}, "app 3: pinned num_frozen 9 is not in accuracies; allowed: [0, 10]"),
        ({"min_fps": 5, "max_fps": 2}, "app 3: min_fps 5 is above max_fps 2"),
        ({"name": 7}, "app 3: name: got 7; it has to be text"),
        ({"optional": "maybe"}, "app 3: optional: got 'maybe'; it has to be true or false"),
        ({"app_id": -1}, "app -1: app_id: got -1; it has to be a whole number, 0 or more"),
        ({"app_id": 10**30}, "it has to be a whole number, 0 or more, up to 2**53"),
        ({"weight": 0, "correlation": 2}, "(and 1 more)"),
    ],
)
def test_a_wrong_app_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        App(**{**APP, **changes})
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_curve_may_have_0_and_1_when_they_agree() -> None:
    curves = {
        "accuracies": ({0: 0.9, 10: 0.8}, {1: 0.9}),
        "false_positive_rates": ({1: 0.1, 10: 0.2}, {0: 0.1}),
        "accuracy_intervals": ({0: (0.8, 1.0), 10: (0.7, 0.9)}, {1: (0.8, 1.0)}),
        "model_path": ({1: "a.pb", 10: "b.pb"}, {"0": "a.pb"}),
    }
    one = App(**{**APP, **{key: curve for key, (curve, _) in curves.items()}})
    both = App(**{**APP, **{key: {**curve, **more} for key, (curve, more) in curves.items()}})
    assert both.accuracies == one.accuracies == {0: 0.9, 10: 0.8}
    assert both.false_positive_rates == {0: 0.1, 10: 0.2}
    assert both.model_path == {0: "a.pb", 10: "b.pb"}
    for column in ("chokepoints", "accuracies", "false_positive_rates", "accuracy_intervals"):
        np.testing.assert_array_equal(getattr(Apps.of([both]), column), getattr(Apps.of([one]), column))


def test_an_app_without_a_number_is_named_by_its_place() -> None:
    with pytest.raises(ProblemError, match=r"^apps\[1\]: missing key 'app_id'$"):
        Apps.of([APP, {key: value for key, value in APP.items() if key != "app_id"}])
    with pytest.raises(ProblemError, match=r"^apps\[1\]: got 'x'; it has to be a mapping of keys to values$"):
        Apps.of([APP, "x"])  # type: ignore[list-item]
    with pytest.raises(ProblemError, match=r"^model: key 3 is not a word$"):
        Model.of({3: 4})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_latencies": [1, 2]}, "model: layer_latencies has 2 values, total_layers is 3"),
        ({"layer_latencies": [1, -2, 3]}, "model: layer_latencies.1: got -2; it has to be a finite number, 0 or more"),
        ({"layer_latencies": [0, 0, 0]}, "model: layer_latencies are all 0"),
        ({"layer_latencies": 3}, "model: layer_latencies: got 3; it has to be a list"),
        ({"total_layers": 0, "layer_latencies": []}, "model: total_layers: got 0; it has to be a whole number, 1 or"),
        ({"frozen_layer_names": {}}, "model: frozen_layer_names is empty"),
        ({"frozen_layer_names": {4: "x"}}, "model: frozen_layer_names has 4, the network has 3 layers"),
        ({"frozen_layer_names": {2: "x", "2": "y"}}, "the same num_frozen stands twice"),
        ({"width": 0}, "model: width: got 0; it has to be a whole number, 1 or more"),
        ({"total_layer": 3}, "model: unknown key 'total_layer'; did you mean 'total_layers'?"),
    ],
)
def test_a_wrong_model_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        Model(**{**MODEL, **changes})
    assert message in str(refusal.value)


def test_models_are_equal_when_their_values_are() -> None:
    first, second = Model(**MODEL), Model(**MODEL)
    assert first.prefix.tolist() == second.prefix.tolist() == [0, 1, 3, 6]
    assert first == second
    assert first != Model(**MODEL, unit="ms")
    assert first != MODEL


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "video: missing key 'stream_fps'"),
        ({"stream_fps": 0}, "video: stream_fps: got 0; it has to be a finite number above 0"),
        ({"stream_fps": 10, "fps_options": []}, "video: fps_options is empty"),
        ({"stream_fps": 10, "fps_options": [2, 2]}, "do not increase"),
        ({"stream_fps": 10, "fps_options": [0, 2]}, "video: fps_options.0: got 0; it has to be a finite number above"),
        ({"stream_fps": 10, "fps_options": [2, 11]}, "video: fps_options go up to 11, the stream has 10 fps"),
    ],
)
def test_a_wrong_video_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        Video(**keys)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("stream_fps", "mode", "rates"),
    [
        (3, "mainstream", [1, 2, 3]),
        (3.97, "max-sharing", [1, 2, 3]),
        (2, "no-sharing", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2]),
        (0.25, "no-sharing", [0.1, 0.2]),
        (0.25, "mainstream", [0.25]),
    ],
)
def test_default_rates(stream_fps: float, mode: str, rates: list[float]) -> None:
    assert Video(stream_fps=stream_fps).rates(mode).tolist() == rates
    assert Video(stream_fps=stream_fps, fps_options=[0.2]).rates(mode).tolist() == [0.2]


def test_what_only_apps_model_and_video_tell_together() -> None:
    model, video = Model(**MODEL), Video(stream_fps=5)
    with pytest.raises(ProblemError, match=r"app 3: num_frozen 10 in accuracies is no chokepoint .* allowed: \[0, 2\]"):
        Apps.of([APP]).check(model, video, "mainstream")
    pinned = Apps.of([{**APP, "accuracies": {0: 0.5}, "pinned": (1, 2.5)}])
    with pytest.raises(ProblemError, match=r"app 3: pinned target_fps 2\.5 is not offered; fps_options: \[1\.0, 2\.0"):
        pinned.check(model, video, "mainstream")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "apps: there is none; at least one is needed"),
        ([APP, APP], "app_id 3 stands 2 times; each app needs its own"),
        (APP, "it has to be a list of apps"),
        (None, "apps: got None; it has to be a list of apps"),
    ],
)
def test_wrong_lists_of_apps_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        Apps.of(given)
    assert message in str(refusal.value)


def test_columns_from_arrays_are_those_from_objects() -> None:
    rows = [
        {**APP, "event_frequency": 0.2, "false_positive_rates": {0: 0.1, 10: 0.2}, "x_vote": "auto"},
        {**LONG_FORM, "accuracies": {10: 0.7}, "prob_tnrs": {10: 0.3}, "name": None},
    ]
    nan = np.nan
    columns = Apps.from_arrays(
        [[0.9, 0.8], [nan, 0.7]],
        [[0.1, 0.2], [nan, 0.3]],
        [0, 10],
        event_length_ms=[100, 500],
        event_frequency=[0.2, 0.1],
        correlation=[0, 0.2],
        x_vote=[-1, 2],
        app_ids=[3, 1],
    )
    same = Apps.of(rows)
    for column, values in vars(columns).items():
        np.testing.assert_array_equal(values, getattr(same, column), err_msg=column)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accuracies": [0.5]}, "accuracies: shape (1,); it has to be N apps x F chokepoints"),
        ({"accuracies": [[1.5, 0.5]]}, "accuracies: got 1.5; allowed is [0, 1]"),
        ({"accuracies": [[np.nan, np.nan]], "false_positive_rates": None}, "accuracies: row 0 is NaN throughout"),
        ({"false_positive_rates": [[0.1]]}, "false_positive_rates: shape (1, 1); accuracies has (1, 2)"),
        ({"false_positive_rates": [[0.1, np.nan]]}, "NaN has to stand where accuracies has NaN, and only there"),
        ({"chokepoints": [10, 0]}, "chokepoints: they have to be increasing integers"),
        ({"chokepoints": [0, 1]}, "chokepoints: they have to be increasing integers, 0 or 1 at most once"),
        ({"chokepoints": [0]}, "chokepoints: shape (1,); accuracies has 2 columns"),
        ({"event_length_ms": [1, 2]}, "event_length_ms: shape (2,); it has to be (1,) or a single number"),
        ({"event_length_ms": 0}, "event_length_ms: got 0; allowed is (0, inf)"),
        ({"event_frequency": 1.5}, "event_frequency: got 1.5; allowed is (0, 1]"),
        ({"correlation": "x"}, "correlation: got 'x'; it has to be numbers"),
        ({"x_vote": 1.5}, "x_vote: it has to be whole numbers"),
        ({"x_vote": "some"}, "x_vote: got 'some'; it has to be an integer of at least 1, or 'auto'"),
        ({"accuracies": [[0.5, 0.5]] * 2, "false_positive_rates": None, "app_ids": [4, 4]}, "app_id 4 stands 2 times"),
    ],
)
def test_wrong_arrays_are_refused(changes: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {
        "accuracies": [[0.9, 0.8]],
        "false_positive_rates": [[0.1, 0.2]],
        "chokepoints": [0, 10],
        "event_length_ms": 100,
    }
    Apps.from_arrays(**right)
    with pytest.raises(ProblemError) as refusal:
        Apps.from_arrays(**{**right, **changes})
    assert message in str(refusal.value)


def test_advice_and_shown_values_stay_short() -> None:
    assert nearest("optinal", ["optional", "name"]) == "did you mean 'optional'?"
    assert nearest("q", ["optional", "name"]) == "known: optional, name"
    with pytest.raises(ProblemError, match="mode: 'shared' is not known; known: a, b"):
        one_of("mode", "shared", ["a", "b"])
    assert shown("x" * 50) == repr("x" * 50)
    assert shown(list(range(20))) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16..."
    nested: Any = [0] * 10
    for _ in range(40):  # written out: 10 ** 41 numbers
        nested = [nested] * 10
    for value in ("x" * 1000, "a\nb", nested, {"a": nested}, 10**3000, 10**6000, np.arange(10**6)):
        assert len(shown(value)) <= 60
        assert "\n" not in shown(value)


def test_sizes_that_would_not_end_are_refused() -> None:
    with pytest.raises(ProblemError, match="stream_fps 5000 would offer every whole rate up to it; give fps_options"):
        Video(stream_fps=5000)
    assert Video(stream_fps=5000, fps_options=[1, 4000]).rates("mainstream").tolist() == [1, 4000]
    with pytest.raises(ProblemError, match="fps_options has 1001 rates; at most 1000 are allowed"):
        Video(stream_fps=5000, fps_options=range(1, 1002))
    with pytest.raises(ProblemError, match="layer_latencies add up to inf"):
        Model(total_layers=2, layer_latencies=[1e308, 1e308], frozen_layer_names={0: "in"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"chokepoints": [0, np.inf]}, "increasing integers"),
        ({"x_vote": 1e30}, "x_vote: got 1e\\+30"),
        ({"app_ids": [1.2, 1.7]}, "app_ids: got .*whole numbers"),
        ({"optional": [True] * 3}, "optional: got .*it has to be"),
        ({"optional": "no"}, "optional: got 'no'"),
        ({"min_fps": 5, "max_fps": [9, 3]}, "min_fps: row 1 has 5, above its max_fps 3"),
    ],
)
def test_columns_that_do_not_suit(columns: dict[str, Any], message: str) -> None:
    keys: dict[str, Any] = {"chokepoints": [0, 4], "event_length_ms": 100} | columns
    with pytest.raises(ProblemError, match=message):
        Apps.from_arrays(np.full((2, 2), 0.5), None, **keys)


def test_app_ids_are_exact() -> None:
    ids = [2**53, 2**53 + 1]
    apps = Apps.from_arrays(np.full((2, 1), 0.5), None, [0], event_length_ms=100, app_ids=ids)
    assert apps.app_ids.tolist() == ids


@pytest.mark.parametrize("given", [-1, [2, -0.5], [0, -1e-9]])
def test_a_negative_least_rate_in_arrays_is_refused(given: Any) -> None:
    right: dict[str, Any] = {"false_positive_rates": None, "chokepoints": [0, 10], "event_length_ms": 100}
    Apps.from_arrays([[0.9, 0.8]] * 2, **right, min_fps=[2, 0])
    with pytest.raises(ProblemError, match=r"^min_fps: got -"):
        Apps.from_arrays([[0.9, 0.8]] * 2, **right, min_fps=given)


@pytest.mark.parametrize(
    "keys",
    [
        ["0", "10"], [0, 10], ["00", "10"], ["1 2"], ["1 2", "3"], ["-1"], ["+1"], ["0.5"], ["9" * 20], ["٣"],
        [""], [" 1"], ["10", 10], ["010", "10"], [True], ["1e1"], ["a"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("rates", [0.5, 1.5, math.nan, True, "0.5", 1])
def test_rates_that_are_plainly_right_are_read_as_all_others(keys: list[Any], rates: Any) -> None:
    class Slowly(dict[Any, Any]):
        """Not plain, so that pydantic looks at each."""

    def read(kind: Any) -> Any:
        given = {"app_id": 1, "event_length_ms": 1000, "accuracies": kind({key: rates for key in keys})}
        try:
            return App.of(given).accuracies
        except ProblemError as error:
            return str(error)

    assert read(dict) == read(Slowly)
