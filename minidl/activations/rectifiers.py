"""ReLU and its relatives: flat or nearly flat for z ≪ 0, growing without bound for z ≫ 0."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations._base import Activation
from minidl.activations._normal import normal_cdf
from minidl.activations.saturating import sigmoid
from minidl.backend import Array, checks


class ReLU(Activation):
    """f(z) = max(0, z),  f'(z) = 1 for z > 0 and 0 for z ≤ 0,  range [0, ∞).

    Source: Nair and Hinton, ICML 2010.  The kink is at 0, where f' = 0.
    """

    name = "relu"
    formula = "max(0, z)"
    derivative_formula = "1 for z > 0, else 0"
    range = (0.0, math.inf)
    kinks = (0.0,)

    def f(self, z: Array) -> Array:
        return np.maximum(z, 0)

    def slope(self, z: Array, y: Array) -> Array:
        return z > 0


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


class ELU(Activation):
    """f(z) = z for z > 0 and α (e^z − 1) for z ≤ 0;  f'(z) = 1 and α e^z;  range (−α, ∞).

    Source: Clevert, Unterthiner and Hochreiter, ICLR 2016, equation 15.
    α > 0, by default 1; if α ≠ 1 there is a kink at 0, where f' = α.
    """

    name = "elu"
    formula = "z for z > 0, else α (e^z − 1)"
    derivative_formula = "1 for z > 0, else α e^z"
    scale = 1.0  # λ, for SELU

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = checks.positive(self.name, "alpha", alpha)
        self.range = (-self.scale * self.alpha, math.inf)
        self.kinks = () if self.alpha == 1 else (0.0,)
        self.max_slope = self.scale * max(1.0, self.alpha)

    def f(self, z: Array) -> Array:
        return self.scale * np.where(z > 0, z, self.alpha * np.expm1(np.minimum(z, 0)))

    def slope(self, z: Array, y: Array) -> Array:
        return self.scale * np.where(z > 0, 1, self.alpha * np.exp(np.minimum(z, 0)))

    def __repr__(self) -> str:
        return f"{self.name}({self.alpha:g})"


class SELU(ELU):
    """f(z) = λ z for z > 0 and λ α (e^z − 1) for z ≤ 0;  f'(z) = λ and λ α e^z;  range (−λα, ∞).

    α = 1.6733, λ = 1.0507 keep mean 0 and variance 1 from layer to layer.
    Source: Klambauer et al., NeurIPS 2017, equations 2 and 14.  The kink is
    at 0, where f' = λα.
    """

    name = "selu"
    formula = "λ z for z > 0, else λ α (e^z − 1)"
    derivative_formula = "λ for z > 0, else λ α e^z"
    scale = 1.0507009873554804934193349852946

    def __init__(self) -> None:
        super().__init__(alpha=1.6732632423543772848170429916717)

    def __repr__(self) -> str:
        return self.name


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
