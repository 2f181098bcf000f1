"""An activation function: what all share, the chain rule among it, and the two simplest."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import numpy as np

from minidl.backend import IN_CACHE, Array, checks, namespace
from minidl.kernel import in_chunks, kernel


class Activation:
    """Base class.  A subclass writes two formulas, ``f(z)`` and ``slope(z, y)``.

    Both take arrays of any shape and return new ones; they are called by the methods
    below, which also suppress the overflow warning of e^z: the formulas are written so that
    1/inf = 0 is right.
    """

    name: ClassVar[str]
    formula: ClassVar[str]  # f(z), for tables and figures
    derivative_formula: ClassVar[str]
    range: tuple[float, float]  # infimum and supremum of f
    kinks: tuple[float, ...] = ()  # where f or f' jumps, ascending; there f' is that from the left
    max_slope: float = 1.0  # the supremum of |f'|
    elementwise: ClassVar[bool] = True
    overflows: ClassVar[bool] = True  # whether an f or f' of one's own may, as e^z does

    def f(self, z: Array) -> Array:
        """f(z), a new array."""
        raise NotImplementedError

    def slope(self, z: Array, y: Array) -> Array:
        """f'(z), a new array, given y = f(z); booleans count as 0 and 1."""
        raise NotImplementedError

    @kernel
    def __call__(self, z: Array) -> Array:
        """f(z) for ``z`` of any shape, which is not changed."""
        with _silence(self.overflows):
            return in_chunks(self.f, as_floats(z), size=IN_CACHE)

    def derivative(self, z: Array, y: Array | None = None) -> Array:
        """f'(z), with the shape of ``z``; pass ``y`` = f(z) if you have it."""
        z = as_floats(z)
        y = self(z) if y is None else y
        self._expect_like(z, "y", y)
        with _silence(self.overflows):
            return in_chunks(self.slope, z, y, size=IN_CACHE).astype(z.dtype, copy=False)

    @kernel
    def backward(self, dy: Array, z: Array, y: Array) -> Array:
        """dz = dy ∘ f'(z): the chain rule through y = f(z)."""
        with _silence(self.overflows):
            return in_chunks(self._chain, dy, z, y, size=IN_CACHE)

    def _chain(self, dy: Array, z: Array, y: Array) -> Array:
        return dy * self.slope(z, y)

    def _expect_like(self, z: Array, name: str, array: Array) -> None:
        """Raise unless it has the shape of ``z``: NumPy would silently broadcast it."""
        if getattr(array, "shape", None) != z.shape:
            raise ValueError(
                f"{self.name}: expected {name} to be an array {z.shape} like z, "
                f"got {checks.describe(array)}"
            )

    def __repr__(self) -> str:
        return self.name


def _silence(overflows: bool) -> AbstractContextManager[None]:
    return np.errstate(over="ignore", under="ignore") if overflows else nullcontext()


def as_floats(z: Array) -> Array:
    """``z`` itself if it is a floating-point array, otherwise as float64 (lists, integers)."""
    if getattr(getattr(z, "dtype", None), "kind", "") == "f":
        return z
    numbers = namespace(z).asarray(z)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"activation: expected z as real numbers, got {checks.describe(z)}")
    return numbers.astype(float)


class Linear(Activation):
    """f(z) = z,  f'(z) = 1,  range (−∞, ∞)."""

    name = "linear"
    formula = "z"
    derivative_formula = "1"
    range = (-math.inf, math.inf)

    def __call__(self, z: Array) -> Array:
        return as_floats(z)

    def slope(self, z: Array, y: Array) -> Array:
        return np.ones_like(z)

    def backward(self, dy: Array, z: Array, y: Array) -> Array:
        """dz = dy, the array itself."""
        return dy


class ReLU(Activation):
    """f(z) = max(0, z),  f'(z) = 1 for z > 0 and 0 for z ≤ 0,  range [0, ∞).

    Source: Nair and Hinton, ICML 2010.  The kink is at 0, where f' = 0.
    """

    name = "relu"
    formula = "max(0, z)"
    derivative_formula = "1 for z > 0, else 0"
    range = (0.0, math.inf)
    kinks = (0.0,)
    overflows = False

    def f(self, z: Array) -> Array:
        return np.maximum(z, 0)

    def slope(self, z: Array, y: Array) -> Array:
        return z > 0
