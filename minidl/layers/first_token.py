"""The first token of each sentence, which represents the whole sentence."""

from __future__ import annotations

from minidl.backend import Array, namespace
from minidl.layers._base import Layer


class FirstToken(Layer):
    """y = x_1, the first token of each sentence: (N, T, D) → (N, D).

    BERT puts a token [CLS] in front of every sentence; attention collects there what the other
    tokens say.  Followed by a Dense with tanh, this is BERT's "pooler".  Backward::

        dx_1 = dy,   dx_t = 0 for t > 1

    Source: Devlin et al., BERT, NAACL 2019, section 3.
    """

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 2:
            raise self.misfit("(N, T, D)", input_shape)
        return input_shape[1:]

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        self.y = x[:, 0]  # (N, D)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        dx = namespace(dy).zeros(self.x.shape, dy.dtype)
        dx[:, 0] = dy
        return dx
