"""The API and the page with two cameras: what names its camera, and what is of one of them alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.boxes import app, write_cameras
from support.browser import chromium, show
from support.sites import Lamp, Running, served, write_bright, write_package
from support.waiting import becomes, comes_true, found
from typer.testing import CliRunner

from mainstream.cli import app as cli
from mainstream.streamer.events.settings import EventSettings

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")


@pytest.fixture(scope="module")
def lamps() -> dict[str, Lamp]:
    return {"door": Lamp(), "yard": Lamp(32, 24)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, lamps: dict[str, Lamp]) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cameras")
    write_bright(folder / "net.npz")
    write_package(folder, "cats", write_bright)
    apps = {"door": [app("gate", event_class=1)], "yard": [app("dogs", event_class=1, region=[0.5, 0, 0.5, 1])]}
    with served(write_cameras(folder, apps, budget=300.0), lamps, events=EventSettings(folder / "events")) as running:
        becomes(running.runs, {"gate", "dogs"})
        yield running


def test_apps_events_pictures_and_health_name_their_camera(site: Running, lamps: dict[str, Lamp]) -> None:
    assert {key: one["stream"] for key, one in site.apps().items()} == {"gate": "door", "dogs": "yard"}
    schedule = site.ask("GET", "/api/schedule")[1]
    assert [one["stream"] for one in schedule["result"]["streams"]] == ["door", "yard"]
    assert schedule["layers"] == {"door": 3, "yard": 3} and schedule["total_layers"] == 3
    assert site.ask("GET", "/api/frontier")[1]["points"][0]["fps"] == {"gate": 1.0, "dogs": 1.0}
    assert site.ask("GET", "/api/budget")[1]["unit"] == "ms"
    comes_true(lambda: site.ask("GET", "/api/picture?stream=door")[0] == 200)
    sizes = {name: site.ask("GET", f"/api/picture?stream={name}")[1][:2] for name in lamps}
    assert sizes == {"door": b"\xff\xd8", "yard": b"\xff\xd8"}
    assert site.ask("GET", "/api/picture") == (
        422,
        {"error": "stream: which camera is it? it has to be one of ['door', 'yard']"},
    )
    assert site.ask("GET", "/api/picture?stream=roof")[0] == 404
    assert site.ask("GET", "/api/health")[1]["streams"]["door"]["troubles"] == []
    lamps["yard"].on = True
    event = found(lambda: next(iter(site.ask("GET", "/api/events")[1]["events"]), None))
    assert (event["stream"], event["app"]) == ("yard", "dogs")
    becomes(lambda: (site.apps()["dogs"]["event"] or {}).get("event_id"), event["event_id"])
    assert site.apps()["gate"]["event"] is None
    comes_true(lambda: site.ask("GET", f"/api/events/{event['event_id']}/picture")[0] == 200)
    assert (site.folder / "events" / "yard" / "media" / f"{event['event_id']}.jpg").exists()
    lamps["yard"].on = False


def test_an_app_is_added_to_one_camera(site: Running) -> None:
    status, answer = site.ask("POST", "/api/apps", {"package": "cats"})
    assert status == 422 and answer["error"].startswith("stream: which camera is it for? it has to be one of ['door'")
    status, answer = site.ask("POST", "/api/apps", {"package": "cats", "stream": "roof"})
    assert status == 404 and answer["error"].startswith("stream: there is no 'roof'")
    assert site.ask("POST", "/api/apps", {"package": "cats", "stream": "yard", "weight": 2})[0] == 201
    becomes(site.runs, {"gate", "dogs", "cats"})
    assert site.apps()["cats"]["stream"] == "yard"
    assert site.ask("POST", "/api/apps", {"package": "cats", "stream": "door"})[0] == 409  # the app_id is taken
    assert site.ask("PATCH", "/api/apps/gate", {"paused": True})[0] == 200
    becomes(site.runs, {"dogs", "cats"})
    assert site.ask("GET", "/api/health")[1]["troubles"] == []
    assert site.ask("DELETE", "/api/changes")[0] == 200
    becomes(site.runs, {"gate", "dogs"})


def test_the_command_names_the_camera(site: Running) -> None:
    where = ["--at", site.site.url, "--token", str(site.folder / "token")]
    done = CliRunner().invoke(cli, ["apps", "add", "cats", "--stream", "yard", "--id", "tom", *where])
    assert done.exit_code == 0 and done.stdout.startswith("3 apps, predicted ")
    becomes(site.runs, {"gate", "dogs", "tom"})
    lines = CliRunner().invoke(cli, ["apps", "list", *where]).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["stream", "app"],
        ["door", "gate"],
        ["yard", "dogs"],
        ["yard", "tom"],
    ]
    assert site.ask("DELETE", "/api/changes")[0] == 200
    becomes(site.runs, {"gate", "dogs"})


def test_the_page_shows_each_camera_and_what_is_lost_is_said_of_it_alone(site: Running, lamps: dict[str, Lamp]) -> None:
    with chromium() as browser:
        show(browser, site.site.url, width=1200)

        def text(selector: str) -> str:
            return str(browser.execute_script(f"return document.querySelector({selector!r})?.innerText ?? ''"))

        def shows(selector: str, what: str) -> None:
            found(lambda: what in text(selector))

        shows("[data-app=gate]", "door gate")
        shows("[data-app=dogs]", "yard dogs")
        shows("[data-stream=door]", "door, 20 fps")
        widths = "return [...document.querySelectorAll('.picture')].map(one => one.naturalWidth)"
        comes_true(lambda: browser.execute_script(widths) == [64, 32])
        shows("[data-stream=yard] .now", "dogs: no")
        assert text("[data-stream=door] .now").startswith("gate: ")
        regions = "return [...document.querySelectorAll('figure')].map(one => one.querySelectorAll('.region').length)"
        becomes(lambda: browser.execute_script(regions), [0, 1])
        becomes(lambda: browser.execute_script("return document.querySelectorAll('.stem').length"), 2)
        assert "door gate" in text("#stems") and "yard dogs" in text("#stems")
        shows("#timeline", "yard dogs")
        browser.find_element("css selector", "#token").send_keys(site.token)
        browser.execute_script("document.querySelector('#key button').click()")
        becomes(lambda: text("#said"), "")
        browser.execute_script("document.getElementById('stream').value = 'yard'")
        browser.execute_script("document.querySelector('#add button').click()")
        shows("[data-app=cats]", "yard cats")
        assert site.apps()["cats"]["stream"] == "yard"
        lamps["door"].silent.set()
        shows("#trouble", "stream door: the camera has been away for ")
        away = "return [...document.querySelectorAll('figure.away')].map(one => one.dataset.stream)"
        becomes(lambda: browser.execute_script(away), ["door"])
        lamps["door"].silent.clear()
        becomes(lambda: browser.execute_script(away), [])
        show(browser, site.site.url, width=400)
        shows("#rows", "gate")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        said = [line["message"] for line in browser.get_log("browser")]
        assert [message for message in said if "Failed to load resource" not in message] == []
