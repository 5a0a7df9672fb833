"""The page in headless Chromium, on a box that runs: what a user sees, and what he may do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.boxes import app, write_problem
from support.browser import chromium, show
from support.sites import Lamp, Running, served, write_bright, write_package
from support.waiting import becomes, comes_true, found

from mainstream.streamer.events.settings import EventSettings

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")

EVIL = "<img src=x onerror=alert(1)>"


class Page:
    """A browser on the page."""

    def __init__(self, browser: Any, site: Running) -> None:
        self.browser, self.site = browser, site

    def text(self, selector: str) -> str:
        return str(self.browser.execute_script(f"return document.querySelector({selector!r})?.innerText ?? ''"))

    def one(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Rows are made anew when something has changed, so that an element may be gone before it is clicked."""
        self.browser.execute_script(f"document.querySelector({selector!r}).click()")

    def type(self, selector: str, *keys: str) -> None:
        """Type in place of what a field holds. One that has the focus is not made anew."""
        from selenium.webdriver.common.keys import Keys

        self.browser.execute_script(f"document.querySelector({selector!r}).focus()")
        # All is marked by a key, too: what a script marks may be lost on the way to the first key.
        self.browser.switch_to.active_element.send_keys(Keys.CONTROL, "a", Keys.NULL, *keys)

    def shows(self, selector: str, text: str) -> None:
        found(lambda: text in self.text(selector))


@pytest.fixture(scope="module")
def lamp() -> Lamp:
    return Lamp()


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A disk of 2 MB, where this process may mount one."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, timeout=30, check=False
    )
    if mounted.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=30, check=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, lamp: Lamp, small_disk: Path | None) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    events = EventSettings((small_disk or folder) / "events")
    write_bright(folder / "net.npz")
    write_package(folder, "cats", write_bright)
    file = write_problem(
        folder, app("lamp", event_class=1), app(EVIL, event_class=1, region=[0.5, 0.25, 0.5, 0.5]), budget=100.0
    )
    with served(file, lamp, events=events) as site, chromium() as browser:
        show(browser, site.site.url, width=1200)
        made = Page(browser, site)
        made.shows("#rows", "lamp")
        yield made


def test_without_the_token_nothing_is_changed_and_with_it_an_app_is_added(page: Page) -> None:
    page.shows("#package", "cats")
    page.click("#add button")
    page.shows("#said", "the token is needed")
    page.one("#token").send_keys(page.site.token)
    page.click("#key button")
    becomes(lambda: page.text("#said"), "")
    page.one("#new-id").send_keys("tom")
    page.click("#add button")
    page.shows("#rows", "tom")
    becomes(page.site.runs, {"lamp", EVIL, "tom"})
    page.click("[data-key='pause tom']")
    page.shows("[data-app=tom]", "resume")
    becomes(page.site.runs, {"lamp", EVIL})
    page.click("[data-key='remove tom']")
    becomes(lambda: "tom" in page.text("#rows"), False)


