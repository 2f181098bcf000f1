"""Batch normalization: every channel with mean 0 and variance 1, then scaled anew."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, checks
from minidl.layers._channelwise import Channelwise, blocks, dots, empty_like, rows


class BatchNorm(Channelwise):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(v + ε), channel by channel.

    While training, μ and v are mean and variance of the batch, over the m values
    of the channel: μ = (1/m) Σ x, v = (1/m) Σ (x − μ)².  In inference they are the
    running ones.

    Backward.  With x̂ given, y is affine in γ and β::

        dβ = Σ dy                  (C,)
        dγ = Σ dy ∘ x̂              (C,)

    While training, x acts on y in three ways: directly, through μ, and through v::

        dx = γ / √(v + ε) ∘ (dy − dβ/m − x̂ ∘ dγ/m)

    To see it, let dx̂ = γ dy and s = √(v + ε).  From ∂s/∂x_i = x̂_i / m and
    ∂μ/∂x_i = 1/m follows ∂x̂_j/∂x_i = (δ_ij − 1/m − x̂_i x̂_j / m) / s, and the sum
    over j of that times dx̂_j is the line above.  So dx has mean 0 and, but for ε, is
    orthogonal to x̂: what only shifts or scales the batch cannot change y.  In
    inference μ and v are constants, and dx = γ / √(v + ε) ∘ dy.

    The running values start at 0 and 1 and follow each training step::

        running ← momentum · running + (1 − momentum) · that of the batch

    where the running variance takes the unbiased one, v m / (m − 1), as in
    PyTorch, whose ``momentum`` is 1 − ours.  They are ``state``: saved with the
    network, not learned.

    Source: Ioffe and Szegedy, ICML 2015, algorithms 1 and 2.

    Parameters
    ----------
    channels : C of the input (N, C) or (N, C, H, W)
    momentum : from 0 up to but not 1
    epsilon : above 0
    """

    gamma: Array  # (C,)
    beta: Array  # (C,)
    dgamma: Array
    dbeta: Array
    running_mean: Array  # (C,)
    running_variance: Array  # (C,)
    x_hat: Array  # (N, C, …) x̂ of the last forward
    s: Array  # (C,) √(v + ε) of the last forward
    training: bool  # of the last forward

    def __init__(self, channels: int, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__(channels)
        self.momentum = checks.below_one("BatchNorm", "momentum", momentum)
        self.epsilon = checks.positive("BatchNorm", "epsilon", epsilon)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.channels,), "beta": (self.channels,)}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"running_mean": (self.channels,), "running_variance": (self.channels,)}

    def initialize(self, rng: np.random.Generator) -> None:
        self.gamma[...] = 1
        self.beta[...] = 0
        self.running_mean[...] = 0
        self.running_variance[...] = 1

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x, self.training = x, training  # (N, C, …)
        self.x_hat, x_hat = empty_like(x)
        self.y, y = empty_like(x)
        x = rows(x)  # (C, m)
        m = x.shape[1]
        if training:
            self._expect_several(m)
        self.s = np.sqrt(self.running_variance + self.epsilon)  # (C,)
        mean, variance, gamma, beta, s = _columns(
            self.running_mean, self.running_variance, self.gamma, self.beta, self.s
        )
        for c in blocks(x):
            if training:
                mu = x[c].mean(axis=1, keepdims=True)
                x_hat[c] = x[c] - mu
                v = dots(x_hat[c], x_hat[c]) / m
                s[c] = np.sqrt(v + self.epsilon)
                self._follow(mean[c], mu)
                self._follow(variance[c], v * (m / (m - 1)))
            else:
                x_hat[c] = x[c] - mean[c]
            x_hat[c] *= 1 / s[c]
            y[c] = gamma[c] * x_hat[c] + beta[c]
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dx, dx_rows = empty_like(dy)
        dy, x_hat = rows(dy), rows(self.x_hat)  # (C, m)
        m = dy.shape[1]
        gamma, s, dgamma, dbeta = _columns(self.gamma, self.s, self.dgamma, self.dbeta)
        for c in blocks(dy):
            dbeta[c] = dy[c].sum(axis=1, keepdims=True)
            dgamma[c] = dots(dy[c], x_hat[c])
            if not input_gradient:
                continue
            if self.training:
                dx_rows[c] = gamma[c] / s[c] * (dy[c] - dbeta[c] / m - x_hat[c] * (dgamma[c] / m))
            else:
                dx_rows[c] = gamma[c] / s[c] * dy[c]
        return dx if input_gradient else None

    def _expect_several(self, m: int) -> None:
        if m < 2:
            raise ValueError(
                f"{self!r}: expected more than one value of each channel while training, got {m}; "
                "choose a batch size that leaves no batch of one"
            )

    def _follow(self, running: Array, batch: Array) -> None:
        running[...] = self.momentum * running + (1 - self.momentum) * batch

    def __repr__(self) -> str:
        options = "" if self.momentum == 0.9 else f", momentum={self.momentum:g}"
        options += "" if self.epsilon == 1e-5 else f", epsilon={self.epsilon:g}"
        return f"BatchNorm({self.channels}{options})"


def _columns(*vectors: Array) -> list[Array]:
    """(C, 1) views, to be combined with the rows of the channels."""
    return [vector[:, None] for vector in vectors]
