"""One mechanism for speed: a function that one reads, and what runs in its place.

``@kernel`` marks a function whose first argument is an array (of a method, the first one after
``self``).  Its lines, in NumPy, are the mathematics.  :mod:`minidl.fast`, if Numba is
installed, and :mod:`minidl.gpu` may have a twin of the same name that computes the same faster;
they register themselves here, so that the mathematics knows neither.  A test compares each twin
with its text.

Update rules need no twins.  They are one text for every engine::

    @kernel
    def momentum(theta, g, v, eta, mu):
        for i in chunks(theta.size):
            v[i] = mu * v[i] + g[i]
            theta[i] -= eta * v[i]

In NumPy, ``i`` is a slice that fits in the cache, so that a chunk stays there while the lines
pass over it; Numba compiles the lines to one pass over memory, with an integer ``i``, which the
pool's threads share if it is long; on a GPU, ``i`` is a thread.  All do the same operations on
each entry in the same order: NumPy and Numba give the same bits.  For that, a rule is a single
loop over ``chunks`` whose lines assign to ``array[i]``, from ``array[i]``, the numbers among its
arguments, ``+ - * /`` and ``sqrt``.  (A constant in the text would be float64 to a compiler.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

CHUNK = 64 * 1024  # entries of a vector at a time
SHARED = 32 * 1024  # entries of a loop that several threads share, at least

Function: TypeAlias = Callable[..., Any]
F = TypeVar("F", bound=Function)
Find: TypeAlias = Callable[[Function, bool], Function | None]


class Engine(NamedTuple):
    """What runs marked functions for the arrays of a package."""

    find: Find = lambda text, is_long: None
    name: Callable[[], str] = lambda: "numpy"
    context: Callable[[], AbstractContextManager[None]] = nullcontext


_engines = {"numpy": Engine()}  # by the package of an array's class
_chosen: list[dict[Any, Function]] = []  # what runs, for each marked function


def chunks(size: int) -> Iterator[slice]:
    """Slices that cover ``0 … size``; a compiler makes it ``range``."""
    for start in range(0, size, CHUNK):
        yield slice(start, min(start + CHUNK, size))


def register(package: str, *engine: Any) -> None:
    """Choose the parts of an :class:`Engine` for arrays of ``package``, ``"numpy"`` or ``"cupy"``.

    ``find(text, is_long)`` returns the twin of a marked function, or None if it has none; arrays
    of at least ``SHARED`` entries are long.  Training runs in ``context()``.
    """
    _engines[package] = Engine(*engine)
    for chosen in _chosen:
        chosen.clear()


def at_full_speed() -> AbstractContextManager[None]:
    """A context in which to train on the CPU: one pool of threads, denormal numbers as zeros."""
    return _engines["numpy"].context()


def engine() -> str:
    """What runs marked functions on the CPU: ``"numpy"``, or a compiler with its version."""
    return _engines["numpy"].name()


def is_rule(text: Function) -> bool:
    """Whether the text is a loop over :func:`chunks`, for every engine."""
    return "chunks" in text.__code__.co_names


def kernel(text: F) -> F:
    """``text``, or its twin on the engine of its first array."""
    chosen: dict[tuple[type, bool], Function] = {}
    _chosen.append(chosen)
    names = text.__code__.co_varnames
    first = int(names[:1] == ("self",))

    def run(*arguments: Any, **options: Any) -> Any:
        array = arguments[first] if len(arguments) > first else options.get(names[first])
        key = type(array), getattr(array, "size", 0) >= SHARED
        if key not in chosen:
            chosen[key] = _find(text, *key)
        return chosen[key](*arguments, **options)

    def run_rule(*arguments: Any) -> None:
        number = arguments[0].dtype.type  # a compiler takes Python's floats for float64
        run(*[number(a) if isinstance(a, int | float) else a for a in arguments])

    return wraps(text)(run_rule if is_rule(text) else run)  # type: ignore[return-value]


def _find(text: Function, kind: type, is_long: bool) -> Function:
    package = kind.__module__.partition(".")[0]  # a subclass is of another
    return _engines.get(package, Engine()).find(text, is_long) or text


def in_chunks(formula: Callable[..., Any], *arrays: Any, size: int) -> Any:
    """``formula(*arrays)``, element-wise, with the first array's shape and type.

    Arrays of more than twice ``size`` entries are processed as many at a time, so that what the
    formula allocates stays in the cache.
    """
    first = arrays[0]
    if first.size <= 2 * size or any(a.strides != first.strides for a in arrays):
        return formula(*arrays)
    out = np.empty_like(first)
    row, *rows = map(as_row, (out, *arrays))
    if row is None or rows[0] is None:
        return formula(*arrays)
    for start in range(0, first.size, size):
        part = slice(start, start + size)
        row[part] = formula(*[a[part] for a in rows])
    return out


def as_row(array: np.ndarray) -> Any:
    """``array`` as one row in memory order, a view; None if it is not contiguous."""
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    in_order = array.transpose(axes)
    return in_order.reshape(-1) if in_order.flags.c_contiguous else None
