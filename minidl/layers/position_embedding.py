"""Position embedding: a learned vector for the position of a token in its sentence."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, checks, namespace
from minidl.initializers import Initializer
from minidl.layers._attributes import Initial
from minidl.layers._base import Layer


class PositionEmbedding(Layer):
    """y_t = x_t + W_t: each position t of a sentence has its own vector.

    Attention treats the tokens of a sentence as a set; this is how it learns their order.
    Backward, where dW is 0 for positions beyond the longest sentence of the batch::

        dW_t = Σ_n dy_nt                           (D,)
        dx   = dy

    Source: Devlin et al., BERT, NAACL 2019, section 3 and figure 2; Gehring et al., ICML 2017.

    Parameters
    ----------
    positions : length of the longest sentence, in tokens
    features : D of the input (N, T, D)
    weights : initializer of W, see :mod:`minidl.initializers`; n_in is ``positions``, n_out is D
    """

    weights = Initial()
    W: Array  # (positions, D)
    dW: Array

    def __init__(
        self, positions: int, features: int, weights: str | Initializer = "glorot_uniform"
    ) -> None:
        self.positions = checks.integer("PositionEmbedding", "positions", positions)
        self.features = checks.integer("PositionEmbedding", "features", features)
        self.weights = weights

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.positions, self.features)}

    def initialize(self, rng: np.random.Generator) -> None:
        values = self.weights(rng, self.W.shape, self.positions, self.features)
        self.W[...] = namespace(self.W).asarray(values)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        T, D = input_shape if len(input_shape) == 2 else (0, 0)
        if self.features != D or self.positions < T:
            expected = f"(N, T, {self.features}) with T up to {self.positions}"
            raise self.misfit(expected, input_shape, "cut longer sentences off")
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        T = x.shape[1]
        self.y = x + self.W[:T]
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        T = dy.shape[1]
        dy.sum(axis=0, out=self.dW[:T])
        self.dW[T:] = 0
        return dy if input_gradient else None

    def __repr__(self) -> str:
        return f"PositionEmbedding({self.positions} x {self.features})"
