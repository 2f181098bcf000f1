"""The convolution layer: one small affine map at every place of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minidl.activations import Activation
from minidl.backend import Array, namespace
from minidl.initializers import Initializer
from minidl.layers.affine import Affine, expect_sizes
from minidl.layers.images import batch_first, batch_last, expect_images, flat_buffer
from minidl.layers.windows import Pair, Windows

PIECE = 256 * 1024  # entries of X: one megabyte in float32


class Conv2D(Affine):
    """y = f(z),  z[n, o, r, s] = Σ_{c,i,j} W[o, c, i, j] x[n, c, r + i, s + j] + b[o].

    (A cross-correlation, as in every framework.)  With a stride the kernel stands at
    r · stride, with padding the image has a border of zeros.

    The pixels under the kernel make one column for each of its P places in
    all images: X (C_in·kh·kw, P).  With W as a matrix (C_out, C_in·kh·kw), and z, dz
    as matrices (C_out, P), forward and backward are those of a dense layer::

        z  = W X + b
        dz = dy ∘ f'(z)
        dW = dz Xᵀ
        db = Σ_p dz_p
        dX = Wᵀ dz,   and dx adds up for each pixel what dX has in its columns

    Source: Chellapilla, Puri and Simard, IWFHR 2006.

    Parameters
    ----------
    channels_in, channels_out : of one input and of one output
    kernel_size, stride, padding : a number, or one for rows and one for columns;
        a padding of kernel_size // 2 keeps the size, for an odd kernel and stride 1
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance;
        element-wise
    weights, biases : how W and b start, see :mod:`minidl.initializers`; n_in and n_out
        are kh kw times the channels
    """

    W: Array  # (C_out, C_in, kh, kw)
    b: Array  # (C_out,)
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
        biases: str | Initializer = "zeros",
    ) -> None:
        expect_sizes("Conv2D", channels_in=channels_in, channels_out=channels_out)
        self.windows = Windows("Conv2D", kernel_size, stride, padding)
        self.channels_in = int(channels_in)
        self.channels_out = int(channels_out)
        pixels = math.prod(self.windows.size)
        connections = (pixels * self.channels_in, pixels * self.channels_out)
        super().__init__(connections, activation, weights, biases)
        if not self.activation.elementwise:
            raise ValueError(
                f"Conv2D: expected an element-wise activation, got {self.activation!r}; "
                "put it into a Dense layer"
            )

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        W = (self.channels_out, self.channels_in, *self.windows.size)
        return {"W": W, "b": (self.channels_out,)}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        self._expect_shape(("N", *input_shape))
        return (self.channels_out, *self.windows.places(self, *input_shape[1:]))

    def forward(self, x: Array, training: bool = False) -> Array:
        W = _matrix(self._receive(x))  # (C_out, C_in·kh·kw)
        xp = namespace(x)
        down, across = self.windows.places(self, *x.shape[2:])
        self.frame = self.windows.frame(self, x)  # (C_in, height + 2p, width + 2p, N)
        z = flat_buffer(self, "z", (self.channels_out, down, across, len(x)), x)
        for rows in self._pieces(z):
            z_rows = z[:, rows]
            xp.matmul(W, self._columns(rows, z), out=_matrix(z_rows))
            z_rows += self.b[:, None, None, None]
        y = self.activation(z, out=flat_buffer(self, "y", z.shape, x))
        self.z, self.y = batch_first(z), batch_first(y)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        xp = namespace(dy)
        dy, z, y = batch_last(dy), batch_last(self.z), batch_last(self.y)
        dz = flat_buffer(self, "dz", dy.shape, dy)  # (C_out, down, across, N)
        dz = self.activation.backward(dy, z, y, out=dz)
        self.dz = batch_first(dz)
        xp.sum(_matrix(dz), axis=1, out=self.db)
        dW = _matrix(self.dW)
        dW[...] = 0
        for rows in self._pieces(dz):
            X = self._columns(rows, dz)
            dW += xp.matmul(_matrix(dz[:, rows]), X.T, out=self.buffer("dW", dW.shape, dW))
        return self._input_gradient(dz) if input_gradient else None

    def _input_gradient(self, dz: Array) -> Array:
        """dX = Wᵀ dz, and dx adds up for each pixel what dX has in its columns."""
        W = _matrix(self.W)
        dframe = self.windows.zero_frame(self, self.x)
        for rows in self._pieces(dz):
            dz_rows = dz[:, rows]
            dX = flat_buffer(self, "X", (W.shape[1], dz_rows[0].size), dz)
            namespace(dz).matmul(W.T, _matrix(dz_rows), out=dX)
            dX = dX.reshape(self.channels_in, -1, *dz_rows.shape[1:])
            for k, dx in enumerate(self.windows.views(dframe, rows, dz.shape[2])):
                dx += dX[:, k]
        return batch_first(self.windows.inside(dframe))

    def _pieces(self, z: Array) -> Iterator[slice]:
        """The rows of z in pieces whose columns X stay in the cache; a GPU needs no pieces."""
        down = z.shape[1]
        row = self.connections[0] * z[0, 0].size  # entries of X for one row of z
        step = max(1, PIECE // row) if namespace(z) is np else down
        for start in range(0, down, step):
            yield slice(start, min(start + step, down))

    def _columns(self, rows: slice, z: Array) -> Array:
        """X (C_in·kh·kw, P) for P places: those of the given rows of z in all images."""
        shape = (self.channels_in, math.prod(self.windows.size), *z[0, rows].shape)
        X = flat_buffer(self, "X", shape, z)
        for k, x in enumerate(self.windows.views(self.frame, rows, z.shape[2])):
            X[:, k] = x
        return X.reshape(self.connections[0], -1)

    def _expect_shape(self, shape: tuple[int | str, ...]) -> None:
        expect_images(self, shape, self.channels_in)

    def __repr__(self) -> str:
        f = "" if self.activation.name == "linear" else f", {self.activation!r}"
        kernel = self.windows.describe((1, 1))
        return f"Conv2D({self.channels_in} -> {self.channels_out}, {kernel}{f})"


def _matrix(array: Array) -> Array:
    """All axes but the first laid out in one."""
    return array.reshape(len(array), -1)
