"""Fleet files: the one of the docs, and what is refused, in one line each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.fleets import NETWORK, app, fleet, stream
from typer.testing import CliRunner

from mainstream.cli import app as command
from mainstream.errors import InfeasibleError, MainstreamError, ProblemError
from mainstream.fleet.boxes import runtimes_of
from mainstream.fleet.fleet_file import load_fleet
from mainstream.fleet.plan_files import load_plans, save_plans
from mainstream.fleet.planning import plan_fleet
from mainstream.solver import solve

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "fleets.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "data" / "fleets" / "two-boxes.yaml"


def box(name: str = "north", **keys: Any) -> dict[str, Any]:
    return {"name": name, "budget": 30, "streams": [stream("door", app("person"))], **keys}


def written(folder: Path, given: dict[str, Any]) -> Path:
    (folder / "fleet.json").write_text(json.dumps(given))
    return folder / "fleet.json"


def test_the_file_of_the_docs_is_the_example_and_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", DOCS, flags=re.MULTILINE | re.DOTALL)
    assert EXAMPLE.read_text(encoding="utf-8").endswith(text)
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCS, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("data/fleets", str(ROOT / "data" / "fleets")), names)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[:2]] == ["north", "south"]
    plan = names["plan"]
    assert plan.objective <= plan.bound and plan.boxes[1].cameras[-1] == 2
    done = CliRunner().invoke(command, ["fleet", "plan", str(EXAMPLE)])
    assert done.exit_code == 0, done.stderr
    for line in re.findall(r"^    (north|south)  (.*)$", DOCS, flags=re.MULTILINE):
        assert " ".join(line).split() in [row.split() for row in done.stdout.splitlines()]


def test_a_fleet_of_boxes_is_solved_as_each_box_alone(tmp_path: Path) -> None:
    given = load_fleet(written(tmp_path, fleet(box(), box("south", budget=18, memory_mb=12))))
    plan = plan_fleet(given)
    for one, options in zip(plan.boxes, ({"budget": 30}, {"budget": 18, "memory_mb": 12}), strict=True):
        video = {"stream_fps": 10, "fps_options": [2, 5]}
        expected = solve([app("person")], NETWORK, video, **options)  # type: ignore[arg-type]
        assert one.result is not None
        assert one.result.objective == pytest.approx(expected.objective, abs=1e-9)
    assert plan.objective == pytest.approx(sum(one.result.objective for one in plan.boxes if one.result) / 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (fleet(box(), budgets=3), "unknown key 'budgets'; did you mean 'budget'?"),
        (fleet(box(budgget=3)), "boxes[0]: unknown key 'budgget'; did you mean 'budget'?"),
        (fleet(box(streams=[stream("a", app(1), fps=3)])), "boxes[0].streams[0]: unknown key 'fps'"),
        (fleet(box(streams=[stream("a", app(1, fps=3))])), "unknown key 'fps'"),
        (fleet(box(streams=[stream("a", app(1), streamer="tcp://a:1")])), "streamer is not allowed in a fleet"),
        (fleet(box(), profiles={}), "box north: profiles: add one for network 'small', which boxes[0].streams[0] uses"),
        (
            fleet(box(profiles={"other": NETWORK})),
            "add one for network 'small', which boxes[0].streams[0] uses; it has other",
        ),
        (fleet(box(), box()), "boxes[1]: name 'north' is taken by boxes[0]"),
        (fleet(box(), box("North")), "boxes[1]: name 'North' is taken by boxes[0] (case does not count)"),
        (
            fleet(box(address="tcp://a:1"), box("south", address="tcp://a:1")),
            "box south: address tcp://a:1 is taken by box north",
        ),
        (fleet(box(address="a:1")), "address: got 'a:1'; it has to be 'tcp://HOST:PORT'"),
        (fleet(box(address="tcp://a:70000")), "it has to be 'tcp://HOST:PORT'"),
        (
            fleet(box(), cameras=[stream("yard", app(1), boxes=["east"])]),
            "cameras[0]: camera 'yard': there is no box 'east'; known: north",
        ),
        (fleet(box(), cameras=[stream("yard", app(1), boxes=[])]), "cameras[0]: boxes: got []"),
        (fleet(box(), cameras=[stream("door", app(1))]), "two streams that may be on it are called 'door'"),
        (
            fleet(box(address="tcp://a:1"), cameras=[stream("yard", app(1))]),
            "stream yard on box north and stream door on box north would share the runtime at tcp://a:1",
        ),
        (
            fleet(box(address="tcp://a:1"), box("south", address="tcp://a:2", streams=[stream("b", app(1), port=1)])),
            "stream b on box south and stream door on box north would share the runtime at tcp://a:1",
        ),
        (fleet(box(streams=[stream("a", app(1), port=0)])), "port: got 0"),
        (fleet(box("../../etc/passwd")), "name: got '../../etc/passwd'; it has to be 1 to 50 letters"),
        (fleet(box("..")), "it has to be 1 to 50 letters"),
        (fleet(box("a\nb")), "it has to be 1 to 50 letters"),
        (fleet(box("a" * 51)), "it has to be 1 to 50 letters"),
        (fleet(box(budget=0)), "budget: got 0"),
        (fleet(), "boxes: got []"),
        (fleet({"name": "north", "budget": 3}), "there is no stream"),
        (fleet(box(streams=[stream("a", app(1), int8_model="small")])), "int8"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    file = written(tmp_path, given)
    with pytest.raises(ProblemError, match=re.escape(message)) as caught:
        load_fleet(file)
    assert str(caught.value).startswith(f"{file}: ") or str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_budget_that_is_too_small_names_the_box_and_what_would_have_to_give(tmp_path: Path) -> None:
    short = box("south", budget=15, streams=[stream("door", app("person"), app("dog", min_fps=5))])
    file = written(tmp_path, fleet(box(), short, box("east", budget=0.1)))
    with pytest.raises(InfeasibleError, match="box south: no schedule fits the budget 15; the smallest") as caught:
        plan_fleet(load_fleet(file))
    assert "app door: dog gives up its min_fps 5" in str(caught.value)
    assert str(caught.value).endswith("(and 1 more: box east)")
    done = CliRunner().invoke(command, ["fleet", "plan", str(file), "-o", str(tmp_path / "plans")])
    assert isinstance(done.exception, InfeasibleError)
    assert list((tmp_path / "plans").iterdir()) == []


def test_cameras_that_find_no_room_are_told_with_what_they_need(tmp_path: Path) -> None:
    cameras = [stream(f"yard{k}", app(1), app(2)) for k in range(5)]
    given = load_fleet(written(tmp_path, fleet(box(), box("south"), cameras=cameras)))
    with pytest.raises(InfeasibleError, match=r"cameras: no assignment .* need .* at least, the boxes have"):
        plan_fleet(given)


def test_fairness_does_not_say_which_box(tmp_path: Path) -> None:
    given = fleet(box(), box("south"), cameras=[stream("yard", app(1))], aggregate="min")
    with pytest.raises(ProblemError, match="name one box for each"):
        plan_fleet(load_fleet(written(tmp_path, given)))
    fair = plan_fleet(load_fleet(written(tmp_path, fleet(box(), box("south", budget=20), aggregate="min"))))
    assert fair.objective == min(one.result.objective for one in fair.boxes if one.result)


def test_plans_that_were_written_have_to_be_those_of_the_fleet(tmp_path: Path) -> None:
    cameras = [stream("yard", app(1), port=7)]
    given = load_fleet(written(tmp_path, fleet(box(), box("south"), cameras=cameras)))
    plans = plan_fleet(given).net_plans()
    save_plans(plans, tmp_path)
    assert load_plans(given, tmp_path) == plans
    with pytest.raises(ProblemError, match="box north: missing key 'address'"):
        runtimes_of(given, plans)
    has = next(name for name, streams in plans.items() if "yard" in streams)
    other = "north" if has == "south" else "south"
    for wrong, message in (
        ({**plans, other: {**plans[other], "yard": plans[has]["yard"]}}, "camera 'yard' is on box"),
        ({**plans, "north": {**plans["north"], "moon": plans[has]["yard"]}}, "stream 'moon' cannot be on box north"),
    ):
        save_plans(wrong, tmp_path)
        with pytest.raises(ProblemError, match=message):
            load_plans(given, tmp_path)
    save_plans(plans, tmp_path)
    (tmp_path / "south.json").write_text('{"door": [{"net_id": 0}]}')
    with pytest.raises(MainstreamError, match=r"south.json: stream door: net plan, place 0"):
        load_plans(given, tmp_path)
    (tmp_path / "south.json").unlink()
    with pytest.raises(ProblemError, match=r"south.json: no such file"):
        load_plans(given, tmp_path)
