"""Self-attention: every token looks at all tokens of its sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from minidl.activations import Softmax
from minidl.backend import Array, checks
from minidl.initializers import Initializer
from minidl.layers._base import Layer
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.embedding import Embedding


class Tokens(Protocol):
    """Anything that knows which tokens are padding: an Embedding that ran before."""

    mask: Array  # (N, T), True for a token


class SelfAttention(Layer):
    """y = O W_o + b_o, where O averages the values V of all tokens with probabilities P::

        Q = x W_q + b_q,  K = x W_k + b_k,  V = x W_v + b_v      (N, heads, T, k) each
        S = Q Kᵀ / √k                                            (N, heads, T, T)
        P = softmax(S)              over the keys, the last axis
        O = P V                                                  (N, heads, T, k)

    Row i of S says how well the query of token i matches the key of each token j.  The D features
    are split into heads of k = D / heads, each with its own probabilities; O is joined to
    (N, T, D) again.  If ``tokens.mask`` says that j is padding, S_ij is −∞ and P_ij exactly 0.
    In a sentence of nothing but padding all of P is 0, and so is every gradient through it.

    Backward.  The four maps are Dense layers (``query``, ``key``, ``value``, ``output``) with
    the backward pass of Dense.  Between them::

        dV = Pᵀ dO
        dP = dO Vᵀ                                               (N, heads, T, T)
        dS = P ∘ (dP − Σ_j dP_ij P_ij)                           softmax, row by row
        dQ = dS K / √k
        dK = dSᵀ Q / √k

    and dx is the sum of what the three maps return.  Each row of dS sums to 0, since
    softmax does not change when all scores of a query shift together.  The bias of the keys shifts
    them together: Q b_k is the same for all j.  So its gradient is exactly 0.

    With ``dropout``, probabilities are dropped in training: O = (P ∘ m) V, so that P ∘ m
    replaces P in dV, and dP = (dO Vᵀ) ∘ m.

    Source: Vaswani et al., NeurIPS 2017, equation 1 and section 3.2.2.

    Parameters
    ----------
    features : D of the input (N, T, D)
    heads : number of heads, which must divide D
    dropout : the share of probabilities that are dropped in training
    tokens : the Embedding that runs before on the same batch, for its ``mask``; by default the one
        of the network, if it has a padding token.  Outside a network, nothing is padding by default
    weights : initializer of the four matrices, see :mod:`minidl.initializers`
    """

    P: Array  # (N, heads, T, T) probabilities of the last forward: query i, key j
    dS: Array  # (N, heads, T, T) gradient of the scores in the last backward

    def __init__(
        self,
        features: int,
        heads: int,
        dropout: float = 0.0,
        tokens: Tokens | None = None,
        weights: str | Initializer = "glorot_uniform",
    ) -> None:
        self.features = checks.integer("SelfAttention", "features", features)
        self.heads = checks.integer("SelfAttention", "heads", heads)
        if self.features % self.heads:
            raise ValueError(
                f"SelfAttention: expected features to be a multiple of the heads, "
                f"got {features} for {heads} heads"
            )
        if not (tokens is None or isinstance(tokens, Embedding) or hasattr(tokens, "mask")):
            raise ValueError(
                "SelfAttention: expected tokens to be the Embedding that runs before it, "
                f"got {checks.describe(tokens)}"
            )
        self.tokens = tokens
        self.takes_any_tokens = tokens is None  # whether the network chooses them
        D = self.features
        self.query, self.key, self.value, self.output = (
            Dense(D, D, weights=weights) for _ in range(4)
        )
        self.dropout = Dropout(dropout)
        self.softmax = Softmax()
        self.layers = [self.query, self.key, self.value, self.dropout, self.output]
        for name in ("query", "key", "value", "dropout", "output"):
            getattr(self, name).name = name

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 2 or input_shape[-1] != self.features:
            expected = f"(N, T, {self.features})"
            raise self.misfit(expected, input_shape, "an Embedding makes that of tokens (N, T)")
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        self.Q, self.K, self.V = (
            self._cut(part.forward(x, training)) for part in (self.query, self.key, self.value)
        )  # (N, heads, T, k)
        k = self.Q.shape[-1]
        S = self.Q @ _T(self.K) / math.sqrt(k)  # (N, heads, T, T)
        if self.tokens is None:
            self.P = self.softmax(S)
        else:
            is_token = self.tokens.mask[:, None, None, :]  # (N, 1, 1, T)
            S = np.where(is_token, S, float(np.finfo(S.dtype).min))  # −∞, but a row of it is no NaN
            self.P = self.softmax(S) * is_token
        self.A = self.dropout.forward(self.P, training)  # P ∘ m in training, else P
        self.y = self.output.forward(_joined(self.A @ self.V), training)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dO = self._cut(self.output.backward(dy))  # (N, heads, T, k)
        k = dO.shape[-1]
        dV = _T(self.A) @ dO
        dP: Any = self.dropout.backward(dO @ _T(self.V))  # (N, heads, T, T)
        self.dS = self.P * (dP - (dP * self.P).sum(axis=-1, keepdims=True))
        dQ = self.dS @ self.K / math.sqrt(k)
        dK = _T(self.dS) @ self.Q / math.sqrt(k)
        dx: list[Any] = [
            part.backward(_joined(d), input_gradient)
            for part, d in ((self.query, dQ), (self.key, dK), (self.value, dV))
        ]
        return dx[0] + dx[1] + dx[2] if input_gradient else None

    def _cut(self, a: Any) -> Array:
        """(N, T, D) into heads: (N, heads, T, k), a view."""
        N, T, D = a.shape
        return a.reshape(N, T, self.heads, D // self.heads).swapaxes(1, 2)

    def __repr__(self) -> str:
        dropout = f", {self.dropout!r}" if self.dropout.rate else ""
        masked = "" if self.tokens is None else ", masked"
        return f"SelfAttention({self.features}, {self.heads} heads{dropout}{masked})"


def connect(layers: Iterable[Layer]) -> None:
    """Give every attention the Embedding whose padding it must not see; in the order of forward.

    Raises ``ValueError`` if an attention was made with the Embedding of another network.
    """
    before: list[Layer] = []
    padded: Embedding | None = None  # the last one with a padding token
    for layer in layers:
        if isinstance(layer, Embedding) and layer.padding is not None:
            padded = layer
        if isinstance(layer, SelfAttention):
            if layer.takes_any_tokens:
                layer.tokens = padded
            elif isinstance(layer.tokens, Layer) and layer.tokens not in before:
                raise ValueError(
                    f"layer {layer.name}: expected tokens to be an Embedding that runs before it "
                    f"in the network, got another {layer.tokens!r}; without tokens=, the network "
                    "connects its own"
                )
        before.append(layer)


def _T(a: Array) -> Array:
    """The transpose of the last two axes."""
    return a.swapaxes(-1, -2)


def _joined(a: Array) -> Array:
    """The heads (N, heads, T, k) side by side again: (N, T, D)."""
    N, heads, T, k = a.shape
    return a.swapaxes(1, 2).reshape(N, T, heads * k)
