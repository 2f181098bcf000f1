"""Adam: the mean gradient over the root of the mean squared gradient."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import math
from typing import Any

from numpy import sqrt

from minidl.backend import Array, checks
from minidl.kernel import chunks, kernel
from minidl.optimizers._base import Optimizer, Rate


@kernel
def adam(theta, g, m, v, eta, epsilon, beta1, beta2):
    for i in chunks(theta.size):
        m[i] = beta1 * m[i] + g[i]
        v[i] = beta2 * v[i] + g[i] * g[i]
        theta[i] -= eta * (m[i] / (sqrt(v[i]) + epsilon))


class Adam(Optimizer):
    """Adaptive moments::

        m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
        θ ← θ − η m̂ / (√v̂ + ε)

    Source: Kingma and Ba, ICLR 2015, algorithm 1.  ε is 1e-8 here and in PyTorch.
    With ``epsilon_hat`` it is added to √v instead of √v̂, as at the end of the
    paper's section 2 and in Keras (where it is 1e-7): for gradients as
    small as ε, the first steps are then shorter.

    The vectors ``m`` and ``v`` hold m / (1 − β₁) and v / (1 − β₂), which saves two of
    twelve passes over them.  With c = √((1 − β₂ᵗ) / (1 − β₂)), the same step reads::

        m ← β₁ m + g,   v ← β₂ v + g²,   θ ← θ − η c (1 − β₁) / (1 − β₁ᵗ) · m / (√v + ε c)
    """

    slots = ("m", "v")
    m: Array  # (P,)
    v: Array  # (P,)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        name = type(self).__name__
        self.beta1 = checks.fraction_below_one(name, "beta1", beta1)
        self.beta2 = checks.fraction_below_one(name, "beta2", beta2)
        self.epsilon = checks.positive(name, "epsilon", epsilon)
        self.epsilon_hat = checks.boolean(name, "epsilon_hat", epsilon_hat)

    def coefficients(self, t: int) -> tuple[float, ...]:
        c = math.sqrt((1 - self.beta2**t) / (1 - self.beta2))
        eta_t = self.rate(t) * c * (1 - self.beta1) / (1 - self.beta1**t)
        epsilon_t = self.epsilon * (1 / math.sqrt(1 - self.beta2) if self.epsilon_hat else c)
        return eta_t, epsilon_t, self.beta1, self.beta2

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        adam(theta, g, self.m, self.v, *coefficients)
