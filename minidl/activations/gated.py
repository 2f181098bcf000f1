"""z times a gate that opens from 0 to 1: GELU, its approximation by tanh, and Swish."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations._normal import normal_cdf
from minidl.activations.activation import Activation
from minidl.activations.saturating import sigmoid
from minidl.backend import Array


class GELU(Activation):
    """f(z) = z Φ(z),  f'(z) = Φ(z) + z φ(z),  range [−0.17, ∞).

    Φ is the standard normal distribution function and φ its density: this is the exact form,
    not the tanh approximation.  Source: Hendrycks and Gimpel, 2016.
    """

    name = "gelu"
    formula = "z Φ(z)"
    derivative_formula = "Φ(z) + z φ(z)"
    range = (-0.16997120747990369, math.inf)
    max_slope = 1.1289041451512186  # at z = √2

    def f(self, z: Array) -> Array:
        return z * normal_cdf(z)

    def slope(self, z: Array, y: Array) -> Array:
        at_0 = np.abs(z) < 1e-20
        cdf = np.where(at_0, z.dtype.type(0.5), y / np.where(at_0, 1, z))  # Φ(z) = y / z
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # φ(z)
        return cdf + z * density


class GELUTanh(Activation):
    """f(z) = z σ(2u) with u = √(2/π) (z + 0.044715 z³),  f'(z) = σ(2u) (1 + 2 z u' σ(−2u)).

    GELU with ½ (1 + tanh u) = σ(2u) for Φ(z): the approximation that the paper gives and that
    GPT-2 was trained with, within 5e-4 of GELU.  u' = √(2/π) (1 + 0.134145 z²).
    Source: Hendrycks and Gimpel, 2016, section 2.
    """

    name = "gelu_tanh"
    formula = "½ z (1 + tanh u), u = √(2/π) (z + 0.044715 z³)"
    derivative_formula = "σ(2u) (1 + 2 z u' σ(−2u))"
    range = (-0.17004075057125409, math.inf)
    max_slope = 1.1289930686587718  # at z = 1.4185

    def f(self, z: Array) -> Array:
        return z * sigmoid(2 * self._u(z))  # 1 + tanh u would cancel in the left tail

    def slope(self, z: Array, y: Array) -> Array:
        z = np.clip(z, -30, 30)  # beyond, f' is 0 or 1, and z³ may overflow
        u, du = self._u(z), math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
        return sigmoid(2 * u) * (1 + 2 * z * du / (1 + np.exp(2 * u)))

    @staticmethod
    def _u(z: Array) -> Array:
        z = np.clip(z, -30, 30)
        return math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)


class Swish(Activation):
    """f(z) = z σ(z),  f'(z) = σ(z) (1 + z σ(−z)),  range [−0.28, ∞).

    Source: Ramachandran, Zoph and Le, 2017, with β = 1; also called SiLU.
    """

    name = "swish"
    formula = "z σ(z)"
    derivative_formula = "σ(z) (1 + z σ(−z))"
    range = (-0.27846454276107379, math.inf)
    max_slope = 1.0998393201307136  # at z = 2.3994

    def f(self, z: Array) -> Array:
        return z * sigmoid(z)

    def slope(self, z: Array, y: Array) -> Array:
        return sigmoid(z) * (1 + z / (1 + np.exp(z)))  # σ(−z) = 1 / (1 + e^z)
