"""Turns text that people write (files, YAML, JSON and CSV) into plain values; each error is one line."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import yaml

from mainstream.description import nearest, shown
from mainstream.errors import InfeasibleError, ProblemError

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml: the same, slower
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

Name = str | os.PathLike[str]
"""The path of a file or folder."""

LARGEST_MODEL: Final = 2**30
"""The most bytes of a model file; VGG-16, one of the largest networks for images, has half as many."""
_DEEPEST: Final = 100
"""How many levels of nesting a file may have; libyaml's own composer overruns the C stack at tens of thousands."""
_LONGEST: Final = 100
"""How many characters of another library's message are passed on."""
_MOST_REPEATED: Final = 1_000_000
"""How many values a file's aliases may stand for, on top of ten times the number of those written out."""


def reason(error: Exception) -> str:
    """What the operating system or another library says is wrong, on one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    told = getattr(error, "strerror", None)  # FFmpeg's errors have one, too
    if told or isinstance(error, OSError):
        return str(told or type(error).__name__).lower()
    return " ".join(str(error).split())[:_LONGEST]


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Put `where`, such as a file, in front of what a ProblemError or InfeasibleError says."""
    try:
        yield
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from None
    except InfeasibleError as error:
        raise InfeasibleError(f"{where}: {error}", error.smallest_budget) from None


def read_text(path: Path, *, largest: int = 2**26) -> str:
    """The text of a UTF-8 file that is not empty.

    Parameters
    ----------
    path : Path
    largest : int
        How many bytes it may have.

    Raises
    ------
    ProblemError
        The file is missing, unreadable, a directory or a device, empty, too large or not UTF-8.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) or (stat.S_ISFIFO(kind) and not _is_open(path)):
            raise ProblemError(f"{path}: is a device or a pipe; name a file")
        with path.open("rb") as file:
            data = file.read(largest + 1)
        if len(data) > largest:
            raise ProblemError(f"{path}: has more than {largest:,} bytes, far more than such a file needs")
    except ProblemError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ProblemError(f"{path}: {reason(error)}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(f"{path}: no UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}") from None
    if not text.strip():
        raise ProblemError(f"{path}: the file is empty")
    return text


def _is_open(path: Path) -> bool:
    """Whether the path names a file that was opened for this process, as ``<(command)`` in a shell does."""
    return str(path).startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/"))


def check_target(path: Path) -> None:
    """Check before the work that its result can be written there.

    Raises
    ------
    ProblemError
        The path is a folder, or its folder does not exist or cannot be written to.
    """
    _check_place(path)
    if path.exists() and not path.is_file():
        return
    try:
        _beside(path).touch()
        _beside(path).unlink()
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None


def _check_place(path: Path) -> None:
    try:
        folder = path.is_dir()
    except OSError as error:  # its name is too long
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
    if folder:
        raise ProblemError(f"{path}: cannot be written: is a directory; name a file")
    if not path.parent.is_dir():
        raise ProblemError(f"{path}: cannot be written: there is no folder {path.parent}")


def _beside(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 as :func:`write_bytes` does, with the same errors."""
    try:
        content = text.encode("utf-8")
    except ValueError as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
    write_bytes(path, content)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole: beside it first, then renamed, so that no reader ever sees half of it.

    Raises
    ------
    ProblemError
        It cannot be written.
    """
    _check_place(path)
    beside = _beside(path)
    try:
        if path.exists() and not path.is_file():  # /dev/stdout and its like cannot be replaced
            path.write_bytes(content)
            return
        try:
            beside.write_bytes(content)
            beside.replace(path.resolve())
        except BaseException:  # Ctrl-C, too
            with suppress(OSError, ValueError):
                beside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read: beside it first, then renamed; raises OSError where that fails."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.rename(path)


def parse(path: Path) -> Any:
    """The plain values in a file: JSON when its name ends in .json, else YAML.

    Raises
    ------
    ProblemError
        The file cannot be read or is not of that form.
    """
    text = read_text(path)
    with naming(path):
        return json_values(text) if path.suffix.lower() == ".json" else yaml_values(text)


def mapping(path: Path) -> dict[Any, Any]:
    """The keys and values in a file, as :func:`parse` reads it.

    Raises
    ------
    ProblemError
        The file cannot be read or holds something else.
    """
    values = parse(path)
    if not isinstance(values, dict):
        raise ProblemError(f"{path}: holds {shown(values)}; it has to be a mapping of keys to values")
    return values


def json_values(text: str) -> Any:
    """The plain values of a JSON text; a key given twice is an error.

    Raises
    ------
    ProblemError
        The text is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=different_keys)
    except json.JSONDecodeError as error:
        raise ProblemError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ProblemError:
        raise
    except (ValueError, RecursionError) as error:
        raise ProblemError(f"no JSON: {reason(error)}") from None


