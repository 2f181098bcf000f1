"""Smooth relatives of ReLU and of tanh: softplus, Mish, CELU and softsign."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations.activation import Activation
from minidl.activations.saturating import sigmoid
from minidl.backend import Array


def softplus(z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log(1 + e^(−|z|)): no overflow, and accurate in both tails."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


class Softplus(Activation):
    """f(z) = log(1 + e^z),  f'(z) = σ(z),  range (0, ∞).

    Source: Dugas et al., NIPS 2000; Glorot, Bordes and Bengio, AISTATS 2011.
    """

    name = "softplus"
    formula = "log(1 + e^z)"
    derivative_formula = "σ(z)"
    range = (0.0, math.inf)

    def f(self, z: Array) -> Array:
        return softplus(z)

    def slope(self, z: Array, y: Array) -> Array:
        return sigmoid(z)


class Mish(Activation):
    """f(z) = z tanh(s),  f'(z) = tanh(s) + z σ(z) / cosh²(s),  s = log(1 + e^z).

    Its range is [−0.31, ∞).  Source: Misra, Mish, BMVC 2020, equation 1.
    """

    name = "mish"
    formula = "z tanh(log(1 + e^z))"
    derivative_formula = "tanh(s) + z σ(z) / cosh²(s), s = log(1 + e^z)"
    range = (-0.30884341301725043, math.inf)
    max_slope = 1.0884981612517279  # at z = 1.4906

    def f(self, z: Array) -> Array:
        return z * np.tanh(softplus(z))

    def slope(self, z: Array, y: Array) -> Array:
        s = softplus(z)
        return np.tanh(s) + z * sigmoid(z) * (1 / np.cosh(s)) ** 2


class Softsign(Activation):
    """f(z) = z / (1 + |z|),  f'(z) = 1 / (1 + |z|)²,  range (−1, 1).

    Source: Bergstra et al., 2009; Glorot and Bengio, AISTATS 2010.  Its tails are those of
    1/z, not of e^(−z): it saturates slowly.  Its slope is continuous, with a peak at 0.
    """

    name = "softsign"
    formula = "z / (1 + |z|)"
    derivative_formula = "1 / (1 + |z|)²"
    range = (-1.0, 1.0)

    def f(self, z: Array) -> Array:
        return z / (1 + np.abs(z))

    def slope(self, z: Array, y: Array) -> Array:
        return (1 / (1 + np.abs(z))) ** 2
