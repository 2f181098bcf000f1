"""Functions that are flat on both sides: sigmoid, tanh and penalized tanh."""

from __future__ import annotations

import numpy as np

from minidl.activations.base import Activation
from minidl.backend import Array


def sigmoid(z: Array, y: Array) -> Array:
    """y = σ(z) = 1 / (1 + e^(−z)).  The sum has no cancellation, so both tails are precise.

    For z below −88 in float32 (−709 in float64) e^(−z) overflows and y is 0; the
    caller silences that with ``np.errstate(over="ignore")``.
    """
    np.negative(z, out=y)
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


class Sigmoid(Activation):
    """f(z) = σ(z) = 1 / (1 + e^(−z)),  f'(z) = σ(z) σ(−z),  range (0, 1)."""

    name = "sigmoid"
    formula = "1 / (1 + e^(−z))"
    derivative_formula = "σ(z) σ(−z)"
    range = (0.0, 1.0)
    max_slope = 0.25

    def f(self, z: Array, y: Array) -> None:
        sigmoid(z, y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.exp(z, out=d)  # σ(−z) = 1 / (1 + e^z)
        d += 1
        np.divide(y, d, out=d)


class Tanh(Activation):
    """f(z) = tanh(z),  f'(z) = 1 / cosh²(z),  range (−1, 1)."""

    name = "tanh"
    formula = "tanh(z)"
    derivative_formula = "1 / cosh²(z)"
    range = (-1.0, 1.0)

    def f(self, z: Array, y: Array) -> None:
        np.tanh(z, out=y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.cosh(z, out=d)  # 1 − tanh² would cancel in the tails
        np.reciprocal(d, out=d)
        d *= d


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
    kink = 0.0

    def f(self, z: Array, y: Array) -> None:
        t = self.buffer("tanh", z.shape, z)
        super().f(z, t)
        np.multiply(t, self.alpha, out=y)
        np.maximum(t, y, out=y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        super().df(z, y, d)
        share = self.buffer("share", z.shape, z)  # 1 or α
        np.greater(z, 0, out=share)
        np.maximum(share, self.alpha, out=share)
        d *= share
