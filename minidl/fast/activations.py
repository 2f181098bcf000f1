"""Activation functions of one or two instructions for each entry, in one compiled pass.

NumPy's e^z is faster than a compiled one, so the others run as they are written.
"""

# mypy: disable-error-code="no-untyped-def, name-defined"

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minidl.activations import Activation, ReLU
from minidl.backend import Array
from minidl.fast import pool
from minidl.fast.compiler import compiled, numba
from minidl.kernel import as_row, chunks


def relu(z):
    return np.maximum(z, 0)


def relu_slope(z, y):
    return z > 0


# f(z) and f'(z) of one entry.
FORMULAS: dict[type[Activation], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ReLU: (relu, relu_slope)
}


def call(f: Activation, z: Array) -> Array:
    """:meth:`Activation.__call__`."""
    if not _fits(f, z):
        return Activation.__call__.__wrapped__(f, z)  # type: ignore[attr-defined]
    y = np.empty_like(z)
    _compiled(_apply, FORMULAS[type(f)][0], pool.threads() > 1)(as_row(y), as_row(z))
    return y


def backward(f: Activation, dy: Array, z: Array, y: Array) -> Array:
    """:meth:`Activation.backward`."""
    if not _fits(f, dy, z, y):
        return Activation.backward.__wrapped__(f, dy, z, y)  # type: ignore[attr-defined]
    dz = np.empty_like(dy)
    _compiled(_chain, FORMULAS[type(f)][1], pool.threads() > 1)(*map(as_row, (dz, dy, z, y)))
    return dz


def _fits(f: Activation, *arrays: Array) -> bool:
    """Whether there is a compiled formula, and the arrays are rows in the same memory order."""
    return (
        type(f) in FORMULAS
        and all(a.strides == arrays[0].strides for a in arrays)
        and as_row(arrays[0]) is not None
    )


@cache
def _compiled(text: Any, formula: Any, parallel: bool) -> Callable[..., None]:
    return compiled(text, parallel, chunks=numba().prange if parallel else range, formula=formula)


def _apply(y, z):
    for i in chunks(y.size):
        y[i] = formula(z[i])  # noqa: F821  # named by _compiled


def _chain(dz, dy, z, y):
    for i in chunks(dz.size):
        dz[i] = dy[i] * formula(z[i], y[i])  # noqa: F821
