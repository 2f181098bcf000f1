"""The convolution layer: the same small affine map at every position in an image."""

from __future__ import annotations

import math

from minidl.activations import Activation
from minidl.backend import Array, checks
from minidl.initializers import Initializer
from minidl.layers._affine import Affine
from minidl.layers._patches import patches
from minidl.layers._windows import Pair, Windows, batch_first, batch_last, expect_images


class Conv2D(Affine):
    """y = f(z),  z[n, o, r, s] = Σ_{c,i,j} W[o, c, i, j] x[n, c, r + i, s + j] + b[o].

    (A cross-correlation, as in every framework.)  With a stride, the kernel is placed at
    r · stride; with padding, the image has a border of zeros.

    The pixels under the kernel, at one position in one image, form one column of the
    matrix X (C_in·kh·kw, positions).  With W as a matrix (C_out, C_in·kh·kw), forward and
    backward are those of a dense layer::

        z  = W X + b
        dz = dy ∘ f'(z)
        dW = dz Xᵀ
        db = Σ_positions dz
        dx = fold(Wᵀ dz)      each entry is added to its pixel

    X is never in memory as a whole: ``_patches.py`` explains how smaller products give the same.

    Source: Chellapilla, Puri and Simard, IWFHR 2006.

    Parameters
    ----------
    channels_in, channels_out : number of channels of the input and of the output
    kernel_size, stride, padding : one number, or one for rows and one for columns;
        for an odd kernel and stride 1, a padding of kernel_size // 2 keeps the size
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance;
        element-wise
    weights, biases : initializers of W and b, see :mod:`minidl.initializers`; n_in and n_out
        are kh kw times the channels.  With ``biases=None`` there is no b: before
        BatchNorm, which subtracts the mean, its gradient would be 0
    """

    W: Array  # (C_out, C_in, kh, kw)
    b: Array  # (C_out,), unless there is none
    dW: Array
    db: Array
    z: Array  # (N, C_out, down, across) pre-activation of the last forward
    dz: Array  # (N, C_out, down, across) its gradient in the last backward

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        activation: str | Activation = "linear",
        weights: str | Initializer = "glorot_uniform",
        biases: str | Initializer | None = "zeros",
    ) -> None:
        self.channels_in = checks.integer("Conv2D", "channels_in", channels_in)
        self.channels_out = checks.integer("Conv2D", "channels_out", channels_out)
        self.windows = Windows("Conv2D", kernel_size, stride, padding)
        pixels = math.prod(self.windows.size)
        connections = (pixels * self.channels_in, pixels * self.channels_out)
        self.has_bias = biases is not None
        super().__init__(connections, activation, weights, "zeros" if biases is None else biases)
        if not self.f.elementwise:
            raise ValueError(
                f"Conv2D: expected an element-wise activation, got {self.f!r}; "
                "put it into a Dense layer"
            )

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        W = (self.channels_out, self.channels_in, *self.windows.size)
        return {"W": W, "b": (self.channels_out,)} if self.has_bias else {"W": W}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        expect_images(self, input_shape, self.channels_in)
        return (self.channels_out, *self.windows.positions_in(self, *input_shape[1:]))

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C_in, height, width)
        self.X = patches(x, self.windows)  # (C_in·kh·kw, positions)
        z = self.X.times(self.W)  # W X  (C_out, positions)
        if self.has_bias:
            z += self.b[:, None]
        self.z = images(z, self.X.down, self.X.across)  # (N, C_out, down, across)
        self.y = self.f(self.z)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.dz = self.f.backward(dy, self.z, self.y)  # dy ∘ f'(z)
        dz = matrix(self.dz)  # (C_out, positions)
        self.dW[...] = self.X.gradient(dz)  # dz Xᵀ
        if self.has_bias:
            dz.sum(axis=1, out=self.db)
        return self.X.fold(self.W, dz) if input_gradient else None  # fold(Wᵀ dz)

    def __repr__(self) -> str:
        f = "" if self.f.name == "linear" else f", {self.f!r}"
        kernel = self.windows.describe((1, 1))
        b = "" if self.has_bias else ", no bias"
        return f"Conv2D({self.channels_in} -> {self.channels_out}, {kernel}{f}{b})"


def images(z: Array, down: int, across: int) -> Array:
    """(C, positions) as images (N, C, down, across), a view."""
    return batch_first(z.reshape(len(z), down, across, -1))


def matrix(z: Array) -> Array:
    """Images (N, C, down, across) as (C, positions), a view unless they are stored batch first."""
    return batch_last(z).reshape(z.shape[1], -1)
