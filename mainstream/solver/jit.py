"""Numba's compiler: its cache on disk for code in several files, calls by address, and no loss of the types.

Numba compiles a jitted function by itself and again inside every caller, and stamps what it keeps on disk with the
function's own file only. Here the stamp covers all files of the function's folder and this one: a jitted function may
call and read what they hold, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
import numba.core.cgutils
from numba.core.caching import IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.extending import intrinsic

# Numba has no types for these.
_cgutils: Any = numba.core.cgutils
_types: Any = numba.types

_log = logging.getLogger("mainstream")

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")


class _Index(IndexDataCacheFile):
    """One function's index on disk."""

    def _load_index(self) -> dict[Any, str]:
        try:
            overloads: dict[Any, str] = super()._load_index()  # type: ignore[no-untyped-call]
        except (AttributeError, ImportError):
            # An older version of the code wrote it, with classes that are gone.
            return {}
        return overloads


def jit(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, compiled when first called; kept on disk until a file of its folder changes; without the GIL."""
    jitted: Any = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    source = Path(function.__code__.co_filename)
    try:
        cache = jitted._cache
        kept = cache._cache_file
        stamp = (kept._source_stamp, _stamp(source.parent))
        cache._cache_file = _Index(kept._cache_path, cache._impl.filename_base, stamp)  # type: ignore[no-untyped-call]
    except AttributeError:
        _log.warning("numba %s keeps its cache in another way: %s is compiled anew", numba.__version__, source.stem)
        jitted = numba.njit(error_model="numpy", nogil=True)(function)
    compiled: Callable[_Arguments, _Returned] = jitted
    return compiled


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file of jitted code does."""
    files = [*sorted(folder.glob("*.py")), Path(__file__)]
    return tuple((file.name, stat.st_mtime_ns, stat.st_size) for file in files for stat in [file.stat()])


class _Part(JITCodeLibrary):
    """The code of a function that others take in: it is optimised there, and has no machine code of its own."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> _Part:
        return self

    def set_env(self, name: str, env: Any) -> None:
        """There is no code to set it in."""


class _Compiler(CompilerBase):
    """Numba's own, into a :class:`_Part`."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)  # type: ignore[no-untyped-call]
        return [DefaultPassBuilder.define_nopython_pipeline(state)]  # type: ignore[no-untyped-call]


def inner(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, for calls from jitted code only: compiled once, as a part of what calls it."""
    options: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    options["pipeline_class"] = _Compiler
    jitted: Callable[_Arguments, _Returned] = numba.njit(**options)(function)
    return jitted


def inlined(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, called in one place: as a part of its caller it is optimised once, not twice."""
    jitted: Callable[_Arguments, _Returned] = numba.njit(inline="always", error_model="numpy")(function)
    return jitted


def address(jitted: Any, signature: Any) -> int:
    """Where the machine code of a function from :func:`jit` begins, compiled for a signature if it was not yet."""
    made = jitted.get_compile_result(signature)
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


def caller(signature: Any) -> Any:
    """For jitted code: calls what stands at an :func:`address`, whose code so is no part of the caller's.

    An address as an argument costs nothing on the way in from Python; a first-class function costs 20 us a call.
    """

    @intrinsic
    def call(typing: Any, address: Any, arguments: Any) -> Any:
        def lower(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            convention = context.call_conv
            function_type = convention.get_function_type(signature.return_type, signature.args)
            function = builder.inttoptr(values[0], function_type.as_pointer())
            status, result = convention.call_function(
                builder, function, signature.return_type, signature.args, _cgutils.unpack_tuple(builder, values[1])
            )
            with _cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(_types.int64, _types.Tuple(signature.args)), lower

    made: Any = call
    return made
