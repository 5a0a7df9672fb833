"""Net plans: the wire format, every shape of schedule, and that a plan costs what its schedule costs."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from support.plans import Given, apps_for, network, result_of

from mainstream import App, Model, ProblemError, Result
from mainstream.costs import StemPart
from mainstream.streamer import NetPlan, Subnet, net_plan

Row = tuple[str, int, str, float, str]


def rows(given: Given, **how: Any) -> list[Row]:
    """A plan in short: app or "stem", parent, layers, rate, file."""
    model = network()
    plan = net_plan(result_of(model, given, **how), apps_for(given), model)
    return [
        (
            "stem" if part.shared else f"app {part.app_id}",
            part.parent_id,
            f"{part.input_layer}-{part.output_layer}".replace("cut", ""),
            part.target_fps,
            part.model_path,
        )
        for part in plan.subnets
    ]


def test_one_app_has_its_stem_and_its_own_layers() -> None:
    assert rows([(4, 5)]) == [("stem", -1, "0-4", 5, "app1-4.pb"), ("app 1", 0, "4-10", 5, "app1-4.pb")]


@pytest.mark.parametrize("nothing", [0, 1])
def test_apps_that_share_nothing_beside_apps_that_share(nothing: int) -> None:
    assert rows([(4, 5), (nothing, 9), (6, 3)]) == [
        ("app 2", -1, "0-10", 9, "app2-0.pb"),
        ("stem", -1, "0-4", 5, "app1-4.pb"),
        ("app 1", 1, "4-10", 5, "app1-4.pb"),
        ("stem", 1, "4-6", 3, "app3-6.pb"),
        ("app 3", 3, "6-10", 3, "app3-6.pb"),
    ]


def test_several_apps_at_one_chokepoint() -> None:
    assert rows([(6, 2), (4, 1), (6, 5), (4, 2)]) == [
        ("stem", -1, "0-4", 5, "app1-6.pb"),
        ("app 2", 0, "4-10", 1, "app2-4.pb"),
        ("app 4", 0, "4-10", 2, "app4-4.pb"),
        ("stem", 0, "4-6", 5, "app1-6.pb"),
        ("app 1", 3, "6-10", 2, "app1-6.pb"),
        ("app 3", 3, "6-10", 5, "app3-6.pb"),
    ]


def test_all_apps_at_one_chokepoint_share_one_part() -> None:
    assert rows([(8, 1), (8, 7), (8, 3)]) == [
        ("stem", -1, "0-8", 7, "app1-8.pb"),
        ("app 1", 0, "8-10", 1, "app1-8.pb"),
        ("app 2", 0, "8-10", 7, "app2-8.pb"),
        ("app 3", 0, "8-10", 3, "app3-8.pb"),
    ]


def test_a_fast_app_behind_makes_the_whole_way_to_it_fast() -> None:
    assert [row[3] for row in rows([(2, 1), (8, 9), (4, 2)]) if row[0] == "stem"] == [9, 9, 9]


def test_a_fast_app_at_the_shallow_branch_leaves_the_rest_slow() -> None:
    assert rows([(2, 9), (8, 1)])[::2] == [("stem", -1, "0-2", 9, "app1-2.pb"), ("stem", 0, "2-8", 1, "app2-8.pb")]


def test_fractional_rates_stay_what_they_are() -> None:
    model = network()
    given = [(2, 0.3), (4, 29.97), (0, 1.5)]
    plan = net_plan(result_of(model, given), apps_for(given), model)
    assert plan.target_fps == {3: 1.5, 1: 0.3, 2: 29.97}
    assert [part["target_fps"] for part in json.loads(plan.to_json())] == [1.5, 29.97, 0.3, 29.97, 29.97]


def test_apps_that_were_left_out_are_in_no_part() -> None:
    assert rows([(8, 0), (4, 5), (0, 0)]) == [("stem", -1, "0-4", 5, "app2-4.pb"), ("app 2", 0, "4-10", 5, "app2-4.pb")]


def test_without_sharing_every_app_is_one_whole_part_from_its_own_file() -> None:
    given = [(4, 5), (0, 1), (10, 2)]
    assert rows(given, mode="no-sharing") == [
        ("app 1", -1, "0-10", 5, "app1-4.pb"),
        ("app 2", -1, "0-10", 1, "app2-0.pb"),
        ("app 3", -1, "0-10", 2, "app3-10.pb"),
    ]


def random_schedule(draw: random.Random) -> tuple[Model, Result]:
    total = draw.randint(2, 24)
    inner = sorted(draw.sample(range(2, total), draw.randint(0, min(6, total - 2))))
    model = Model(
        total_layers=total,
        layer_latencies=[draw.choice([0.0, draw.uniform(0.01, 5)]) for _ in range(total - 1)] + [1.0],
        frozen_layer_names={draw.choice([0, 1]): "in", **{k: f"c{k}" for k in inner}, total: "out"},
        height=8,
        width=8,
    )
    rates = [0.1, 0.5, 1, 2.5, 7.3, 10, 29.97]
    given: Given = [(draw.choice([0, 1, *inner, *inner]), draw.choice([*rates, 0])) for _ in range(draw.randint(1, 12))]
    given.append((draw.choice([0, *inner]), draw.choice(rates)))
    mode = draw.choice(["mainstream", "mainstream", "no-sharing"])
    return model, result_of(model, given, mode=mode, x_vote=draw.choice([0, 3]))


def test_a_plan_costs_what_its_schedule_costs_and_runs_each_app_through_every_layer_once() -> None:
    draw = random.Random(4)
    apps = apps_for([(0, 1)] * 13, (0, *range(2, 24)))
    for _ in range(2000):
        model, result = random_schedule(draw)
        plan = net_plan(result, apps, model)
        place = {name: (0 if k == 1 else k) for k, name in model.frozen_layer_names.items()}
        spans = [(place[part.input_layer], place[part.output_layer]) for part in plan.subnets]
        cost = sum(
            sum(model.layer_latencies[start:stop]) * part.target_fps
            for part, (start, stop) in zip(plan.subnets, spans, strict=True)
        )
        assert cost == pytest.approx(result.cost, rel=1e-12)
        choices = {choice.app_id: choice for choice in result.choices}
        assert sorted(plan.target_fps) == sorted(choices)
        for tail in plan.tails:
            choice = choices[tail.app_id]
            assert (tail.target_fps, tail.x_vote) == (choice.target_fps, choice.x_vote)
            way, part = [], tail
            while True:
                way.append(spans[part.net_id])
                if part.parent_id == -1:
                    break
                part = plan.subnets[part.parent_id]
                assert part.target_fps >= choice.target_fps
            way.reverse()
            assert [start for start, _ in way] == [0, *(stop for _, stop in way[:-1])]
            assert way[-1][1] == model.total_layers
            shares = result.mode != "no-sharing" and choice.num_frozen > 1
            assert way[-1][0] == (choice.num_frozen if shares else 0)
        for part, (_, stop) in zip(plan.subnets, spans, strict=True):
            owner, frozen = part.model_path.removeprefix("app").removesuffix(".pb").split("-")
            holds = choices[int(owner)].num_frozen
            assert int(frozen) == (0 if holds <= 1 else holds)
            if part.shared:
                assert holds >= stop
                assert part.target_fps in {c.target_fps for c in choices.values() if c.num_frozen >= stop}
        assert NetPlan.from_json(plan.to_json()) == plan


def test_the_wire_has_exactly_the_keys_of_the_contract() -> None:
    given = [(4, 5), (0, 0.5)]
    model = network()
    apps = [apps_for(given)[0].model_copy(update={"event_class": "cat"}), apps_for(given)[1]]
    size = {"channels": 3, "height": 32, "width": 48}
    shared = {"net_id": 1, "app_id": -1, "parent_id": -1, "input_layer": "cut0", "output_layer": "cut4", **size}
    own = {"net_id": 2, "app_id": 1, "parent_id": 1, "input_layer": "cut4", "output_layer": "cut10", **size}
    whole = {"net_id": 0, "app_id": 2, "parent_id": -1, "input_layer": "cut0", "output_layer": "cut10", **size}
    text = net_plan(result_of(model, given), apps, model).to_json()
    assert json.loads(text) == [
        {**whole, "target_fps": 0.5, "shared": False, "model_path": "app2-0.pb"},
        {**shared, "target_fps": 5, "shared": True, "model_path": "app1-4.pb"},
        {**own, "target_fps": 5, "shared": False, "model_path": "app1-4.pb", "event_class": "cat"},
    ]
    assert '"target_fps": 5,' in text
    voting = json.loads(net_plan(result_of(model, given, x_vote=3), apps, model).to_json())
    assert [part.get("x_vote") for part in voting] == [3, None, 3]


def test_apps_and_model_may_be_mappings_and_a_result_may_come_from_a_file() -> None:
    given = [(4, 5), (8, 2)]
    model = network()
    result = result_of(model, given)
    mappings = [app.model_dump(exclude_defaults=True) for app in apps_for(given)]
    plan = net_plan(result, apps_for(given), model)
    assert net_plan(Result.from_json(result.to_json()), mappings, model.model_dump()) == plan


def test_whole_rates_never_fall_to_0() -> None:
    given = [(4, 0.4), (6, 2.9), (0, 29.97)]
    model = network()
    plan = net_plan(result_of(model, given), apps_for(given), model).with_integer_fps()
    assert [part.target_fps for part in plan.subnets] == [29, 2, 1, 2, 2]
    assert all(isinstance(part["target_fps"], int) for part in json.loads(plan.to_json()))
    assert plan.target_fps == {3: 29, 1: 1, 2: 2}


def test_the_tree_shows_who_feeds_whom() -> None:
    given = [(4, 0.5), (8, 2), (0, 3)]
    model = network()
    plan = net_plan(result_of(model, given, x_vote=2), apps_for(given), model)
    assert str(plan).splitlines() == [
        "camera",
        "├─ app 3: cut0 -> cut10, 3 fps, votes 2, app3-0.pb",
        "└─ shared: cut0 -> cut4, 2 fps, app1-4.pb",
        "   ├─ app 1: cut4 -> cut10, 0.5 fps, votes 2, app1-4.pb",
        "   └─ shared: cut4 -> cut8, 2 fps, app2-8.pb",
        "      └─ app 2: cut8 -> cut10, 2 fps, votes 2, app2-8.pb",
    ]


def test_the_tree_of_two_stems() -> None:
    second = {**STEM, "net_id": 2}
    plan = NetPlan.from_json(json.dumps([STEM, TAIL, second, {**TAIL, "net_id": 3, "parent_id": 2, "app_id": 4}]))
    assert plan.tree().splitlines()[1:] == [
        "├─ shared: a -> b, 2 fps, m.pb",
        "│  └─ app 3: b -> c, 2 fps, m.pb",
        "└─ shared: a -> b, 2 fps, m.pb",
        "   └─ app 4: b -> c, 2 fps, m.pb",
    ]


def test_a_tree_may_be_deeper_than_python_calls() -> None:
    first = {**PART, "app_id": -1, "shared": True, "input_layer": "t0", "output_layer": "t1"}
    chain = [
        {**first, "net_id": k, "parent_id": k - 1, "input_layer": f"t{k}", "output_layer": f"t{k + 1}"}
        for k in range(2999)
    ]
    chain.append({**PART, "net_id": 2999, "parent_id": 2998, "input_layer": "t2999", "output_layer": "end"})
    assert len(NetPlan.from_json(json.dumps(chain)).tree().splitlines()) == 3001


def without(names: dict[int, str], *keys: int) -> dict[str, dict[int, str]]:
    return {"frozen_layer_names": {k: name for k, name in names.items() if k not in keys}}


NAMES = dict(network().frozen_layer_names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            without(NAMES, 0),
            "model: frozen_layer_names has no 0 or 1, the network's input; it has [2, 4, 6, 8, 10]",
        ),
        (without(NAMES, 10), "model: frozen_layer_names has no 10, the network's output; it has [0, 2, 4, 6, 8]"),
        (
            without(NAMES, 6),
            "model: frozen_layer_names has no 6, where app 2 branches off; it has [0, 2, 4, 8, 10]",
        ),
        ({"height": None}, "model: it has no height; a net plan needs the input size of the network"),
        ({"width": None}, "model: it has no width; a net plan needs the input size of the network"),
    ],
)
def test_what_the_model_lacks_is_said(changes: dict[str, Any], message: str) -> None:
    given = [(4, 5), (6, 2)]
    lacking = network().model_copy(update=changes)
    with pytest.raises(ProblemError) as caught:
        net_plan(result_of(network(), given), apps_for(given), lacking)
    assert str(caught.value) == message


def test_the_input_may_stand_under_0_or_1() -> None:
    given = [(1, 5), (4, 2)]
    model = network().model_copy(update={"frozen_layer_names": {1: "in", **without(NAMES, 0)["frozen_layer_names"]}})
    paths = [{1: "whole.pb"}, {4: "four.pb"}]
    apps = [app.model_copy(update={"model_path": path}) for app, path in zip(apps_for(given), paths, strict=True)]
    plan = net_plan(result_of(model, given), apps, model)
    assert [part.input_layer for part in plan.subnets] == ["in", "in", "cut4"]
    assert [part.model_path for part in plan.subnets] == ["whole.pb", "four.pb", "four.pb"]
    zero = result_of(model, [(0, 5), (4, 2)])
    assert net_plan(zero, apps, model) == plan


@pytest.mark.parametrize(
    ("given", "paths", "message"),
    [
        ([(4, 5)], {}, "app 1: no model_path for num_frozen 4; it has none; add that file"),
        ([(4, 5)], {0: "a", 8: "b"}, "app 1: no model_path for num_frozen 4; it has those for [0, 8]; add that file"),
        ([(0, 5)], {8: "b"}, "app 1: no model_path for num_frozen 0; it has those for [8]; add that file"),
        (
            [(10, 5)],
            {10: "a"},
            "app 1: num_frozen 10 is the whole network, which leaves the app no layers of its own to run; take that "
            "num_frozen out of its accuracies",
        ),
        ([(4, 0)], {}, "net plan: the result runs no app, all were left out; solve with a larger budget"),
    ],
)
def test_what_an_app_lacks_is_said(given: Given, paths: dict[int, str], message: str) -> None:
    model = network()
    apps = [app.model_copy(update={"model_path": paths}) for app in apps_for(given)]
    with pytest.raises(ProblemError) as caught:
        net_plan(result_of(model, given), apps, model)
    assert str(caught.value) == message


def test_apps_have_to_be_those_that_were_solved_for() -> None:
    model = network()
    given = [(4, 5), (4, 2)]
    with pytest.raises(ProblemError, match="app 2 of the result is not among the apps; give those that were"):
        net_plan(result_of(model, given), apps_for(given)[:1], model)
    for wrong in (3, "apps", {}):
        with pytest.raises(ProblemError, match="a net plan needs a list of App objects or mappings"):
            net_plan(result_of(model, given), wrong, model)  # type: ignore[arg-type]


PART = {
    "net_id": 0,
    "app_id": 3,
    "parent_id": -1,
    "input_layer": "a",
    "output_layer": "b",
    "channels": 3,
    "height": 8,
    "width": 8,
    "target_fps": 2,
    "shared": False,
    "model_path": "m.pb",
}
STEM = {**PART, "app_id": -1, "shared": True}
TAIL = {**PART, "net_id": 1, "parent_id": 0, "input_layer": "b", "output_layer": "c"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "net plan: it has no part; there has to be at least one"),
        ({}, "net plan: got {}; it has to be a list of sub-networks"),
        ([3], "net plan, place 0: got 3; it has to be a mapping of keys to values"),
        ([{**PART, "net_id": 1}], "net plan: net_id 1 in place 0; they have to be 0, 1, 2, ..."),
        ([{**PART, "parent_id": 0}], "net 0: parent_id 0; parents have to come before children"),
        ([PART, {**TAIL, "app_id": 4}], "net 1: parent_id 0 is app 3's own part"),
        ([STEM, {**TAIL, "input_layer": "x"}], "net 1: input_layer 'x'; net 0, which feeds it, ends at 'b'"),
        ([STEM, TAIL, {**TAIL, "net_id": 2}], "net 2: app 3 has a part already; each app has one of its own"),
        ([{**PART, "app_id": -1}], "net plan, place 0: app_id -1 with shared False; a shared part has app_id -1"),
        ([{**PART, "shared": True}], "net plan, place 0: app_id 3 with shared True; a shared part has app_id -1"),
        ([{**STEM, "x_vote": 2}], "net plan, place 0: x_vote, event_class and name are an app's; a shared"),
        ([{**PART, "target_fps": 0}], "net plan, place 0: target_fps: got 0; it has to be a finite number above 0"),
        ([{**PART, "app_id": -2}], "net plan, place 0: app_id: got -2; it has to be a whole number, -1 or more"),
        ([{**PART, "event_class": True}], "net plan, place 0: event_class: got True; it has to be a whole number"),
        ([{**PART, "fps": 2}], "net plan, place 0: unknown key 'fps'"),
        ([{k: PART[k] for k in PART if k != "shared"}], "net plan, place 0: missing key 'shared'"),
    ],
)
def test_a_wrong_request_is_refused(parts: Any, message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        NetPlan.from_json(json.dumps(parts))
    assert str(caught.value).startswith(message)


def test_text_that_is_no_request_is_refused() -> None:
    with pytest.raises(ProblemError, match="net plan: no JSON: line 1"):
        NetPlan.from_json("[{")


@pytest.mark.parametrize("given", [0, 7, "cat"])
def test_an_event_class_is_a_number_or_a_name(given: int | str) -> None:
    app = App(app_id=1, accuracies={0: 0.9}, event_length_ms=1, event_class=given)
    assert app.event_class == given
    assert Subnet(**{**PART, "event_class": given}).wire()["event_class"] == given


@pytest.mark.parametrize("given", [True, -1, 1.5, "", [1]])
def test_any_other_event_class_is_refused(given: Any) -> None:
    with pytest.raises(ProblemError, match=r"event_class: got .*; it has to be a whole number, 0 or more, or the name"):
        App(app_id=1, accuracies={0: 0.9}, event_length_ms=1, event_class=given)


def test_a_stem_that_is_cut_more_often_costs_the_same() -> None:
    model = network()
    result = result_of(model, [(4, 5), (8, 5)])
    assert [(part.start, part.stop) for part in result.stem] == [(0, 8)]
    assert isinstance(result.stem[0], StemPart)
    plan = net_plan(result, apps_for([(4, 5), (8, 5)]), model)
    assert [part.output_layer for part in plan.subnets if part.shared] == ["cut4", "cut8"]
