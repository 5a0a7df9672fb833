"""A headless Chromium, without a network, on a page of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A driver of Selenium; skips where Chromium or its driver is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the extra test")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            browser.execute_cdp_cmd("Network.enable", {})
            conditions = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
            browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
            yield browser
        finally:
            browser.quit()


def look(browser: Any, page: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
    """Open a file in a window of that width, as a reader who prefers dark pages or does not."""
    _open(browser, page.as_uri(), width=width, height=height, dark=dark)


def show(browser: Any, url: str, *, width: int, dark: bool = False) -> None:
    """As :func:`look`, for a page that this machine serves."""
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
    _open(browser, url, width=width, height=900, dark=dark)


def _open(browser: Any, url: str, *, width: int, height: int, dark: bool) -> None:
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(url)
