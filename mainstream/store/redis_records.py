"""Metadata in Redis.

mainstream:numbers        hash: name -> the largest number that was given
mainstream:package:dogs   hash: number -> record, JSON
mainstream:pushing, mainstream:cleaning   hashes: notes
mainstream:store          a text that identifies this store
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.store.address import VARIABLE, is_name, safe, without_passwords
from mainstream.store.patience import NoAnswerError, within
from mainstream.store.records import LARGEST, LARGEST_NUMBER, TRIES, Kind, as_number, no_number

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 20.0
_MOST: Final = 1_000_000
"""Entries that a hash may have."""
_T = TypeVar("_T")


class RedisRecords:
    """:class:`~mainstream.store.records.Records` in Redis.

    Redis counts the numbers, and a record is one value. A push that is killed between the two leaves a number without
    a record.

    Parameters
    ----------
    url : str
        redis:// or rediss://, without a query.

    Raises
    ------
    MissingExtraError
        The package redis is not installed.
    """

    def __init__(self, url: str) -> None:
        require("redis", "store")
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        parts = urlsplit(url)
        self._shown = without_passwords(url)
        self._url = url
        self._redis = Redis(
            host=parts.hostname or "",
            port=parts.port or 6379,
            db=int(parts.path.strip("/") or 0),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            ssl=parts.scheme == "rediss",
            socket_connect_timeout=_CONNECT_S,
            socket_timeout=_ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # a request that got no answer may still have been carried out
            protocol=2,
        )

    def __str__(self) -> str:
        return self._shown

    def identity(self) -> str:
        own = self._identity()
        if not own:  # written only if missing, so that a full Redis can still be read and packages removed
            self._ask(lambda: self._redis.set("mainstream:store", uuid4().hex, nx=True))
            own = self._identity()
        return own

    def _identity(self) -> str:
        return bytes(self._ask(lambda: self._redis.getrange("mainstream:store", 0, 99))).decode("ascii", "replace")

    def names(self) -> list[str]:
        names = (name.decode("utf-8", "replace") for name in self._keys("mainstream:numbers"))
        return sorted(name for name in names if is_name(name))

    def numbers(self, name: str) -> list[int]:
        found = (as_number(key.decode("ascii", "replace")) for key in self._keys(_package(name)))
        return sorted(number for number in found if number is not None)

    def read(self, name: str, number: int) -> bytes | None:
        return self._value(_package(name), str(number))

    def add(self, name: str, record: bytes) -> int:
        for _ in range(TRIES):
            number = int(self._ask(lambda: self._redis.hincrby("mainstream:numbers", name, 1)))
            if not 0 < number <= LARGEST_NUMBER:
                break
            if self._ask(partial(self._redis.hsetnx, _package(name), str(number), record)):
                return number
        raise no_number(name)

    def remove(self, name: str, number: int) -> bool:
        return bool(self._ask(lambda: self._redis.hdel(_package(name), str(number))))

    def note(self, kind: Kind, key: str, text: bytes) -> None:
        self._ask(lambda: self._redis.hset(f"mainstream:{kind}", key, text))

    def notes(self, kind: Kind) -> dict[str, bytes]:
        keys = [key.decode("ascii", "replace") for key in self._keys(f"mainstream:{kind}")]
        read = {key: self._value(f"mainstream:{kind}", key) for key in keys}
        return {key: text for key, text in read.items() if text is not None}

    def drop(self, kind: Kind, key: str) -> None:
        self._ask(lambda: self._redis.hdel(f"mainstream:{kind}", key))

    def _keys(self, of: str) -> list[bytes]:
        if self._ask(lambda: self._redis.hlen(of)) > _MOST:
            raise ProblemError(f"{self}: {of} has more than {_MOST:,} entries, far more than a store needs")
        return list(self._ask(lambda: self._redis.hkeys(of)))

    def _value(self, of: str, key: str) -> bytes | None:
        if self._ask(lambda: self._redis.hstrlen(of, key)) > LARGEST:
            raise ProblemError(f"{self}: {of} {key} has more than {LARGEST:,} bytes, far more than it needs")
        return cast("bytes | None", self._ask(lambda: self._redis.hget(of, key)))

    def _ask(self, call: Callable[[], Any]) -> Any:
        with self._telling():
            return within(_ANSWER_S, call)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn Redis' errors into one line without passwords."""
        from redis import exceptions

        try:
            yield
        except exceptions.AuthenticationError:
            raise ProblemError(
                f"{self}: this Redis needs a user and password, or other ones than were given: "
                f"redis://USER:PASSWORD@HOST:PORT/DB, best in the environment variable {VARIABLE}"
            ) from None
        except (exceptions.ConnectionError, exceptions.TimeoutError, NoAnswerError, OSError) as error:
            raise ProblemError(f"{self}: cannot be reached: {safe(reason(error), self._url)}") from None
        except exceptions.ReadOnlyError:
            raise ProblemError(f"{self}: this Redis is a read-only replica; give the primary") from None
        except exceptions.OutOfMemoryError:
            raise ProblemError(f"{self}: this Redis is full; raise its maxmemory, or remove packages") from None
        except exceptions.RedisError as error:
            raise ProblemError(f"{self}: {safe(reason(error), self._url)}") from None


def _package(name: str) -> str:
    return f"mainstream:package:{name}"
