"""Compiled loops over the channels of rows (C, m), which the pool's threads share.

A loop is written ``for c in channels(C)``; its sums go through :func:`total` and :func:`dot`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from minidl.backend import Array
from minidl.fast import pool
from minidl.fast.compiler import compiled


def are_rows(*arrays: Array | None) -> bool:
    """Whether these are rows in memory, too; units (N, C) are columns there."""
    return all(a is None or a.flags.c_contiguous for a in arrays)


def over_channels(text: Callable[..., None]) -> Callable[..., None]:
    """The loop ``text``, compiled; its first argument are rows (C, m).

    Numbers become floats of their type, so that loops take their lengths from a shape.
    """

    @wraps(text)
    def run(x: Array, *arguments: Any) -> None:
        number = x.dtype.type
        given = [number(a) if isinstance(a, int | float) else a for a in arguments]
        compiled(text, pool.shares(x.size), **_sums())(x, *given)

    return run


@cache
def _sums() -> dict[str, Any]:
    from minidl.fast.native import dot, total

    return {"total": total, "dot": dot}