def yaml_values(text: str) -> Any:
    """The plain values of a YAML text; a key given twice is an error.

    Raises
    ------
    ProblemError
        The text is no YAML, is nested too deeply, or its aliases stand for too much.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise ProblemError("the file is empty")
        written = _Extent(loader)
        if written.of(root) > _MOST_REPEATED + 10 * len(written.sizes):
            raise ProblemError("its aliases stand for more than a million values; write them out")
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):  # libyaml has a limit of its own, in some releases
            raise ProblemError(f"no YAML: nested more than {_DEEPEST} deep") from None
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ProblemError(f"no YAML: {place}{error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        raise ProblemError(f"no YAML: character {error.position}: {error.reason}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"no YAML: {reason(error)}") from None
    finally:
        loader.dispose()


def csv_rows(text: str, columns: Sequence[str], optional: str | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV text below its header, each with what to call it in a message.

    Parameters
    ----------
    text : str
    columns : sequence of str
        The columns that the text has to have, in any order.
    optional : str, optional
        One more column that it may have.

    Raises
    ------
    ProblemError
        A column is unknown, missing or given twice, a row has too few or too many values, or there is no row.
    """
    reader = csv.DictReader(text.splitlines(), strict=True, skipinitialspace=True)
    known = [*columns, optional] if optional else list(columns)
    row = None
    try:
        found = reader.fieldnames or []
        for column in found:
            if column not in known:
                raise ProblemError(f"unknown column {shown(column)}; {nearest(column, known)}")
        if len(set(found)) < len(found) or not {*columns} <= {*found}:
            last = " (the last optional)" if optional else ""
            raise ProblemError(f"columns {', '.join(found)}; needed: {', '.join(known)}{last}")
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise ProblemError(f"{where}: it has to have {len(found)} values: {', '.join(found)}")
            yield where, row
    except csv.Error as error:
        raise ProblemError(f"no CSV: {error}") from None
    if row is None:
        raise ProblemError("it has no rows below its header")


class _Loader(_SafeLoader):
    """PyYAML's safe loader, stopped before the nesting gets too deep for it."""

    depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise yaml.YAMLError(f"nested more than {_DEEPEST} deep")

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Extent:
    """Count the values that a YAML node stands for, following aliases; also finds keys that are given twice.

    This has to be known before PyYAML makes values of the nodes: PyYAML keeps only the last of equal keys, and merging
    (``<<``) copies what an alias stands for.
    """

    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> int:
        key = id(node)
        if key in self.sizes:
            return self.sizes[key]
        if key in self._open:
            raise ProblemError(f"line {node.start_mark.line + 1}: an alias stands for something that contains it")
        self._open.add(key)
        size = 1
        if isinstance(node, yaml.MappingNode):
            self._different(node)
            size += sum(self.of(part) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            size += sum(self.of(part) for part in node.value)
        self._open.discard(key)
        self.sizes[key] = size
        return size

    def _different(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                key = self.loader.construct_object(key_node)
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise ProblemError(f"line {line}: key {shown(key)} stands twice in one mapping")
                seen.add(key)


def different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The mapping of a JSON object's pairs; a key given twice is a ProblemError."""
    values = dict(pairs)
    if len(values) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ProblemError(f"key {shown(key)} stands twice in one mapping")
    return values
