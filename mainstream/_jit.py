"""Numba's compiler: its cache on disk for code in several files, calls by address, and no loss of the types.

Numba compiles a jitted function by itself and again inside every caller, and stamps what it keeps on disk with the
function's own file only. Here the stamp covers all files of the function's folder and this one: a jitted function may
call and read what they hold, and nothing else.

Arrays belong to whoever calls from Python: jitted code makes none, so it counts no references to them, for each array
of each tuple that is passed on. That is a third of the code, and its pruning the reason why Numba optimises it thrice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numba
import numba.core.cgutils
import numba.core.codegen
from numba.core.caching import IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.extending import intrinsic

# Numba has no types for these.
_cgutils: Any = numba.core.cgutils
_types: Any = numba.types
_codegen: Any = numba.core.codegen

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


class _Once(JITCodeLibrary):
    """Code that is optimised once, together with all that it takes in."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        # What is taken in is called from here only: arguments that it does not use are dropped.
        for function in self._final_module.functions:
            if function.linkage == _codegen.ll.Linkage.linkonce_odr:
                function.linkage = _codegen.ll.Linkage.internal
        passes, builder = self._codegen._module_pass_manager()  # type: ignore[no-untyped-call]
        passes.run(self._final_module, builder)


class _Part(_Once):
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


def _compiler_into(library: type[_Once]) -> type[CompilerBase]:
    """Numba's own compiler, into such a library."""

    class Compiler(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            state = self.state
            state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
            return [DefaultPassBuilder.define_nopython_pipeline(state)]  # type: ignore[no-untyped-call]

    return Compiler


_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_WHOLE: Final[dict[str, Any]] = {**_OPTIONS, "nogil": True, "pipeline_class": _compiler_into(_Once)}
_PART: Final[dict[str, Any]] = {
    **_OPTIONS,
    "no_cpython_wrapper": True,
    "pipeline_class": _compiler_into(_Part),
}


def jit(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, compiled when first called; kept on disk until a file of its folder changes; without the GIL."""
    return _kept(function, _WHOLE)


def counted(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """As :func:`jit`, for a function that takes a NumPy Generator: without counts each call would keep it for ever."""
    return _kept(function, {**_WHOLE, "_nrt": True})


def _kept(function: Callable[_Arguments, _Returned], options: dict[str, Any]) -> Callable[_Arguments, _Returned]:
    source = Path(function.__code__.co_filename)
    jitted: Any
    try:
        jitted = numba.njit(cache=True, **options)(function)
        found = jitted._cache
        kept = found._cache_file
        stamp = (kept._source_stamp, _stamp(source.parent))
        found._cache_file = _Index(kept._cache_path, found._impl.filename_base, stamp)  # type: ignore[no-untyped-call]
    except AttributeError:
        _log.warning("numba %s keeps its cache in another way: %s is compiled anew", numba.__version__, source.stem)
        jitted = numba.njit(**options)(function)
    except RuntimeError:
        _warn_of_no_place()
        jitted = numba.njit(**options)(function)
    compiled: Callable[_Arguments, _Returned] = jitted
    return compiled


@cache
def _warn_of_no_place() -> None:
    _log.warning(
        "compiled code is kept neither beside mainstream's own nor in the user's cache folder, as no file can be "
        "written there: each process compiles anew; set NUMBA_CACHE_DIR to a folder for it"
    )


def is_kept(jitted: Any) -> bool:
    """Whether this process or the disk has code of a function from :func:`jit`; also if nothing is ever kept there."""
    kept = getattr(getattr(jitted, "_cache", None), "_cache_file", None)
    # `overloads`, as the list of its keys, `signatures`, takes a twentieth of a small solve: it hashes all their types.
    return kept is None or bool(jitted.overloads) or bool(kept._load_index())


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file of jitted code does."""
    files = [*sorted(folder.glob("*.py")), Path(__file__)]
    return tuple((file.name, stat.st_mtime_ns, stat.st_size) for file in files for stat in [file.stat()])


def inner(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, for calls from jitted code only: compiled once, as a part of what calls it."""
    jitted: Any = numba.njit(**_PART)(function)
    template = jitted.get_call_template
    # A number that is written out is one like others: there is no version of the function for it.
    jitted.get_call_template = lambda arguments, named: template([_types.unliteral(one) for one in arguments], named)
    part: Callable[_Arguments, _Returned] = jitted
    return part


def inlined(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, called in one place: as a part of its caller it is optimised once, not twice."""
    jitted: Callable[_Arguments, _Returned] = numba.njit(inline="always", **_OPTIONS)(function)
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
