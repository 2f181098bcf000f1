"""What all activation functions share: checks, memory, and the chain rule."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from minidl import checks, kernels
from minidl.backend import Array, Workspace, namespace


class Activation(Workspace):
    """Base of all: checks, memory, and the chain rule for element-wise functions.

    An instance keeps scratch arrays, so one instance serves one layer.
    """

    name: ClassVar[str]
    formula: ClassVar[str]  # f(z), for tables and figures
    derivative_formula: ClassVar[str]
    range: tuple[float, float]  # infimum and supremum of f
    kink: float | None = None  # where f' jumps; f' there is the value from the left
    max_slope: float = 1.0  # the supremum of |f'|
    elementwise: ClassVar[bool] = True

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        """f(z), in ``out`` where given; ``z`` of any shape, left unchanged."""
        z = as_floats(z)
        y = namespace(z).empty_like(z) if out is None else out
        self._expect_like(z, "out", y)
        if kernels.has_kernel(self, z):
            kernels.activation(self, z, y)
            return y
        # e^z may overflow to inf: the formulas below are written so that 1/inf = 0 is right.
        with np.errstate(over="ignore", under="ignore"):
            self.f(z, y)
        return y

    def with_bias(self, z: Array, b: Array, out: Array) -> Array:
        """z ← z + b, in place, and f(z) in ``out``; ``b`` has the shape of the last axes of z."""
        if kernels.has_kernel(self, z):
            kernels.bias_activation(self, z, b, out)
            return out
        z += b
        return self(z, out)

    def derivative(self, z: Array, y: Array | None = None, out: Array | None = None) -> Array:
        """f'(z), same shape as ``z``; ``y`` is f(z) where it is known already."""
        z = as_floats(z)
        y = self(z) if y is None else y
        d = namespace(z).empty_like(z) if out is None else out
        self._expect_like(z, "y", y)
        self._expect_like(z, "out", d)
        if kernels.has_kernel(self, z):
            kernels.activation_slope(self, z, y, d)
            return d
        with np.errstate(over="ignore", under="ignore"):
            self.df(z, y, d)
        return d

    def backward(self, dy: Array, z: Array, y: Array, out: Array | None = None) -> Array:
        """dz = dy ∘ f'(z): the chain rule through y = f(z)."""
        self._expect_like(z, "dy", dy)
        if out is not None and kernels.has_kernel(self, z):
            kernels.activation_backward(self, dy, z, y, out)
            return out
        dz = self.derivative(z, y, out)
        dz *= dy
        return dz

    def f(self, z: Array, y: Array) -> None:
        """Write f(z) into ``y``."""
        raise NotImplementedError

    def df(self, z: Array, y: Array, d: Array) -> None:
        """Write f'(z) into ``d``; ``y`` holds f(z)."""
        raise NotImplementedError

    def _expect_like(self, z: Array, name: str, array: Array) -> None:
        """Raise unless it has the shape of ``z``: NumPy would stretch it in silence."""
        if getattr(array, "shape", None) != z.shape:
            raise ValueError(
                f"{self.name}: expected {name} as an array {z.shape} like z, "
                f"got {checks.shown(array)}"
            )

    def __repr__(self) -> str:
        return self.name


def as_floats(z: Array) -> Array:
    """``z`` itself if it is a floating-point array, else as float64 (lists, integers)."""
    if getattr(getattr(z, "dtype", None), "kind", "") == "f":
        return z
    numbers = namespace(z).asarray(z)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"activation: expected z as real numbers, got {checks.shown(z)}")
    return numbers.astype(float)


class Linear(Activation):
    """f(z) = z,  f'(z) = 1,  range (−∞, ∞)."""

    name = "linear"
    formula = "z"
    derivative_formula = "1"
    range = (-math.inf, math.inf)

    def f(self, z: Array, y: Array) -> None:
        y[...] = z

    def df(self, z: Array, y: Array, d: Array) -> None:
        d[...] = 1
