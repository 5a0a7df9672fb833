"""One Ray cluster for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.ray_here import OWN, own_token

from mainstream.executors import Executor
from mainstream.executors.on_ray import OnRay


@pytest.fixture(scope="package")
def on_ray() -> Iterator[Executor]:
    with own_token(), OnRay(**OWN) as on_ray:
        yield on_ray
