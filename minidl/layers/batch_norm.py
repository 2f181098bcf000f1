"""Batch normalization: every channel to mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import sqrt, zeros_like

from minidl.backend import Array, checks, namespace
from minidl.kernel import kernel
from minidl.layers._channelwise import (
    Channelwise,
    channel_blocks,
    channel_rows,
    columns,
    dot,
    empty_with_rows,
    total,
)


class BatchNorm(Channelwise):
    """y = γ x̂ + β,  x̂ = (x − μ) / s,  s = √(v + ε), channel by channel.

    In training, μ and v are the mean and variance of the batch, over the m values
    of the channel: μ = (1/m) Σ x, v = (1/m) Σ (x − μ)².  In inference they are the
    running values.  Backward::

        dβ = Σ dy                                            (C,)
        dγ = Σ dy ∘ x̂                                        (C,)
        dx = γ / s ∘ (dy − mean(dy) − x̂ ∘ mean(dy ∘ x̂))      means over the batch: dβ/m, dγ/m

    since in training, x acts on y in three ways: directly, through μ, and through v.
    To see it, let dx̂ = γ dy.  From ∂s/∂x_i = x̂_i / m and
    ∂μ/∂x_i = 1/m follows ∂x̂_j/∂x_i = (δ_ij − 1/m − x̂_i x̂_j / m) / s, and the sum
    over j of that times dx̂_j is the line above.  So dx has mean 0 and, except for ε, is
    orthogonal to x̂: shifting or scaling the batch cannot change y.  In
    inference, μ and v are constants, and both means are 0.

    The running values start at 0 and 1 and are updated in each training step::

        running ← momentum · running + (1 − momentum) · that of the batch

    where the running variance uses the unbiased variance, v m / (m − 1), as in
    PyTorch, whose ``momentum`` is 1 − ours.  They are ``state``: saved with the
    network, not learned.

    If several processes share the batch, :meth:`sum_over_batch` makes μ, v and the means sums
    over all of it.  The gradients dβ and dγ are those of this process's examples, like all
    gradients.

    Source: Ioffe and Szegedy, ICML 2015, algorithms 1 and 2.

    Parameters
    ----------
    channels : C of the input (N, C) or (N, C, H, W)
    momentum : >= 0 and < 1
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
    m: int  # values per channel in the last batch of training

    def __init__(self, channels: int, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__(channels)
        self.momentum = checks.fraction_below_one("BatchNorm", "momentum", momentum)
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

    @kernel
    def forward_rows(self, x: Array, y: Array, training: bool) -> None:
        self.training = training
        self.x_hat, x_hat = empty_with_rows(self.x)  # (C, m)
        mu, v = self.moments(x) if training else (self.running_mean, self.running_variance)
        self.s = sqrt(v + self.epsilon)  # (C,)
        if training:
            self.update_running(mu, v)
        mu, s, gamma, beta = columns(mu, self.s, self.gamma, self.beta)
        for c in channel_blocks(x):
            np.divide(x[c] - mu[c], s[c], out=x_hat[c])  # without out, one more pass each
            np.add(gamma[c] * x_hat[c], beta[c], out=y[c])

    @kernel
    def backward_rows(self, dy: Array, dx: Array | None) -> None:
        x_hat = channel_rows(self.x_hat)  # (C, m)
        for c in channel_blocks(dy):
            self.dbeta[c] = total(dy[c])
            self.dgamma[c] = dot(dy[c], x_hat[c])
        if dx is None:
            return
        means = self.batch_means(self.dbeta, self.dgamma)
        gamma, s, mean_dy, mean_dy_x = columns(self.gamma, self.s, *means)
        for c in channel_blocks(dy):
            np.multiply(gamma[c] / s[c], dy[c] - mean_dy[c] - x_hat[c] * mean_dy_x[c], out=dx[c])

    @kernel
    def moments(self, x: Array) -> tuple[Array, Array]:
        """μ and v (C,) of the whole batch, in two sums: E(x²) − μ² would cancel."""
        mu, v = namespace(x).empty((2, self.channels), x.dtype)
        for c in channel_blocks(x):
            mu[c] = total(x[c])
        mu, self.m = self.sum_over_batch(mu, x.shape[1])
        self.expect_several(self.m)
        mu = mu / self.m
        for c in channel_blocks(x):
            centred = x[c] - mu[c, None]
            v[c] = dot(centred, centred)
        (v,) = self.sum_over_batch(v)
        return mu, v / self.m

    def batch_means(self, *sums: Array) -> list[Array]:
        """Each of ``sums`` over the whole batch, by m; 0 in inference, which knows no batch."""
        if not self.training:
            return [zeros_like(one) for one in sums]
        return [one / self.m for one in self.sum_over_batch(*sums)]

    def sum_over_batch(self, *sums: Any) -> tuple[Any, ...]:
        """``sums`` over the examples here as sums over the whole batch.

        They are the same, unless the attribute is replaced where several processes share a batch.
        """
        return sums

    def update_running(self, mu: Array, v: Array) -> None:
        """The running values follow μ and the unbiased v of a batch."""
        unbiased = v * (self.m / (self.m - 1))
        for running, batch in ((self.running_mean, mu), (self.running_variance, unbiased)):
            running[...] = self.momentum * running + (1 - self.momentum) * batch

    def expect_several(self, m: int) -> None:
        """Raise ``ValueError`` if m values per channel have no variance."""
        if m < 2:
            raise ValueError(
                f"{self!r}: expected more than one value per channel in training, got {m}; "
                "choose a batch size that leaves no batch of one, or drop it with drop_last=True"
            )

    def __repr__(self) -> str:
        options = "" if self.momentum == 0.9 else f", momentum={self.momentum:g}"
        options += "" if self.epsilon == 1e-5 else f", epsilon={self.epsilon:g}"
        return f"BatchNorm({self.channels}{options})"
