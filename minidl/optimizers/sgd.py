"""Stochastic gradient descent, with momentum or Nesterov's momentum."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

from minidl.backend import Array, checks
from minidl.kernel import chunks, kernel
from minidl.optimizers._base import Optimizer, Rate


@kernel
def sgd(theta, g, eta):
    for i in chunks(theta.size):
        theta[i] -= eta * g[i]


@kernel
def momentum(theta, g, v, eta, mu):
    for i in chunks(theta.size):
        v[i] = mu * v[i] + g[i]
        theta[i] -= eta * v[i]


@kernel
def nesterov_momentum(theta, g, v, eta, mu):
    for i in chunks(theta.size):
        v[i] = mu * v[i] + g[i]
        theta[i] -= eta * (mu * v[i] + g[i])


class SGD(Optimizer):
    """v ← μ v + g,  θ ← θ − η v;  with Nesterov's momentum θ ← θ − η (g + μ v).

    Source: Sutskever et al., ICML 2013, in PyTorch's form, where η is not part of
    the velocity v.
    """

    v: Array  # (P,) velocity, if there is momentum

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        self.momentum = checks.fraction_below_one("SGD", "momentum", momentum)
        self.slots = ("v",) if momentum else ()  # without momentum v is g
        self.nesterov = checks.boolean("SGD", "nesterov", nesterov)
        if nesterov and momentum == 0:
            raise ValueError("SGD: expected a momentum above 0 with nesterov=True, got 0")

    def coefficients(self, t: int) -> tuple[float, ...]:
        return (self.rate(t), self.momentum) if self.momentum else (self.rate(t),)

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        if not self.momentum:
            sgd(theta, g, *coefficients)
        elif self.nesterov:
            nesterov_momentum(theta, g, self.v, *coefficients)
        else:
            momentum(theta, g, self.v, *coefficients)
