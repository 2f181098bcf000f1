"""Layer normalization: every token to mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, checks
from minidl.backend.arrays import rows
from minidl.layers._base import Layer


class LayerNorm(Layer):
    """y = γ ∘ x̂ + β,  x̂ = (x − μ) / s,  s = √(v + ε), over the D features of a token.

    μ = (1/D) Σ_i x_i and v = (1/D) Σ_i (x_i − μ)² are those of one token: they do not depend
    on other tokens or on the batch, and are the same in training and in inference.
    Backward, with sums over all tokens::

        dβ  = Σ dy                                                 (D,)
        dγ  = Σ dy ∘ x̂                                             (D,)
        dx̂  = γ ∘ dy                                               (N, T, D)
        dx  = (dx̂ − mean(dx̂) − x̂ ∘ mean(dx̂ ∘ x̂)) / s              means over the features

    This is the dx of :class:`~minidl.layers.BatchNorm` along the other axis, and its derivation is
    the same: dx has mean 0 and, except for ε, is orthogonal to x̂.
    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, equations 3 and 4.

    Parameters
    ----------
    features : D of the input (N, D) or (N, T, D)
    epsilon : above 0
    """

    gamma: Array  # (D,)
    beta: Array  # (D,)
    dgamma: Array
    dbeta: Array
    x_hat: Array  # x̂ of the last forward, shape of x
    s: Array  # (N, T, 1) √(v + ε) of the last forward

    def __init__(self, features: int, epsilon: float = 1e-5) -> None:
        self.features = checks.integer("LayerNorm", "features", features)
        self.epsilon = checks.positive("LayerNorm", "epsilon", epsilon)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.features,), "beta": (self.features,)}

    def initialize(self, rng: np.random.Generator) -> None:
        self.gamma[...] = 1
        self.beta[...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        centred = x - _mean(x)
        self.s = np.sqrt(_mean(centred**2) + self.epsilon)  # (N, T, 1)
        self.x_hat = centred / self.s
        self.y = self.gamma * self.x_hat + self.beta
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x_hat = self.x_hat
        rows(dy).sum(axis=0, out=self.dbeta)
        rows(dy * x_hat).sum(axis=0, out=self.dgamma)
        if not input_gradient:
            return None
        dx_hat = self.gamma * dy
        return (dx_hat - _mean(dx_hat) - x_hat * _mean(dx_hat * x_hat)) / self.s

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        D = self.features
        if len(input_shape) not in (1, 2) or input_shape[-1] != D:
            hint = f"does the layer before give {D} features?"
            raise self.misfit(f"(N, {D}) or (N, T, {D})", input_shape, hint)
        return input_shape

    def __repr__(self) -> str:
        epsilon = "" if self.epsilon == 1e-5 else f", epsilon={self.epsilon:g}"
        return f"LayerNorm({self.features}{epsilon})"


def _mean(a: Array) -> Array:
    """The mean over the features, keeping their axis: (N, T, 1)."""
    return a.mean(axis=-1, keepdims=True)
