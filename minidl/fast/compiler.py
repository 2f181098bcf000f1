"""Numba, where it is installed: Python functions compiled to machine code."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import sys
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

OPTIONS = {"nogil": True, "error_model": "numpy"}


@cache
def numba() -> Any:
    """The module; ``None`` if it is not installed, switched off, or broken (with a message)."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        import numba
    except ImportError as error:
        print(f"minidl: Numba cannot be used ({error}); loops run in NumPy", file=sys.stderr)
        return None
    return None if numba.config.DISABLE_JIT else numba  # type: ignore[attr-defined]


@cache
def compiled(
    function: Callable[..., Any], parallel: bool = False, **names: Any
) -> Callable[..., Any]:
    """``function``, compiled at its first call or read from disk, with ``names`` among its globals.

    What is exchanged that way is known to the compiler itself; Python's functions among it are
    compiled, too.  Its loop is over ``chunks(…)`` or ``channels(…)``, which the threads share if it
    is ``parallel``.
    """
    njit = numba().njit
    # Itself, among the globals: behind a function of its own, i might be negative to the compiler,
    # which then does not vectorise.
    loop = numba().prange if parallel else range
    known = {name: njit(v) if isinstance(v, FunctionType) else v for name, v in names.items()}
    known |= {"chunks": loop, "channels": loop}
    made = FunctionType(function.__code__, {**function.__globals__, **known}, function.__name__)
    made.__module__ = function.__module__
    # Under this name it is kept on disk: other functions in it are other code.
    made.__qualname__ = f"{function.__qualname__}_{_digest(parallel, names)}"
    return cached_njit(njit, parallel=parallel, **OPTIONS)(made)


def _digest(parallel: bool, names: dict[str, Any]) -> str:
    digest = hashlib.sha256(bytes([parallel]))
    for value in names.values():
        function = getattr(value, "py_func", None) or getattr(value, "_defn", value)
        code = getattr(function, "__code__", None)
        digest.update(repr(value).encode() if code is None else marshal.dumps(code))
    return digest.hexdigest()[:12]


def cached_njit(compile: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[..., Any]:
    """The decorator ``compile(…)`` of Numba, with its machine code kept on disk where it can be."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return compile(*arguments, cache=True, **options)(function)
        except RuntimeError:  # no folder can be written: compiled anew in each process
            return compile(*arguments, **options)(function)

    return decorate
