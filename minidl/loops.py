"""Fused loops: one text for each, whatever runs it.

What only goes through memory, entry by entry, is written once, as a loop::

    @loop
    def momentum(theta, g, v, eta, mu):
        for i in pieces(theta.size):
            v[i] = mu * v[i] + g[i]
            theta[i] -= eta * v[i]

With NumPy alone ``pieces`` yields slices that fit the cache: the lines are array expressions,
each processor has its part of the vectors, and a piece stays in the cache while the lines pass
over it.  Where Numba is installed (``pip install 'minidl[fast]'``) ``pieces`` is ``range``, and the
same lines are compiled to one pass over memory on one thread, without the GIL.  On a GPU the
kernel of that name in :mod:`minidl.gpu` runs.  All three do the same operations on each entry
in the same order, so NumPy and Numba give the same bits.

Numba's own variable ``NUMBA_DISABLE_JIT=1`` keeps to NumPy.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import cache, wraps
from types import FunctionType
from typing import Any

import numpy as np

from minidl.backend import Array, fused, piece
from minidl.backend.threads import split

PIECE = 128 * 1024  # entries of a vector at a time: fewer wait for the GIL, more for memory


def pieces(size: int) -> Iterator[slice]:
    """Slices that cover ``0 … size``; to a compiler it is ``range``."""
    for start in range(0, size, PIECE):
        yield slice(start, min(start + PIECE, size))


def loop(text: Callable[..., None]) -> Callable[..., None]:
    """``text`` as a function of one-dimensional arrays of one length and type, and of numbers.

    Every array must be used at ``i`` only, with ``for i in pieces(…)`` over that length.
    """

    @wraps(text)
    def run(*arguments: Any) -> None:
        if (compiled := _compiled(text)) is not None:
            number = arguments[0].dtype.type  # Numba would compute with float64 for Python's floats
            compiled(*[a if isinstance(a, np.ndarray) else number(a) for a in arguments])
        else:
            _in_parts(text, arguments)

    everywhere: Any = fused(run)
    everywhere.__wrapped__ = text
    return everywhere


def engine() -> str:
    """What runs them in this process: ``"numpy"``, or ``"numba"`` with its version."""
    return "numpy" if _numba() is None else f"numba {_numba().__version__}"


@cache
def _numba() -> Any:
    """The module; ``None`` where it is not installed, switched off or broken, which is said."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        import numba
    except ImportError as error:
        print(f"minidl: Numba cannot be used ({error}); loops run in NumPy", file=sys.stderr)
        return None
    return None if numba.config.DISABLE_JIT else numba  # type: ignore[attr-defined]


@cache
def _compiled(text: Callable[..., None]) -> Callable[..., None] | None:
    """``text`` with ``range`` for ``pieces``, compiled at its first call, or read from disk."""
    numba = _numba()
    if numba is None:
        return None
    # range itself, among the globals: behind a function of its own, i might be negative to the
    # compiler, which then does not vectorise.
    with_range = FunctionType(text.__code__, {**text.__globals__, "pieces": range}, text.__name__)
    with_range.__module__, with_range.__qualname__ = text.__module__, text.__qualname__
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(with_range)
    except RuntimeError:  # no folder to cache in can be written: compiled anew in each process
        return numba.njit(**options)(with_range)


def _in_parts(text: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """``text`` on equal parts of the arrays, one for each processor."""

    def part(start: int, stop: int) -> None:
        text(*[a[start:stop] if isinstance(a, np.ndarray) else a for a in arguments])

    split(part, arguments[0].size, least=PIECE)


def in_pieces(formula: Callable[..., Array], *arrays: Array) -> Array:
    """``formula(*arrays)``, element-wise and of the first array's shape and type.

    Arrays too large for the cache are gone through in pieces of it, so that what the
    formula allocates on its way stays there.
    """
    first = arrays[0]
    step = piece(first)
    with np.errstate(over="ignore", under="ignore"):
        if first.size > 2 * step and all(a.strides == first.strides for a in arrays):
            out = np.empty_like(first)
            row, *rows = map(_as_row, (out, *arrays))
            if rows[0] is not None:
                for start in range(0, first.size, step):
                    part = slice(start, start + step)
                    row[part] = formula(*[a[part] for a in rows])
                return out
        return formula(*arrays)


def _as_row(array: np.ndarray) -> Any:
    """``array`` as one row in the order of memory, a view; None where it has gaps."""
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    laid_out = array.transpose(axes)
    return laid_out.reshape(-1) if laid_out.flags.c_contiguous else None
