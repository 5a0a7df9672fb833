"""The API keeps to its own description, whatever is sent: schemathesis makes requests of it, right and wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.boxes import SOURCE, app, write_problem
from support.sites import Running, served, write_package

schemathesis = pytest.importorskip("schemathesis", reason="needs the extra test")
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")

from hypothesis import HealthCheck, settings  # noqa: E402

from mainstream.web.openapi import described  # noqa: E402

SCHEMA = schemathesis.openapi.from_dict(described())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("site")
    write_package(folder, "cats")
    with served(write_problem(folder, app(1), app("dogs"), budget=250.0), SOURCE, wrong_tokens=10**6) as running:
        yield running


@SCHEMA.exclude(path="/api/stream").parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_what_is_described_is_what_is_done(case: Any, site: Running) -> None:
    case.call_and_validate(base_url=site.site.url.rstrip("/"), headers={"Authorization": f"Bearer {site.token}"})


def test_the_description_is_served(site: Running) -> None:
    assert site.ask("GET", "/api/openapi.json", token=None)[1] == described()


def test_every_route_is_described(site: Running, tmp_path: Path) -> None:
    paths = {
        (path, method.upper())
        for path, item in described()["paths"].items()
        for method in item
        if method != "parameters"
    }
    routes = {
        (route.path.replace(":path", ""), method)
        for route in site.site.routes
        if route.path.startswith("/api/") and route.path != "/api/openapi.json"
        for method in route.methods - {"HEAD"}
    }
    assert paths == routes
