"""Activation functions in one compiled pass, where a measurement showed that it pays."""

# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821  # exp is named by formulas, formula by call and backward

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from minidl.activations import Activation, ReLU, Sigmoid
from minidl.backend import Array
from minidl.fast import pool
from minidl.fast.compiler import OPTIONS, compiled, numba
from minidl.kernel import as_row, chunks


def relu(z):
    return np.maximum(z, 0)


def relu_slope(z, y):
    return z > 0


def sigmoid(z):
    one = type(z)(1)
    return one / (one + exp(-z))


def sigmoid_slope(z, y):
    return y / (type(z)(1) + exp(z))


# f(z) and f'(z) of one entry, and the types for which NumPy's are slower.
FORMULAS: dict[type[Activation], tuple[Callable[..., Any], Callable[..., Any], str]] = {
    ReLU: (relu, relu_slope, "fd"),
    Sigmoid: (sigmoid, sigmoid_slope, "f"),
}


def formulas(f: Activation, dtype: np.dtype) -> Any:
    """f(z) and f'(z) for the compiler; None if there are none."""
    *both, types = FORMULAS.get(type(f), ("",))
    return _for_compiler(*both) if dtype.char in types else None


@cache
def _for_compiler(*functions: Callable[..., Any]) -> tuple[Any, Any]:
    from minidl.fast.exponential import exp

    first, second = (
        numba().njit(**OPTIONS)(FunctionType(f.__code__, f.__globals__ | {"exp": exp}, f.__name__))
        for f in functions
    )
    return first, second


def call(f: Activation, z: Array) -> Array:
    """:meth:`Activation.__call__`."""
    if not _fits(f, z):
        return Activation.__call__.__wrapped__(f, z)  # type: ignore[attr-defined]
    y = np.empty_like(z)
    run = compiled(_apply, pool.threads() > 1, formula=formulas(f, z.dtype)[0])
    run(as_row(y), as_row(z))
    return y


def backward(f: Activation, dy: Array, z: Array, y: Array) -> Array:
    """:meth:`Activation.backward`."""
    if not _fits(f, dy, z, y):
        return Activation.backward.__wrapped__(f, dy, z, y)  # type: ignore[attr-defined]
    dz = np.empty_like(dy)
    run = compiled(_chain, pool.threads() > 1, formula=formulas(f, dy.dtype)[1])
    run(*map(as_row, (dz, dy, z, y)))
    return dz


def _fits(f: Activation, *arrays: Array) -> bool:
    """Whether there is a compiled formula, and the arrays are rows in the same memory order."""
    return (
        formulas(f, arrays[0].dtype) is not None
        and all(a.strides == arrays[0].strides for a in arrays)
        and as_row(arrays[0]) is not None
    )


def _apply(y, z):
    for i in chunks(y.size):
        y[i] = formula(z[i])


def _chain(dz, dy, z, y):
    for i in chunks(dz.size):
        dz[i] = dy[i] * formula(z[i], y[i])
