"""The API over a real socket: what is seen, what is changed, what is kept, and what is refused."""

from __future__ import annotations

import json
import random
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.boxes import SOURCE, app, write_problem
from support.full_disk import full_disk
from support.sites import Lamp, Running, served, write_bright, write_package
from support.waiting import becomes, comes_true, found

from mainstream import ProblemError
from mainstream.box.changes import AddedApp, AppChange, Changes, ChangesFile
from mainstream.box.wanted import Wanted
from mainstream.io import load_problem
from mainstream.streamer.meters import AppRate
from mainstream.web import server, views
from mainstream.web.tokens import token_in

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("starlette", reason="needs the extra page")
pytest.importorskip("uvicorn", reason="needs the extra page")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two apps of the file that may be paused and so on; each test takes back what it changes."""
    folder = tmp_path_factory.mktemp("site")
    file = write_problem(folder, app(1), app("dogs"), budget=250.0)
    write_package(folder, "cats")
    with served(file, SOURCE) as running:
        becomes(running.runs, {1, "dogs"})
        yield running


@pytest.fixture(autouse=True)
def taken_back(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "site" in request.fixturenames:
        site: Running = request.getfixturevalue("site")
        site.ask("DELETE", "/api/changes")
        becomes(site.runs, {1, "dogs"})


def test_what_there_is_to_see(site: Running) -> None:
    comes_true(lambda: all(one["analysed"] for one in site.apps().values()))
    apps = site.apps()
    assert [*apps] == [1, "dogs"] and all(one["target_fps"] > 0 for one in apps.values())
    assert len(apps[1]["now"]["strip"]) == 120 and apps[1]["now"]["positive"] is None
    schedule = site.ask("GET", "/api/schedule")[1]
    assert schedule["runs"] and schedule["total_layers"] == 3
    assert [choice["app_id"] for choice in schedule["result"]["choices"]] == [1, "dogs"]
    budget = site.ask("GET", "/api/budget")[1]
    assert budget["budget"] == budget["of_file"] == 250 and not budget["changed"] and budget["cost"] <= 250
    points = site.ask("GET", "/api/frontier")[1]["points"]
    assert [one["objective"] for one in points] == sorted(one["objective"] for one in points)
    assert points[0]["fps"] == {"1": 1.0, "dogs": 1.0} and len(points) > 10
    assert site.ask("GET", "/api/packages")[1] == {"packages": ["cats"]}
    assert site.ask("GET", "/api/health")[1]["troubles"] == []
    assert site.ask("GET", "/api/picture")[1][:2] == b"\xff\xd8"


def test_apps_come_and_go(site: Running) -> None:
    status, answer = site.ask("POST", "/api/apps", {"package": "cats", "weight": 3})
    assert status == 201 and answer["apps"] == 3
    becomes(site.runs, {1, "dogs", "cats"})
    assert site.apps()["cats"]["weight"] == 3 and site.apps()["cats"]["added"]
    assert site.ask("POST", "/api/apps", {"package": "cats"})[0] == 409
    assert site.ask("POST", "/api/apps", {"package": "cats", "app_id": 7.0})[0] == 201
    becomes(site.runs, {1, "dogs", "cats", 7})
    assert site.ask("DELETE", "/api/apps/cats")[0] == site.ask("DELETE", "/api/apps/7")[0] == 200
    becomes(site.runs, {1, "dogs"})
    assert site.ask("GET", "/api/changes")[1] == {}
    assert site.ask("DELETE", "/api/apps/dogs")[0] == 200
    becomes(site.runs, {1})
    assert site.ask("GET", "/api/apps")[1]["removed"] == ["dogs"]
    assert site.ask("DELETE", "/api/apps/dogs")[0] == 404
    status, answer = site.ask("POST", "/api/apps", {"package": "cats", "app_id": "dogs"})
    assert status == 409 and "removed: false" in answer["error"]
    assert site.ask("PATCH", "/api/apps/dogs", {"removed": False})[0] == 200
    assert site.ask("PATCH", "/api/apps/1", {"paused": True})[0] == 200
    becomes(site.runs, {"dogs"})
    assert site.apps()[1]["paused"] and site.apps()[1]["target_fps"] is None
    status, answer = site.ask("PATCH", "/api/apps/dogs", {"paused": True})
    assert status == 409 and answer["error"] == "no app would be left that runs; let at least one run"


def test_weight_minimum_and_budget(site: Running) -> None:
    assert site.ask("PATCH", "/api/apps/1", {"weight": 5, "min_fps": 12})[0] == 200
    assert site.ask("PUT", "/api/budget", {"budget": 200})[1]["budget"] == 200
    becomes(lambda: site.runner.plan is not None and site.runner.plan.target_fps[1] >= 12, True)
    assert site.apps()[1]["weight"] == 5 and site.apps()[1]["min_fps"] == 12
    becomes(lambda: site.ask("GET", "/api/schedule")[1]["runs"], True)  # that of the new budget, too
    before = site.runner.plan
    status, answer = site.ask("PUT", "/api/budget", {"budget": 40})
    assert status == 409
    assert "it fits when app 1 gives up its min_fps 12: recall 0." in answer["error"]
    assert site.ask("GET", "/api/budget")[1]["budget"] == 200 and site.runner.plan == before
    assert site.ask("PATCH", "/api/apps/1", {"weight": None, "min_fps": None})[0] == 200
    assert site.ask("PUT", "/api/budget", {"budget": None})[1]["budget"] == 250
    assert site.ask("GET", "/api/changes")[1] == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/api/apps", {"package": "birds"}, 409, "package 'birds' is not in the model folder"),
        ("POST", "/api/apps", {"package": "../x"}, 422, "package: got '../x'"),
        ("POST", "/api/apps", {"package": "cats", "model": 1}, 422, "body: unknown key 'model'"),
        ("POST", "/api/apps", {"package": "cats", "weight": "1"}, 422, "weight: got '1'; it has to be of type number"),
        ("POST", "/api/apps", {}, 422, "body: missing key 'package'"),
        ("POST", "/api/apps", b"{", 422, "no JSON: line 1"),
        ("POST", "/api/apps", b"[" * 60_000, 422, "no JSON: nested too deeply"),
        ("POST", "/api/apps", b" " * 70_000, 413, "the body has more than 65,536 bytes"),
        ("PATCH", "/api/apps/birds", {"paused": True}, 404, "there is no app 'birds'"),
        ("PATCH", "/api/apps/1", {"paused": 1}, 422, "paused: got 1; it has to be of type boolean"),
        ("PATCH", "/api/apps/1", {"weight": 0}, 422, "weight: got 0; it has to be above 0"),
        ("PATCH", "/api/apps/1", b'{"weight": NaN}', 422, "weight: got nan"),
        ("PATCH", "/api/apps/1", {"min_value": 1}, 409, "app 1: "),
        ("PUT", "/api/budget", {"budget": 5}, 409, "no schedule fits the budget 5; the smallest budget"),
        ("PUT", "/api/budget", {"budget": True}, 422, "budget: got True"),
        ("GET", "/api/events?limit=0", None, 422, "limit: got '0'"),
        ("GET", "/api/events/..%2f..%2ftoken/picture", None, 404, "Not Found"),
        ("GET", "/api/events/x/picture", None, 404, "there is no such event"),
        ("GET", "/nowhere", None, 404, "Not Found"),
        ("PUT", "/api/apps", None, 405, "Method Not Allowed"),
    ],
)
def test_bad_input_is_one_line(site: Running, method: str, path: str, body: Any, status: int, message: str) -> None:
    code, answer = site.ask(method, path, body)
    assert code == status and answer["error"].startswith(message) and "\n" not in answer["error"], answer
    assert site.ask("GET", "/api/changes")[1] == {}


def test_who_may_change_something(site: Running) -> None:
    file = site.folder / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_text().strip() == site.token
    body = {"budget": 240}
    right = {"Authorization": f"Bearer {site.token}"}
    for headers, status in [
        ({}, 401),
        ({"Authorization": "Bearer guess"}, 401),
        ({"Authorization": f"Basic {site.token}"}, 401),
        ({**right, "Host": "evil.example"}, 421),
        ({**right, "Host": "127.0.0.1.evil.example"}, 421),
        ({**right, "Origin": "https://evil.example"}, 403),
        ({**right, "Origin": "null"}, 403),
        ({**right, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**right, "Origin": site.site.url.rstrip("/")}, 200),
    ]:
        assert site.ask("PUT", "/api/budget", body, token=None, headers=headers)[0] == status, headers
    assert site.ask("PUT", "/api/budget", body, headers={"Content-Type": "text/plain"})[0] == 415
    assert site.ask("GET", "/api/apps", token=None)[0] == 200
    assert site.ask("GET", "/api/apps", token=None, headers={"Host": "evil.example"})[0] == 421


def test_a_token_cannot_be_guessed_for_long(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), budget=250.0)
    with served(file, SOURCE, wrong_tokens=3) as site:
        tries = [site.ask("DELETE", "/api/changes", token=guess)[0] for guess in ("a", "b", "c", "d")]
        assert tries == [401, 401, 401, 429]
        assert site.ask("DELETE", "/api/changes")[0] == 429
        assert site.ask("GET", "/api/apps", token=None)[0] == 200
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(ProblemError, match="others may read it"):
        token_in(tmp_path)


def test_who_sends_nothing_is_hung_up_on(site: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mainstream.web.api._LONGEST_S", 0.3)
    monkeypatch.setattr(server, "_IDLE_S", 0.2)
    file = write_problem(tmp_path, app(1), budget=250.0)
    with served(file, SOURCE) as other:
        where = urlsplit(other.site.url)
        for begun in (b"", b"GET / HT", b"GET /api/health HTTP/1.1\r\nHost: x"):
            with socket.create_connection((where.hostname, where.port), timeout=30) as slow:
                slow.sendall(begun)
                assert slow.recv(1) == b""
    where = urlsplit(site.site.url)
    head = f"PUT /api/budget HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {site.token}\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=30) as slow:
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n".encode() + b'{"budget')
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_package_that_cannot_run_is_taken_back(site: Running) -> None:
    (write_package(site.folder, "broken") / "2.pb").write_text("no model")
    (site.folder / "broken" / "0.pb").unlink()
    assert site.ask("POST", "/api/apps", {"package": "broken"})[0] == 201
    site.heard("the change is taken back")
    becomes(lambda: [*site.apps()], [1, "dogs"])
    assert site.ask("GET", "/api/changes")[1] == {} == json.loads((site.folder / "changes.json").read_text())
    troubles = site.ask("GET", "/api/health")[1]["troubles"]
    assert len(troubles) == 1 and "broken" in troubles[0]
    (site.folder / "broken" / "package.yaml").unlink()


def test_a_package_of_other_weights_is_refused(tmp_path: Path) -> None:
    write_package(tmp_path, "cats")
    write_package(tmp_path, "birds", weights_digest="sha256:" + "9" * 64)
    file = write_problem(tmp_path, app(1), {"package": "cats", "app_id": "cats"}, budget=500.0)
    with served(file, SOURCE) as site:
        status, answer = site.ask("POST", "/api/apps", {"package": "birds"})
        assert status == 409 and "its base network has the weights sha256:9999" in answer["error"]


def test_changes_outlive_a_restart_and_stand_on_top_of_the_file(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), app("dogs"), budget=250.0)
    write_package(tmp_path, "cats")
    with served(file, SOURCE) as site:
        site.ask("POST", "/api/apps", {"package": "cats"})
        site.ask("PATCH", "/api/apps/1", {"paused": True})
        site.ask("PUT", "/api/budget", {"budget": 400})
        becomes(site.runs, {"dogs", "cats"})
    with served(file, SOURCE) as site:
        becomes(site.runs, {"dogs", "cats"})
        assert site.ask("GET", "/api/budget")[1]["budget"] == 400
        # The file's app takes the place of the added one; what is paused stays so.
        write_problem(tmp_path, app(1, weight=2.0), app("dogs"), app("cats", weight=7.0), budget=300.0)
        becomes(lambda: site.apps().get("cats", {}).get("weight"), 7.0)
        assert site.runs() == {"dogs", "cats"} and site.ask("GET", "/api/budget")[1]["of_file"] == 300
        assert site.ask("DELETE", "/api/changes")[1]["budget"] == 300
        becomes(site.runs, {1, "dogs", "cats"})
    (tmp_path / "changes.json").write_text('{"budget": -1}')
    with served(file, SOURCE) as site:
        becomes(site.runs, {1, "dogs", "cats"})
        assert (tmp_path / "changes.json.damaged").exists()


def test_an_added_app_whose_package_is_gone_fails_alone(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), budget=250.0)
    ChangesFile(tmp_path).save(Changes(added=(AddedApp(package="gone", app_id="gone"),), budget=200.0))
    with served(file, SOURCE) as site:
        becomes(site.runs, {1})
        site.heard("app gone, which was added, is left out")
        assert site.ask("GET", "/api/budget")[1]["budget"] == 200


def test_a_change_that_cannot_be_kept_is_not_made(site: Running) -> None:
    before = site.runner.plan
    with full_disk(0):
        status, answer = site.ask("PUT", "/api/budget", {"budget": 100})
    assert status == 507 and "cannot be written" in answer["error"]
    assert site.runner.plan == before and site.ask("GET", "/api/budget")[1]["budget"] == 250


def test_changes_of_a_file_are_a_matter_of_the_file_and_the_changes_alone(tmp_path: Path) -> None:
    problem = load_problem(write_problem(tmp_path, app(1, weight=2.0), app("dogs"), budget=250.0))
    wanted = Wanted(problem, 250.0, {}, {})
    changes = Changes(budget=9.0, apps={"1": AppChange(weight=4), "gone": AppChange(paused=True)})
    on = changes.on(wanted)
    assert on.budget == 9 and [one.weight for one in on.problem.apps] == [4, 1]
    assert changes.with_app(1, AppChange()).with_app("gone", AppChange()).with_budget(None) == Changes()
    assert changes.on(wanted).problem != wanted.problem and Changes().on(wanted) == wanted
    file = ChangesFile(tmp_path)
    file.save(changes)
    assert file.load() == changes


def test_random_changes_lose_no_frame_and_what_is_kept_is_what_runs(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    file = write_problem(tmp_path, app(1, pinned=[0, 20.0]), app("dogs"), budget=1000.0)
    write_package(tmp_path, "cats")
    rng = random.Random(3)
    with served(file, SOURCE, results=out) as site:
        becomes(site.runs, {1, "dogs"})
        for _ in range(60):
            method, path, body = rng.choice(
                [
                    ("POST", "/api/apps", {"package": "cats"}),
                    ("DELETE", "/api/apps/cats", None),
                    ("PATCH", "/api/apps/dogs", {"paused": rng.random() < 0.5}),
                    ("PATCH", "/api/apps/dogs", {"weight": rng.uniform(0.1, 9)}),
                    ("PUT", "/api/budget", {"budget": rng.uniform(300, 1000)}),
                ]
            )
            assert site.ask(method, path, body)[0] in (200, 201, 404, 409)
        wanted = Wanted(load_problem(file, more=_more(file)), 1000.0, {}, {})
        expected = {one.app_id for one in ChangesFile(tmp_path).load().on(wanted).problem.apps}
        becomes(site.runs, expected)
        time.sleep(0.5)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    frames = [line["frame"] for line in lines if line["app_id"] == 1]
    assert frames == list(range(frames[0], frames[-1] + 1))


def _more(file: Path) -> list[dict[str, Any]]:
    return [one.in_folder(file.parent) for one in ChangesFile(file.parent).load().added]


def test_viewers_are_told_what_happens(tmp_path: Path) -> None:
    write_bright(tmp_path / "net.npz")
    file = write_problem(tmp_path, app("lamp", event_class=1, pinned=[0, 20.0]), budget=250.0)
    lamp = Lamp()
    told: list[tuple[str, dict[str, Any]]] = []
    with served(file, lamp) as site:
        where = urlsplit(site.site.url)
        viewer = socket.create_connection((where.hostname, where.port), timeout=60)
        viewer.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        def listen() -> None:
            kind = ""
            with viewer.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    key, _, value = line.rstrip().partition(": ")
                    kind = value if key == "event" else kind
                    if key == "data":
                        told.append((kind, json.loads(value)))

        thread = threading.Thread(target=listen)
        thread.start()
        becomes(site.runs, {"lamp"})
        lamp.on = True
        event = found(lambda: next((values for kind, values in told if kind == "event"), None))
        assert event["app"] == "lamp" and event["end"] is None and event["peak_score"] > 0.8
        found(
            lambda: any(
                kind == "status" and values["apps"]["lamp"]["now"]["positive"]
                for kind, values in told[:]
                if values.get("apps", {}).get("lamp", {}).get("now")
            )
        )
        lamp.on = False
        found(lambda: any(kind == "event" and values["end"] is not None for kind, values in told[:]))
        assert site.ask("GET", f"/api/events/{event['event_id']}/picture")[1][:2] == b"\xff\xd8"
        assert site.ask("GET", "/api/events?limit=1")[1]["events"][0]["frames"] > 1
        assert site.apps()["lamp"]["event"]["event_id"] == event["event_id"]
        site.ask("PUT", "/api/budget", {"budget": 240})
        found(lambda: any(kind == "said" and "changed: " in values["line"] for kind, values in told[:]))
        lamp.silent.set()
        found(lambda: any("the camera has been away" in "".join(values.get("troubles", ())) for _, values in told[:]))
        viewer.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        viewer.close()


def test_a_plan_of_less_than_two_seconds_has_no_observed_rate() -> None:
    young, settled = (views._rate(AppRate(1, 5.0, 6.09, 1, 0, age_s=age_s)) for age_s in (0.2, 2.0))
    assert (young["observed_fps"], settled["observed_fps"]) == (None, 6.09)
    assert young["analysed"] == 1
