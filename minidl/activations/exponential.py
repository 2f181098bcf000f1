"""Linear for z > 0, an exponential that levels off for z < 0: ELU, SELU and CELU."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations.activation import Activation
from minidl.backend import Array, checks


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


class CELU(Activation):
    """f(z) = z for z > 0 and α (e^(z/α) − 1) for z ≤ 0;  f'(z) = 1 and e^(z/α);  range (−α, ∞).

    Source: Barron, Continuously Differentiable Exponential Linear Units, 2017, equation 2.
    α > 0, by default 1; ELU with z/α in the exponent, so there is no kink whatever α.
    """

    name = "celu"
    formula = "z for z > 0, else α (e^(z/α) − 1)"
    derivative_formula = "1 for z > 0, else e^(z/α)"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = checks.positive(self.name, "alpha", alpha)
        self.range = (-self.alpha, math.inf)

    def f(self, z: Array) -> Array:
        return np.where(z > 0, z, self.alpha * np.expm1(np.minimum(z, 0) / self.alpha))

    def slope(self, z: Array, y: Array) -> Array:
        return np.exp(np.minimum(z, 0) / self.alpha)

    def __repr__(self) -> str:
        return f"{self.name}({self.alpha:g})"
