"""Functions that are flat on both sides: sigmoid, tanh and penalized tanh."""

from __future__ import annotations

import numpy as np

from minidl.activations.activation import Activation
from minidl.backend import Array


def sigmoid(z: Array) -> Array:
    """σ(z) = 1 / (1 + e^(−z)).  The sum does not cancel, so both tails are accurate.

    For z below −88 in float32 (−709 in float64), e^(−z) overflows and σ is 0; the
    caller suppresses the warning with ``np.errstate(over="ignore")``.
    """
    return 1 / (1 + np.exp(-z))


class Sigmoid(Activation):
    """f(z) = σ(z) = 1 / (1 + e^(−z)),  f'(z) = σ(z) σ(−z) = y / (1 + e^z),  range (0, 1)."""

    name = "sigmoid"
    formula = "1 / (1 + e^(−z))"
    derivative_formula = "σ(z) σ(−z)"
    range = (0.0, 1.0)
    max_slope = 0.25

    def f(self, z: Array) -> Array:
        return sigmoid(z)

    def slope(self, z: Array, y: Array) -> Array:
        return y / (1 + np.exp(z))  # y (1 − y) would cancel where y is close to 1


class Tanh(Activation):
    """f(z) = tanh(z),  f'(z) = 1 / cosh²(z),  range (−1, 1)."""

    name = "tanh"
    formula = "tanh(z)"
    derivative_formula = "1 / cosh²(z)"
    range = (-1.0, 1.0)

    def f(self, z: Array) -> Array:
        return np.tanh(z)

    def slope(self, z: Array, y: Array) -> Array:
        return (1 / np.cosh(z)) ** 2  # 1 − y² would cancel in the tails, and cosh² overflows


class PenalizedTanh(Tanh):
    """f(z) = tanh(z) for z > 0 and α tanh(z) for z ≤ 0;  f'(z) likewise;  range (−α, 1).

    Source: Xu, Huang and Li, Revise Saturated Activation Functions, 2016, with their
    α = 0.25; the most stable of 21 functions in Eger, Youssef and Gurevych, EMNLP 2018.
    The kink is at 0, where f' = α.
    """

    name = "penalized_tanh"
    formula = "tanh(z) for z > 0, else 0.25 tanh(z)"
    derivative_formula = "1 / cosh²(z) for z > 0, else 0.25 / cosh²(z)"
    alpha = 0.25
    range = (-alpha, 1.0)
    kinks = (0.0,)

    def f(self, z: Array) -> Array:
        return np.where(z > 0, 1, z.dtype.type(self.alpha)) * super().f(z)

    def slope(self, z: Array, y: Array) -> Array:
        return np.where(z > 0, 1, z.dtype.type(self.alpha)) * super().slope(z, y)
