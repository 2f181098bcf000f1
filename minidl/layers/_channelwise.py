"""What layers with parameters per channel share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from types import FunctionType
from typing import Any

import numpy as np

from minidl.backend import IN_CACHE, Array, checks, namespace
from minidl.backend.arrays import BLOCK
from minidl.fast import pool
from minidl.fast.compiler import compiled, numba
from minidl.layers._base import Layer


class Channelwise(Layer):
    """Base of layers that treat all values of a channel in the same way.

    The channels are axis 1: the units of (N, C), the feature maps of (N, C, H, W).  The
    formulas see them as rows (C, m), m values per channel, a few channels at a time.
    """

    def __init__(self, channels: int) -> None:
        self.channels = checks.integer(type(self).__name__, "channels", channels)

    def expect_shape(self, shape: tuple[int | str, ...]) -> None:
        if len(shape) in (2, 4) and shape[1] == self.channels:  # in sentences, axis 1 are tokens
            return
        got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(
            f"{self!r}: expected input (N, {self.channels}) or (N, {self.channels}, H, W), "
            f"got ({got}); does the layer before give {self.channels} units or channels?"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels})"


def rows(x: Array) -> Array:
    """(N, C, …) as (C, m), one row per channel: a view unless images are stored batch first."""
    if x.ndim == 2:
        return x.T
    return x.transpose(1, *range(2, x.ndim), 0).reshape(x.shape[1], -1)


def empty_like(x: Array) -> tuple[Array, Array]:
    """An uninitialized array of the shape of ``x``, and a view of it as rows."""
    N, C, *places = x.shape
    made = namespace(x).empty((C, *places, N) if places else x.shape, x.dtype)
    array = made.transpose(-1, *range(len(places) + 1)) if places else made
    return array, rows(array)


def blocks(x: Array) -> Iterator[slice]:
    """The channels of rows (C, m), as many at a time as fit in the cache."""
    C, m = x.shape
    step = max(1, (IN_CACHE if namespace(x) is np else x.size) // m)
    for start in range(0, C, step):
        yield slice(start, start + step)


def by_channel(text: Callable[..., None]) -> Callable[..., None]:
    """``text`` as a function of rows (C, m), vectors (C,), :func:`columns` and numbers.

    It is a loop ``for c in channels(C)`` with a loop ``for i in places(m)`` around the
    element-wise lines.  In NumPy, c is as many channels as fit in the cache, i is all places, and
    vectors are columns, so that all lines are array expressions.  If Numba is installed, c and i
    are numbers and the lines are compiled; the pool's threads share the channels.  Numbers become
    floating-point numbers there, so loops take m from a shape.
    """

    @wraps(text)
    def run(*arguments: Any) -> None:
        rows = [a for a in arguments if getattr(a, "ndim", 0) == 2]
        number = rows[0].dtype.type
        if numba() is not None and all(_is_in_rows(a) for a in rows):
            given = [_entries(a) if isinstance(a, np.ndarray) else number(a) for a in arguments]
            _compiled(text, pool.shares(rows[0].size))(*given)
        else:
            in_numpy = {"channels": lambda C: blocks(rows[0]), "places": lambda m: [slice(None)]}
            given = [a[:, None] if getattr(a, "ndim", 0) == 1 else a for a in arguments]
            FunctionType(text.__code__, text.__globals__ | in_numpy)(*given)

    return run


def columns(*vectors: Array) -> list[Array]:
    """Several vectors as one argument: each (S, C) as (S, C, 1), of which ``a[s, c]`` is a column.

    To the compiler ``a[s, c]`` is a number.
    """
    return [a[:, :, None] for a in vectors]


def total(a: Array) -> Array:
    """Σ a of each channel."""
    return a.sum(axis=1, keepdims=True)


def dot(a: Array, b: Array) -> Array:
    """Σ a ∘ b of each channel, in one pass: (c, 1) for two arrays (c, m).

    BLAS adds up in few accumulators, so it gets blocks; NumPy's ``sum`` goes pairwise by itself.
    """
    c, m = a.shape
    n = m // BLOCK if namespace(a) is np else 0
    if n == 0:
        return _dot(a, b)[:, None]
    whole = (x[:, : n * BLOCK].reshape(c, n, BLOCK) for x in (a, b))
    rest = (x[:, n * BLOCK :] for x in (a, b))
    return (_dot(*whole).sum(axis=1) + _dot(*rest))[:, None]


def _dot(a: Array, b: Array) -> Array:
    """Σ a ∘ b along the last axis."""
    return (a[..., None, :] @ b[..., :, None])[..., 0, 0]


def channels(C: int) -> Any:
    """The channels to compute at a time; replaced by :func:`by_channel`."""


places = channels


def _is_in_rows(a: Any) -> bool:
    return namespace(a) is np and a.flags.c_contiguous


def _entries(a: np.ndarray) -> np.ndarray:
    return a[:, :, 0] if a.ndim == 3 else a


@cache
def _compiled(text: Callable[..., None], parallel: bool) -> Callable[..., None]:
    from minidl.fast.native import dot, total

    loop = numba().prange if parallel else range
    return compiled(text, parallel, channels=loop, places=range, total=total, dot=dot)
