"""Batch normalization: every channel with mean 0 and variance 1, then scaled anew."""

from __future__ import annotations

import math

import numpy as np

from minidl import checks
from minidl.backend import Array
from minidl.layers.channelwise import Channelwise
from minidl.layers.images import buffer_like


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
    training: bool  # of the last forward

    def __init__(self, channels: int, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__(channels)
        self.momentum = checks.below_one("BatchNorm", "momentum", momentum)
        self.epsilon = checks.positive("BatchNorm", "epsilon", epsilon)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.channels,), "beta": (self.channels,)}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"running_mean": (self.channels,), "running_variance": (self.channels,)}

    def workspace_size(self, input_shape: tuple[int, ...], input_gradient: bool = True) -> int:
        return 3 * math.prod(input_shape)  # x_hat, y, dx

    def initialize(self, rng: np.random.Generator) -> None:
        self.gamma[...] = 1
        self.beta[...] = 0
        self.running_mean[...] = 0
        self.running_variance[...] = 1

    def forward(self, x: Array, training: bool = False) -> Array:
        gamma = self._bound("gamma")
        checks.array(self, "x", x)
        self._expect_shape(x.shape)
        self._expect_like("x", x, gamma)
        self.x = x  # (N, C, …)
        self.training = training
        self.x_hat = x_hat = buffer_like(self, "x_hat", x)
        self.y = y = buffer_like(self, "y", x)
        if training:
            m = self._values(x)
            mean, variance = (self.buffer(name, (self.channels,), x) for name in ("mean", "v"))
            self._sum(x, out=mean)
            mean /= m
            np.subtract(x, self._spread(mean, x), out=x_hat)
            self._sum(np.multiply(x_hat, x_hat, out=y), out=variance)
            variance /= m
            self._follow(self.running_mean, mean, 1)
            self._follow(self.running_variance, variance, m / (m - 1))
        else:
            mean, variance = self.running_mean, self.running_variance
            np.subtract(x, self._spread(mean, x), out=x_hat)
        self._one_over_s = s = self.buffer("1/s", (self.channels,), x)
        np.add(variance, self.epsilon, out=s)
        np.sqrt(s, out=s)
        np.reciprocal(s, out=s)
        x_hat *= self._spread(s, x)
        np.multiply(x_hat, self._spread(gamma, x), out=y)
        y += self._spread(self.beta, x)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        dx = buffer_like(self, "dx", dy)
        self._sum(np.multiply(dy, self.x_hat, out=dx), out=self.dgamma)
        self._sum(dy, out=self.dbeta)
        if not input_gradient:
            return None
        slope = self.buffer("slope", (self.channels,), dy)  # γ / √(v + ε)
        np.multiply(self.gamma, self._one_over_s, out=slope)
        if not self.training:
            return np.multiply(dy, self._spread(slope, dy), out=dx)
        m = self._values(dy)
        share = self.buffer("share", (self.channels,), dy)
        np.divide(self.dgamma, m, out=share)
        np.multiply(self.x_hat, self._spread(share, dy), out=dx)
        np.subtract(dy, dx, out=dx)
        np.divide(self.dbeta, m, out=share)
        dx -= self._spread(share, dy)
        dx *= self._spread(slope, dy)
        return dx

    def _values(self, x: Array) -> int:
        """m, the values of one channel in the batch."""
        m = x.size // self.channels
        if m < 2:
            raise ValueError(
                f"{self!r}: expected more than one value of each channel while training, got "
                f"input {x.shape}; choose a batch size that leaves no batch of one"
            )
        return m

    def _follow(self, running: Array, batch: Array, factor: float) -> None:
        step = self.buffer("step", batch.shape, batch)
        np.multiply(batch, (1 - self.momentum) * factor, out=step)
        running *= self.momentum
        running += step

    def __repr__(self) -> str:
        options = "" if self.momentum == 0.9 else f", momentum={self.momentum:g}"
        options += "" if self.epsilon == 1e-5 else f", epsilon={self.epsilon:g}"
        return f"BatchNorm({self.channels}{options})"
