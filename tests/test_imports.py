"""Imports run one way, and heavy packages have one owner each: the rules of docs/architecture.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "mainstream"
FILES = sorted(ROOT.rglob("*.py"))

# Each part may import the parts in the rows below its own, not its neighbours.
LAYERS = [
    {"cli"},
    {"web", "demo", "fleet"},
    {"evaluation", "experiments", "labelling", "scenes", "box"},
    {"scheduler"},
    {"solver", "streamer", "trainer", "report"},
    {"io", "store"},
    {"formats"},
    {"onnx_graphs"},
    {"graphs"},
    {"executors"},
    {"files"},
    {"history"},
    {"correction"},
    {"frontiers"},
    {"events", "costs", "schedule"},
    {"event_windows"},
    {"event_models", "event_kernels", "result_text", "blocks"},
    {"stream"},
    {"apps"},
    {"schedule_columns"},
    {"ids", "columns", "notebook"},
    {"problem", "extensions"},
    {"region"},
    {"registry", "ranges", "shares"},
    {"description"},
    {"_optional", "_jit", "_system"},
    {"errors", "interruptible"},
]
# A result holds the stem that the cost model makes, and it draws itself by what knows results.
ALLOWED_BESIDE = {("schedule", "costs"), ("schedule", "report"), ("frontiers", "report")}

OWNERS = {
    "ortools": ["solver/cp_sat.py", "solver/cp_sat_model.py", "solver/cp_sat_beside.py"],
    "tensorflow": ["graphs/", "trainer/"],
    "keras": ["graphs/", "trainer/"],
    "onnx": ["onnx_graphs/"],
    "onnxruntime": ["onnx_graphs/"],
    "tf2onnx": ["onnx_graphs/converter.py"],
    "zmq": ["streamer/"],
    "matplotlib": ["report/"],
    "pandas": ["notebook.py"],
    "av": ["streamer/", "trainer/", "labelling/", "scenes/"],
    "PIL": ["trainer/", "scenes/"],
    "starlette": ["labelling/", "web/"],
    "uvicorn": ["labelling/", "web/"],
    "prometheus_client": ["streamer/"],
    "scipy": ["trainer/"],
    "fsspec": ["store/folder.py"],
    "redis": ["store/redis_records.py"],
    "ray": ["executors/"],
    "paho": ["streamer/events/mqtt.py"],
}
ONLY_WITH_A_SOLVE = {"numba", *OWNERS}


class Import(NamedTuple):
    """One imported module and how: inside a function, for the type checker only, or when the file is imported."""

    module: str
    line: int
    in_function: bool
    for_types: bool


def imports(file: Path) -> Iterator[Import]:
    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            assert node.module
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno, in_function, for_types)
        for child in ast.iter_child_nodes(node):
            function = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = for_types or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            yield from walk(child, function, types)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), False, False)


def part_of(module: str) -> str | None:
    """The part of the house that a module belongs to; None for the package itself."""
    first, *rest = module.split(".")
    assert first == "mainstream"
    known = {part for layer in LAYERS for part in layer}
    return rest[0] if rest and rest[0] in known else None


def row(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_run_one_way(file: Path) -> None:
    relative = file.relative_to(ROOT)
    if relative.as_posix() in ("__init__.py", "__main__.py"):
        return
    own = part_of(".".join(["mainstream", *relative.with_suffix("").parts]))
    assert own is not None, f"{relative} has no place in the order of imports"
    for imported in imports(file):
        if imported.module.split(".")[0] != "mainstream" or imported.for_types:
            continue
        other = part_of(imported.module)
        place = f"{relative}:{imported.line} imports {imported.module}"
        assert other is not None, f"{place}: import from the module that holds it"
        if other != own and (own, other) not in ALLOWED_BESIDE:
            assert row(own) < row(other), f"{place}: {own} may not know {other}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_heavy_packages_have_owners_and_load_inside_functions(file: Path) -> None:
    relative = file.relative_to(ROOT).as_posix()
    for imported in imports(file):
        package = imported.module.split(".")[0]
        if package in OWNERS and not imported.for_types:
            place = f"{relative}:{imported.line} imports {package}"
            assert relative.startswith(tuple(OWNERS[package])), f"{place}: its owners are {OWNERS[package]}"
            assert imported.in_function, f"{place} outside a function"


def loaded_by(code: str) -> set[str]:
    code += "; import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["mainstream.cli", "mainstream.io"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & ONLY_WITH_A_SOLVE


def test_the_top_level_loads_only_the_standard_library() -> None:
    others = loaded_by("import mainstream") - loaded_by("pass") - {"mainstream"}
    assert not {name for name in others if name not in sys.stdlib_module_names}


def test_no_name_of_the_top_level_loads_what_a_solve_or_a_screen_needs() -> None:
    loaded = loaded_by("import mainstream; [getattr(mainstream, name) for name in dir(mainstream)]")
    assert "pydantic" in loaded
    assert not loaded & {"rich", "typer", *ONLY_WITH_A_SOLVE}


def test_type_checkers_see_the_names_that_there_are() -> None:
    import mainstream

    found = {imported.module: imported for imported in imports(ROOT / "__init__.py") if imported.for_types}
    homes = {f"{home}.{name}" for home, names in mainstream._HOMES.items() for name in names}
    assert set(found) - {"typing.TYPE_CHECKING"} == {*homes, "mainstream.io"}
    for path in homes:
        home, _, name = path.rpartition(".")
        assert getattr(mainstream, name) is getattr(import_module(home), name)


def test_completion_offers_own_names_only() -> None:
    import mainstream

    assert dir(mainstream) == sorted([*mainstream.__all__, "io"])
    assert {"load_problem", "load_package", "save_result", "prepare", "Progress", "History", "__version__"} <= {
        *mainstream.__all__
    }
    assert dir(mainstream.io) == mainstream.io.__all__
    assert mainstream.__version__ == version("mainstream")


def test_a_misspelt_name_is_an_attribute_error() -> None:
    import mainstream

    with pytest.raises(AttributeError, match="module 'mainstream' has no attribute 'slove'"):
        mainstream.slove  # noqa: B018  # the access is the test
