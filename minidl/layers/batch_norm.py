"""Batch normalization: every channel to mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

import math

import numpy as np
from numpy import sqrt

from minidl.backend import Array, checks, namespace
from minidl.layers._channelwise import (
    Channelwise,
    by_channel,
    channels,
    dot,
    empty_like,
    places,
    rows,
    total,
)
from minidl.layers._shared_batch import input_gradient as input_gradient_of_all
from minidl.layers._shared_batch import mean_and_variance


@by_channel
def batch_norm(x, x_hat, y, gamma, beta, mu, v, s, m, epsilon, measure):
    for c in channels(len(x)):
        if measure:
            mu[c] = total(x[c]) / m
        for i in places(x.shape[1]):
            x_hat[c, i] = x[c, i] - mu[c]
        if measure:
            v[c] = dot(x_hat[c], x_hat[c]) / m
        s[c] = sqrt(v[c] + epsilon)
        for i in places(x.shape[1]):
            x_hat[c, i] /= s[c]
            y[c, i] = gamma[c] * x_hat[c, i] + beta[c]


@by_channel
def batch_norm_backward(dy, x_hat, dx, gamma, s, dgamma, dbeta, m, training, input_gradient):
    for c in channels(len(dy)):
        dbeta[c] = total(dy[c])
        dgamma[c] = dot(dy[c], x_hat[c])
        if input_gradient and training:
            for i in places(dy.shape[1]):
                dx[c, i] = (
                    gamma[c] / s[c] * (dy[c, i] - dbeta[c] / m - x_hat[c, i] * (dgamma[c] / m))
                )
        elif input_gradient:
            for i in places(dy.shape[1]):
                dx[c, i] = gamma[c] / s[c] * dy[c, i]


class BatchNorm(Channelwise):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(v + ε), channel by channel.

    In training, μ and v are the mean and variance of the batch, over the m values
    of the channel: μ = (1/m) Σ x, v = (1/m) Σ (x − μ)².  In inference they are the
    running values.

    Backward.  With x̂ given, y is affine in γ and β::

        dβ = Σ dy                  (C,)
        dγ = Σ dy ∘ x̂              (C,)

    In training, x acts on y in three ways: directly, through μ, and through v::

        dx = γ / √(v + ε) ∘ (dy − dβ/m − x̂ ∘ dγ/m)

    To see it, let dx̂ = γ dy and s = √(v + ε).  From ∂s/∂x_i = x̂_i / m and
    ∂μ/∂x_i = 1/m follows ∂x̂_j/∂x_i = (δ_ij − 1/m − x̂_i x̂_j / m) / s, and the sum
    over j of that times dx̂_j is the line above.  So dx has mean 0 and, except for ε, is
    orthogonal to x̂: shifting or scaling the batch cannot change y.  In
    inference, μ and v are constants, and dx = γ / √(v + ε) ∘ dy.

    The running values start at 0 and 1 and are updated in each training step::

        running ← momentum · running + (1 − momentum) · that of the batch

    where the running variance uses the unbiased variance, v m / (m − 1), as in
    PyTorch, whose ``momentum`` is 1 − ours.  They are ``state``: saved with the
    network, not learned.

    If several processes share the batch (``part``), μ, v, and the dβ and dγ in dx are sums
    over all of it.  The gradients dβ and dγ are those of this rank's examples, like all gradients.

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

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x, self.training = x, training  # (N, C, …)
        self.x_hat, x_hat = empty_like(x)
        self.y, y = empty_like(x)
        shared = self.part if training else None
        m = self._values(x)
        x = rows(x)  # (C, m), all values unless the batch is shared
        self.s, mu, v = namespace(x).empty((3, self.channels), x.dtype)
        if training:
            self.expect_several(m)
        else:
            mu, v = self.running_mean, self.running_variance
        if shared is not None:
            mean_and_variance(shared, x, x_hat, mu, v, m)
        numbers = x.shape[1], self.epsilon, training and shared is None
        batch_norm(x, x_hat, y, self.gamma, self.beta, mu, v, self.s, *numbers)
        if training:
            self._follow(self.running_mean, mu)
            self._follow(self.running_variance, v * (m / (m - 1)))
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        shared = self.part if self.training and input_gradient else None
        m = self._values(dy)
        dx, dx_rows = empty_like(dy)
        dy, x_hat = rows(dy), rows(self.x_hat)  # (C, m)
        numbers = dy.shape[1], self.training, input_gradient and shared is None
        vectors = self.gamma, self.s, self.dgamma, self.dbeta  # (C,)
        batch_norm_backward(dy, x_hat, dx_rows, *vectors, *numbers)
        if shared is not None:
            input_gradient_of_all(shared, dy, x_hat, dx_rows, *vectors, m)
        return dx if input_gradient else None

    def _values(self, x: Array) -> int:
        """m, the number of values per channel in the whole batch."""
        examples = len(x) if self.part is None else self.part.size
        return examples * math.prod(x.shape[2:])

    def expect_several(self, m: int) -> None:
        """Raise ``ValueError`` if m values per channel have no variance."""
        if m < 2:
            raise ValueError(
                f"{self!r}: expected more than one value per channel in training, got {m}; "
                "choose a batch size that leaves no batch of one, or drop it with drop_last=True"
            )

    def _follow(self, running: Array, batch: Array) -> None:
        running[...] = self.momentum * running + (1 - self.momentum) * batch

    def __repr__(self) -> str:
        options = "" if self.momentum == 0.9 else f", momentum={self.momentum:g}"
        options += "" if self.epsilon == 1e-5 else f", epsilon={self.epsilon:g}"
        return f"BatchNorm({self.channels}{options})"
