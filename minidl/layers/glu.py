"""Gated linear units: one half of the features determines how much of the other half passes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minidl.activations import Activation, Sigmoid, Swish
from minidl.backend import Array
from minidl.backend.arrays import features_axis
from minidl.layers._base import Layer


class GLU(Layer):
    """y = a ∘ σ(b), where a and b are the first and the second half of x.

    The features of (N, 2n) or (N, T, 2n), or the channels of (N, 2C, H, W), are split in
    halves: y has half as many.  Backward::

        da = dy ∘ σ(b)
        db = dy ∘ a ∘ σ'(b)

    Source: Dauphin et al., ICML 2017, equation 1, where a and b are two linear
    maps of the previous layer: here, as in PyTorch, that is one Dense of twice the width.
    """

    function: type[Activation] = Sigmoid  # f, of the gate
    gate_first: ClassVar[bool] = False

    def __init__(self) -> None:
        self.f = self.function()

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape, axis = list(input_shape), features_axis(1 + len(input_shape)) - 1
        if not shape or shape[axis] % 2:
            raise self.misfit(
                "(N, 2n), (N, T, 2n) or (N, 2n, H, W)",
                input_shape,
                "let the layer before give two features for each one that is wanted",
            )
        shape[axis] //= 2
        return tuple(shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, 2n), (N, T, 2n) or (N, 2C, H, W)
        value, z = self._halves(x)  # half as many features each
        self.gate = self.f(z)
        self.y = value * self.gate
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        value, z = self._halves(self.x)
        dvalue = dy * self.gate
        dz = self.f.derivative(z, self.gate) * value * dy
        halves = (dz, dvalue) if self.gate_first else (dvalue, dz)
        return np.concatenate(halves, axis=features_axis(dy.ndim))

    def _halves(self, x: Array) -> tuple[Array, Array]:
        """The half that passes and the half that gates, as views."""
        axis = features_axis(x.ndim)
        before, n = (slice(None),) * axis, x.shape[axis] // 2
        first, second = x[(*before, slice(n))], x[(*before, slice(n, None))]
        return (second, first) if self.gate_first else (first, second)


class SwiGLU(GLU):
    """y = Swish(a) ∘ b, where a and b are the first and the second half of x.

    Swish(a) = a σ(a).  Backward::

        da = dy ∘ b ∘ Swish'(a)
        db = dy ∘ Swish(a)

    Source: Shazeer, GLU Variants Improve Transformer, 2020, equation 5.  Some implementations
    gate with the second half, which is the same with the halves swapped.
    """

    function = Swish
    gate_first = True