def test_the_slider_says_what_a_budget_gives_and_applies_it_by_keyboard(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    slider = page.one("#budget")
    comes_true(slider.is_enabled)
    slider.send_keys(Keys.END)
    page.shows("#answer", "mean recall, lamp ")
    assert "fps" in page.text("#answer") and "+0." in page.text("#answer")
    slider.send_keys(Keys.ENTER)
    page.shows("#log", "changed: ")
    comes_true(lambda: page.site.ask("GET", "/api/budget")[1]["budget"] > 150)
    page.shows("#used", "budget 4")
    page.click("#file-budget")
    comes_true(lambda: page.site.ask("GET", "/api/budget")[1]["budget"] == 100)


def test_an_event_is_seen_with_its_picture(page: Page, lamp: Lamp) -> None:
    lamp.on = True
    page.shows("#timeline", "going on")
    page.shows(".now", "lamp: yes 0.9")
    lamp.on = False
    becomes(lambda: "going on" in page.text("#timeline"), False)
    drawn = "return [...document.querySelectorAll('#timeline img')].every(one => one.naturalWidth === 64)"
    comes_true(lambda: page.browser.execute_script(drawn))
    comes_true(lambda: page.browser.execute_script("return document.querySelector('.picture').naturalWidth === 64"))
    label = "return document.querySelector('[data-strip=lamp]').getAttribute('aria-label')"
    assert page.browser.execute_script(label).startswith("score of lamp, ")


def test_a_region_stands_on_the_picture_with_its_apps(page: Page, lamp: Lamp) -> None:
    """At the pixels of the picture that it has as shares of it."""
    name = "return document.querySelector('.region text')?.textContent"
    becomes(lambda: page.browser.execute_script(name), EVIL)
    drawn = """
      const found = document.querySelector('.region rect:not(.under)').getBoundingClientRect(),
        picture = document.querySelector('.picture').getBoundingClientRect();
      return [(found.x - picture.x) / picture.width, (found.y - picture.y) / picture.height,
        found.width / picture.width, found.height / picture.height]"""
    comes_true(lambda: page.browser.execute_script(drawn) == pytest.approx([0.5, 0.25, 0.5, 0.5], abs=0.02))
    size = "return document.querySelector('.region text').getBoundingClientRect().height"
    assert 10 < page.browser.execute_script(size) < 30
    label = page.browser.execute_script("return document.querySelector('.regions').getAttribute('aria-label')")
    assert label == f"regions: {EVIL}"
    stems = "return [...document.querySelectorAll('.stem')].map(one => one.querySelectorAll('circle').length)"
    assert page.browser.execute_script(stems) == [1, 1]
    assert "2 apps" in page.text("#summary")
    assert page.browser.execute_script("return document.querySelectorAll('.region').length") == 1
    page.click(f"[data-key='pause {EVIL}']")
    becomes(lambda: page.browser.execute_script("return document.querySelectorAll('.region').length"), 0)
    page.click(f"[data-key='pause {EVIL}']")
    comes_true(lambda: page.browser.execute_script("return document.querySelectorAll('.region').length === 1"))


def test_least_frames_a_second_are_set_beside_the_weight(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.type("[data-key='min_fps lamp']", "4", Keys.TAB)
    becomes(lambda: page.site.apps()["lamp"]["min_fps"], 4)
    found(lambda: page.site.apps()["lamp"]["target_fps"] >= 4)
    page.type("[data-key='min_fps lamp']", Keys.DELETE, Keys.TAB)
    becomes(lambda: page.site.apps()["lamp"]["min_fps"], None)


def test_a_full_disk_is_told_and_so_is_its_end(page: Page, lamp: Lamp, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("needs a process that may mount a small disk")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(65536))
    lamp.on = True
    # What still fits into a page of the disk is written, and the trouble is over until the next line.
    shown = "const it = document.querySelector('#trouble'); return it.checkVisibility() ? it.innerText : ''"

    def told() -> bool:
        text = page.browser.execute_script(shown)
        return "no space left on device" in text and "events" in text

    try:
        comes_true(told)
    finally:
        filler.unlink()
    lamp.on = False
    becomes(lambda: page.one("#trouble").is_displayed(), False)
    page.shows("#rows", "lamp")  # and all goes on


def test_names_are_text_and_the_browser_has_nothing_to_complain_of(page: Page) -> None:
    page.shows("#rows", EVIL)
    assert page.browser.execute_script("return document.querySelectorAll('img:not([alt])').length") == 0
    said = [line["message"] for line in page.browser.get_log("browser")]
    # What a server on a busy machine has not got yet is no fault of the page; what its policy refuses is.
    assert [message for message in said if "Failed to load resource" not in message] == []


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_telephone(page: Page, dark: bool) -> None:
    show(page.browser, page.site.site.url, width=400, dark=dark)
    page.shows("#rows", "lamp")
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 400
    paper = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 22, 26)") == dark


def test_what_is_wrong_is_in_plain_sight(page: Page, lamp: Lamp) -> None:
    lamp.silent.set()
    page.shows("#trouble", "the camera has been away for ")
    assert page.one("#trouble").is_displayed()
    lamp.silent.clear()
    becomes(lambda: page.one("#trouble").is_displayed(), False)
    status, answer = page.site.ask("POST", "/api/apps", {"package": "cats"})
    assert status == 201, answer
    (Path(page.site.folder) / "problem.yaml").write_text("apps: [")
    page.shows("#trouble", "problem.yaml: ")
    page.shows("#trouble", "the old plan goes on")
