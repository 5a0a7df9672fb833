"""What every place for metadata has to do: files through fsspec, and a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")


from mainstream import ProblemError
from mainstream.store.address import Address
from mainstream.store.file_records import FileRecords
from mainstream.store.folder import Folder
from mainstream.store.records import LARGEST, Records
from mainstream.store.redis_records import RedisRecords

Make = Callable[[], Records]


@pytest.fixture
def make(url: str) -> Make:
    """Makes records that are the same ones each time."""
    address = Address.of(url)

    def made() -> Records:
        return RedisRecords(address.records) if address.in_redis else FileRecords(Folder(address.files))

    return made


def test_nothing_is_there_at_first(make: Make) -> None:
    records = make()
    assert records.names() == []
    assert records.numbers("dogs") == []
    assert records.read("dogs", 1) is None
    assert records.remove("dogs", 1) is False
    assert records.notes("pushing") == records.notes("cleaning") == {}


def test_records_are_counted_and_read_back(make: Make) -> None:
    records, other = make(), make()
    texts = [b"{}", "straße\n".encode(), b"x" * LARGEST]
    assert [records.add("dogs", text) for text in texts] == [1, 2, 3]
    assert other.add("cats", b"c") == 1
    assert other.names() == records.names() == ["cats", "dogs"]
    assert other.numbers("dogs") == [1, 2, 3]
    assert [other.read("dogs", number) for number in (1, 2, 3)] == texts
    assert other.read("dogs", 4) is None
    assert records.identity() == other.identity()


def test_a_number_is_never_given_again(make: Make) -> None:
    records = make()
    for _ in range(3):
        records.add("dogs", b"x")
    assert records.remove("dogs", 3) and records.remove("dogs", 1)
    assert not records.remove("dogs", 3)
    assert records.numbers("dogs") == [2]
    assert make().add("dogs", b"y") == 4
    for number in (2, 4):
        records.remove("dogs", number)
    assert records.numbers("dogs") == []
    assert records.add("dogs", b"z") == 5


def test_numbers_that_have_come_to_their_end(make: Make, url: str) -> None:
    records = make()
    records.add("dogs", b"x")
    if Address.of(url).in_redis:
        import redis

        server = redis.Redis(port=int(Address.of(url).records.rpartition(":")[2].split("/")[0]))
        server.hset("mainstream:numbers", "dogs", 10**9 - 1)
        server.hset("mainstream:numbers", "cats", -5)
    else:
        for name, number in (("dogs", 10**9 - 1), ("cats", 10**400)):
            Folder(Address.of(url).files).create(f"packages/{name}/{number}.number"[:250], b"")
    with pytest.raises(ProblemError, match="dogs: no version number is left"):
        records.add("dogs", b"x")
    assert records.numbers("dogs") == [1]


def test_all_who_add_at_once_get_numbers_of_their_own(make: Make) -> None:
    def add(one: int) -> dict[int, bytes]:
        records = make()
        return {records.add("dogs", text): text for text in (f"{one} {i}".encode() for i in range(10))}

    with ThreadPoolExecutor(4) as threads:
        added = {number: text for found in threads.map(add, range(4)) for number, text in found.items()}
    records = make()
    assert sorted(added) == records.numbers("dogs") and len(added) == 40
    assert {number: records.read("dogs", number) for number in added} == added


def test_notes_come_and_go(make: Make) -> None:
    records, other = make(), make()
    first, second = "0" * 32, "f" * 32
    records.note("pushing", first, b"a")
    records.note("pushing", second, b"b")
    records.note("cleaning", second, b"c")
    records.note("pushing", first, b"d")
    assert other.notes("pushing") == {first: b"d", second: b"b"}
    assert other.notes("cleaning") == {second: b"c"}
    other.drop("pushing", first)
    other.drop("pushing", first)
    assert records.notes("pushing") == {second: b"b"}
    assert records.names() == []


def test_a_record_that_is_too_large_is_not_read(make: Make) -> None:
    records = make()
    number = records.add("dogs", b"x" * (LARGEST + 1))
    with pytest.raises(ProblemError, match=r"has more than 4,194,304 bytes, far more than it needs$"):
        records.read("dogs", number)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
def test_names_that_are_none_are_left_out(make: Make, url: str) -> None:
    import redis

    server = redis.Redis(port=Address.of(url).records.rpartition(":")[2].split("/")[0])
    for name in (b"../x", b"\xff", b"", b"a b", b"good"):
        server.hset("mainstream:numbers", name, 1)
    server.hset("mainstream:package:good", mapping={"3": b"x", "-1": b"x", "1e3": b"x", "9" * 30: b"x"})
    assert make().names() == ["good"]
    assert make().numbers("good") == [3]
    server.set("mainstream:package:bad", "no hash")
    with pytest.raises(ProblemError, match="WRONGTYPE"):
        make().numbers("bad")
