"""The block of which BERT is made: attention, then two dense layers, each with a shortcut."""

from __future__ import annotations

from typing import Any

from minidl.activations import Activation
from minidl.backend import Array, checks
from minidl.initializers import Initializer
from minidl.layers._base import Layer
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.glu import GLU, SwiGLU
from minidl.layers.layer_norm import LayerNorm
from minidl.layers.self_attention import SelfAttention, Tokens
from minidl.layers.sequential import Sequential

GATES: dict[str, type[GLU]] = {"glu": GLU, "swiglu": SwiGLU}


class EncoderBlock(Layer):
    """Attention A lets tokens look at one another; the feed-forward part F processes each alone.

    BERT normalizes after each sum (left), others before A and F (right, ``pre_norm``)::

        h = norm_1(x + A(x))                h = x + A(norm_1(x))
        y = norm_2(h + F(h))                y = h + F(norm_2(h))

    with F(h) = f(h W_1 + b_1) W_2 + b_2, and dropout on A and on F.  Backward: a sum hands its
    gradient to both of its terms, and each sends one back::

        dr = norm_2'(dy)                    dh = dy + norm_2'(F'(dy))
        dh = dr + F'(dr)                    dx = dh + norm_1'(A'(dh))
        ds = norm_1'(dh)
        dx = ds + A'(ds)

    where F' is the backward pass of F, and so on.  On the right, dy passes through the block
    unchanged, and A and F add to it; on the left, every gradient goes through both normalizations.

    Source: Vaswani et al., NeurIPS 2017, section 3.1; before the sum: Xiong et al., ICML 2020.

    Parameters
    ----------
    features, heads : D of the input (N, T, D), and the number of attention heads
    hidden : number of hidden units of F
    activation : f, a name or an instance; ``"glu"`` and ``"swiglu"`` halve the number of hidden
        units, so that W_2 has half as many rows
    dropout : rate of the dropout on A, on F, and on the probabilities
    tokens, weights : see :class:`SelfAttention`
    epsilon : ε of the normalizations
    pre_norm : whether the normalizations come before A and F
    """

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int,
        activation: str | Activation = "gelu",
        dropout: float = 0.0,
        tokens: Tokens | None = None,
        weights: str | Initializer = "glorot_uniform",
        epsilon: float = 1e-5,
        pre_norm: bool = False,
    ) -> None:
        self.pre_norm = checks.boolean("EncoderBlock", "pre_norm", pre_norm)
        self.attention = SelfAttention(features, heads, dropout, tokens, weights)
        hidden = checks.integer("EncoderBlock", "hidden", hidden)
        self.feed_forward = _feed_forward(features, hidden, activation, weights)
        self.norm_1, self.norm_2 = (LayerNorm(features, epsilon) for _ in range(2))
        self.dropout_1, self.dropout_2 = (Dropout(dropout) for _ in range(2))
        first = ["attention", "dropout_1", "norm_1"]
        second = ["feed_forward", "dropout_2", "norm_2"]
        order = [*first, *second]
        if pre_norm:
            order = [first[2], *first[:2], second[2], *second[:2]]
        self.layers = [getattr(self, name) for name in order]
        for name in order:
            getattr(self, name).name = name

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        if self.pre_norm:
            h = x + self._A(self.norm_1.forward(x, training), training)
            self.y = h + self._F(self.norm_2.forward(h, training), training)
        else:
            h = self.norm_1.forward(x + self._A(x, training), training)
            self.y = self.norm_2.forward(h + self._F(h, training), training)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if self.pre_norm:
            dh = dy + self.norm_2.backward(self._dF(dy))
            dA = self.norm_1.backward(self._dA(dh), input_gradient)
            return dh + dA if input_gradient else None
        dr: Any = self.norm_2.backward(dy)  # r = h + F(h)
        dh = dr + self._dF(dr)
        ds: Any = self.norm_1.backward(dh)  # s = x + A(x)
        dA = self._dA(ds, input_gradient)
        return ds + dA if input_gradient else None

    def _A(self, x: Array, training: bool) -> Array:
        return self.dropout_1.forward(self.attention.forward(x, training), training)

    def _F(self, h: Array, training: bool) -> Array:
        return self.dropout_2.forward(self.feed_forward.forward(h, training), training)

    def _dA(self, d: Any, input_gradient: bool = True) -> Any:
        dropped: Any = self.dropout_1.backward(d)
        return self.attention.backward(dropped, input_gradient)

    def _dF(self, d: Any) -> Any:
        dropped: Any = self.dropout_2.backward(d)
        return self.feed_forward.backward(dropped)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        self.attention.output_shape(input_shape)
        self.feed_forward.output_shape(input_shape)
        return input_shape

    def __repr__(self) -> str:
        order = ", norm first" if self.pre_norm else ""
        F = ", ".join(map(repr, self.feed_forward.layers))
        return f"EncoderBlock({self.attention!r}, {F}{order})"


def _feed_forward(
    features: int, hidden: int, activation: str | Activation, weights: str | Initializer
) -> Sequential:
    """F: as many hidden units as requested, and half of them after a gate."""
    if activation in GATES:
        if hidden % 2:
            raise ValueError(
                f"EncoderBlock: expected an even hidden, to be halved by {activation}, got {hidden}"
            )
        up, gate = Dense(features, hidden, weights=weights), GATES[str(activation)]()
        return Sequential([up, gate, Dense(hidden // 2, features, weights=weights)])
    up = Dense(features, hidden, activation, weights)
    return Sequential([up, Dense(hidden, features, weights=weights)])
