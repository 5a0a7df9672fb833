"""Pushes and cleanings at the same time: threads that stop each other at every step, and real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.stores import contents, package

from mainstream.store import Store, open_store
from mainstream.store.address import Reference
from mainstream.store.cleaning import clean
from mainstream.store.file_records import FileRecords
from mainstream.store.folder import Folder
from mainstream.store.model_files import ModelFiles

_T = TypeVar("_T")


class Stopping(Folder):
    """A folder that calls `stop` before its n-th use."""

    def __init__(self, url: str, at: int = -1, stop: Callable[[], None] = lambda: None) -> None:
        self.uses = -(10**9)
        super().__init__(url)
        self.uses, self.at, self.stop = 0, at, stop

    def _call(self, call: Callable[[], _T], seconds: float | None = None) -> _T:
        if self.uses == self.at:
            self.stop()
        self.uses += 1
        return super()._call(call, seconds)


def store_in(folder: Folder) -> Store:
    return Store(str(folder), FileRecords(folder), ModelFiles(folder))


def left_over(place: Path, dogs: Path) -> None:
    """A store that holds the model files of dogs and no version."""
    open_store(str(place)).push(dogs)
    (place / "packages/dogs/1.json").unlink()


def steps(place: Path, dogs: Path, of: str) -> int:
    left_over(place, dogs)
    folder = Stopping(str(place))
    if of == "push":
        store_in(folder).push(dogs)
    else:
        clean(FileRecords(folder), ModelFiles(folder))
    return folder.uses


@pytest.mark.parametrize("first", ["push", "clean"])
def test_a_push_and_a_cleaning_that_stop_each_other_at_every_step(tmp_path: Path, first: str) -> None:
    """One runs to a step; the other begins there and runs to a step; the first goes on to its end; then the other.

    Whatever the two steps are, the version that was pushed is whole, and the next cleaning leaves nothing else.
    """
    dogs = package(tmp_path / "dogs", size=10)
    kept = contents(dogs)
    other = "clean" if first == "push" else "push"
    many = {of: steps(tmp_path / of, dogs, of) for of in ("push", "clean")}
    print(many)
    copied = 0
    for i in range(many[first]):
        for j in range(many[other] + 3):
            place = tmp_path / f"{first} {i} {j}"
            left_over(place, dogs)
            reached, go_on = Event(), Event()

            def stop(reached: Event = reached, go_on: Event = go_on) -> None:
                reached.set()
                go_on.wait()

            def run(of: str, at: int, stop: Callable[[], None], place: Path = place) -> None:
                folder = Stopping(str(place), at, stop)
                if of == "push":
                    store_in(folder).push(dogs)
                else:
                    clean(FileRecords(folder), ModelFiles(folder))

            def run_other(j: int = j, stop: Callable[[], None] = stop, reached: Event = reached) -> None:
                try:
                    run(other, j, stop)
                finally:
                    reached.set()

            thread = Thread(target=run_other)

            def begin(thread: Thread = thread, reached: Event = reached) -> None:
                thread.start()
                reached.wait()

            run(first, i, begin)
            go_on.set()
            thread.join()
            store = open_store(str(place))
            store.pull(Reference("dogs"), place / "pulled")
            assert contents(place / "pulled") == kept, (i, j)
            clean(FileRecords(Folder(str(place))), ModelFiles(Folder(str(place))))
            left = ModelFiles(Folder(str(place))).keys()
            assert len(left) == 3, (i, j)
            copied += any("." in key for key in left)
    assert copied > 0  # the two did meet


RUN = {
    "push": "for _ in range(15): print(store.push(sys.argv[2]).version.number, flush=True)",
    "rm": """
for _ in range(60):
    for number in store.numbers("dogs")[:-1]:
        try: store.remove("dogs", [number])
        except ProblemError as error: assert "no version" in str(error), error
    sleep(0.01)
""",
}


def start(url: str, what: str, folder: Path) -> subprocess.Popen[str]:
    code = "import sys\nfrom time import sleep\nfrom mainstream import ProblemError\n"
    code += "from mainstream.store import open_store\nstore = open_store(sys.argv[1])\n" + RUN[what]
    return subprocess.Popen([sys.executable, "-c", code, url, str(folder)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
def test_processes_that_push_one_name_make_versions_of_their_own(url: str, tmp_path: Path) -> None:
    packages = {fill: package(tmp_path / str(fill), fill=fill) for fill in (1, 11)}
    running = {fill: start(url, "push", folder) for fill, folder in packages.items()}
    numbers = {fill: [int(line) for line in one.communicate(timeout=120)[0].split()] for fill, one in running.items()}
    assert [one.returncode for one in running.values()] == [0, 0]
    assert sorted(numbers[1] + numbers[11]) == list(range(1, 31))
    store = open_store(url)
    for fill, made in numbers.items():
        for number in made:
            store.pull(Reference("dogs", number), tmp_path / f"pulled {number}")
            assert contents(tmp_path / f"pulled {number}") == contents(packages[fill])


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
def test_processes_that_push_and_remove(url: str, tmp_path: Path) -> None:
    packages = [package(tmp_path / str(fill), fill=fill) for fill in (1, 11)]
    running = [start(url, "push", folder) for folder in packages] + [start(url, "rm", tmp_path)]
    for one in running:
        one.communicate(timeout=120)
    assert [one.returncode for one in running] == [0, 0, 0]
    store = open_store(url)
    for number in store.numbers("dogs"):
        store.pull(Reference("dogs", number), tmp_path / f"pulled {number}")
        assert contents(tmp_path / f"pulled {number}") in [contents(folder) for folder in packages]
    assert store.numbers("dogs")[-1] == 30
