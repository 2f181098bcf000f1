"""RMSprop: each step divided by the root of the mean squared gradient."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

from numpy import sqrt

from minidl.backend import Array, checks
from minidl.kernel import chunks, kernel
from minidl.optimizers._base import Optimizer, Rate


@kernel
def rmsprop(theta, g, s, eta, rho, one_minus_rho, epsilon):
    for i in chunks(theta.size):
        s[i] = rho * s[i] + one_minus_rho * (g[i] * g[i])
        theta[i] -= eta * (g[i] / (sqrt(s[i]) + epsilon))


class RMSprop(Optimizer):
    """s ← ρ s + (1 − ρ) g²,  θ ← θ − η g / (√s + ε).

    Source: Tieleman and Hinton, Coursera lecture 6.5, 2012; the defaults are
    PyTorch's (Keras: ρ = 0.9, and ε = 1e-7 inside the root).
    """

    slots = ("s",)
    s: Array  # (P,)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        rho: float = 0.99,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        self.rho = checks.fraction_below_one("RMSprop", "rho", rho)
        self.epsilon = checks.positive("RMSprop", "epsilon", epsilon)

    def coefficients(self, t: int) -> tuple[float, ...]:
        return self.rate(t), self.rho, 1 - self.rho, self.epsilon

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        rmsprop(theta, g, self.s, *coefficients)
