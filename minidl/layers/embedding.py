"""Embedding: one row of a table per token."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, checks, namespace
from minidl.initializers import Initializer
from minidl.layers._attributes import Initial
from minidl.layers._base import Layer


class Embedding(Layer):
    """y_t = W[x_t]: the row of the table W that belongs to token x_t, an integer.

    This equals a product x W with one-hot rows x, without computing the product.
    Backward: the gradient of a row is the sum over all places where it was used::

        dW[i] = Σ_{n,t} [x_nt = i] dy_nt           (D,)

    The tokens themselves have no gradient: dx is None.

    The sentences of a batch are padded to one length with the token ``padding``.  For this
    token ``mask`` is False; :class:`~minidl.layers.SelfAttention` reads the mask, so that
    no token attends to padding.  If nothing else uses it either, as in a network that
    answers with the first token, the gradient of its row is exactly 0.

    Parameters
    ----------
    tokens : size of the vocabulary; x is from 0 to ``tokens`` − 1
    features : D, the length of a row
    padding : the padding token; by default there is none
    weights : initializer of W, see :mod:`minidl.initializers`; n_in is ``tokens``, n_out is D
    """

    integer_input = True
    weights = Initial()
    W: Array  # (tokens, D)
    dW: Array
    mask: Array  # (N, T) of the last forward: True for a token, False for padding

    def __init__(
        self,
        tokens: int,
        features: int,
        padding: int | None = None,
        weights: str | Initializer = "glorot_uniform",
    ) -> None:
        self.tokens = checks.integer("Embedding", "tokens", tokens)
        self.features = checks.integer("Embedding", "features", features)
        self.padding = padding
        if padding is not None:
            self.padding = checks.integer("Embedding", "padding", padding, least=0)
            if self.padding >= self.tokens:
                raise ValueError(
                    f"Embedding: expected padding below {self.tokens}, one of the tokens, "
                    f"got {padding}"
                )
        self.weights = weights

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.tokens, self.features)}

    def initialize(self, rng: np.random.Generator) -> None:
        values = self.weights(rng, self.W.shape, self.tokens, self.features)
        self.W[...] = namespace(self.W).asarray(values)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 1:
            raise self.misfit("(N, T)", input_shape, "a row of tokens for each sentence")
        return (*input_shape, self.features)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T) integers
        if self.padding is None:
            self.mask = namespace(x).ones(x.shape, bool)
        else:
            self.mask = x != self.padding  # (N, T)
        self.y = self.W[x]  # (N, T, D)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.dW.fill(0)
        namespace(dy).add.at(self.dW, self.x, dy)  # a token that comes twice is added twice
        return None

    def check_tokens(self, x: Array) -> None:
        if not x.size:
            return
        low, high = int(x.min()), int(x.max())
        if low < 0 or high >= self.tokens:
            raise ValueError(
                f"{self!r}: expected tokens from 0 to {self.tokens - 1}, got {low} to {high}; "
                "is it the vocabulary of this network?"
            )

    def __repr__(self) -> str:
        padding = "" if self.padding is None else f", padding {self.padding}"
        return f"Embedding({self.tokens} -> {self.features}{padding})"
