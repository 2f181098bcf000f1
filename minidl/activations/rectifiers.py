"""Relatives of ReLU: leaky, squared, and the square that it was once taken for."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations.activation import Activation
from minidl.backend import Array, checks


class LeakyReLU(Activation):
    """f(z) = max(α z, z),  f'(z) = 1 for z > 0 and α for z ≤ 0,  range (−∞, ∞).

    Source: Maas, Hannun and Ng, ICML 2013.  α is from 0 to 1, by default 0.01;
    the kink is at 0, where f' = α.
    """

    name = "leaky_relu"
    formula = "max(α z, z)"
    derivative_formula = "1 for z > 0, else α"
    range = (-math.inf, math.inf)
    kinks = (0.0,)

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = checks.fraction("leaky_relu", "alpha", alpha)

    def f(self, z: Array) -> Array:
        return np.maximum(self.alpha * z, z)

    def slope(self, z: Array, y: Array) -> Array:
        return np.where(z > 0, 1, z.dtype.type(self.alpha))

    def __repr__(self) -> str:
        return f"{self.name}({self.alpha:g})"


class SquaredReLU(Activation):
    """f(z) = max(0, z)²,  f'(z) = 2 max(0, z),  range [0, ∞).

    Source: So et al., Primer, NeurIPS 2021.  No kink: f' is 0 at 0 from both sides.
    Its slope is unbounded.
    """

    name = "squared_relu"
    formula = "max(0, z)²"
    derivative_formula = "2 max(0, z)"
    range = (0.0, math.inf)
    max_slope = math.inf

    def f(self, z: Array) -> Array:
        return np.maximum(z, 0) ** 2

    def slope(self, z: Array, y: Array) -> Array:
        return 2 * np.maximum(z, 0)


class Square(Activation):
    """f(z) = z²,  f'(z) = 2 z,  range [0, ∞).

    Not a rectifier: both sides rise.  It is what max(0, z²) computes when max(0, z)² was meant.
    """

    name = "square"
    formula = "z²"
    derivative_formula = "2 z"
    range = (0.0, math.inf)
    max_slope = math.inf

    def f(self, z: Array) -> Array:
        return z * z

    def slope(self, z: Array, y: Array) -> Array:
        return 2 * z
