"""The convolution layer: one small affine map at every place of an image."""

from __future__ import annotations

import math

from minidl import checks
from minidl.activations import Activation
from minidl.backend import Array, namespace
from minidl.initializers import Initializer
from minidl.layers.affine import Affine
from minidl.layers.images import batch_first, batch_last, expect_images, flat_buffer
from minidl.layers.windows import Pair, Windows


class Conv2D(Affine):
    """y = f(z),  z[n, o, r, s] = Σ_{c,i,j} W[o, c, i, j] x[n, c, r + i, s + j] + b[o].

    (A cross-correlation, as in every framework.)  With a stride the kernel stands at
    r · stride, with padding the image has a border of zeros.

    The pixels under the kernel make one column for each of its places; those of row r of
    the places, in all images, are the matrix X_r (kh·C_in·kw, P), P = across·N.  With W as a
    matrix (C_out, kh·C_in·kw), forward and backward are those of a dense layer::

        z_r  = W X_r + b
        dz   = dy ∘ f'(z)
        dW   = Σ_r dz_r X_rᵀ
        db   = Σ_r Σ_p dz_rp
        dX_r = Wᵀ dz_r,   and dx adds up for each pixel what the dX_r have for it

    X_r and X_(r+1) have most of their image rows in common.  So the columns of
    the kernel are laid out once for each image row, in ``rows`` (height, C_in, kw, P),
    and X_r is the view rows[stride · r : stride · r + kh].

    Source: Chellapilla, Puri and Simard, IWFHR 2006, for one matrix X of all places.

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
        self.channels_in = checks.whole("Conv2D", "channels_in", channels_in)
        self.channels_out = checks.whole("Conv2D", "channels_out", channels_out)
        self.windows = Windows("Conv2D", kernel_size, stride, padding)
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

    def workspace_size(self, input_shape: tuple[int, ...], input_gradient: bool = True) -> int:
        (C, height, width), (p, q) = input_shape, self.windows.padding
        _, across = self.windows.places(self, height, width)
        frame = C * (height + 2 * p) * (width + 2 * q)
        rows = C * (height + 2 * p) * self.windows.size[1] * across
        size = super().workspace_size(input_shape, False) + rows + (frame if p or q else 0)
        if input_gradient:  # drows, dX, dframe
            size += rows + self.connections[0] * across + frame
        return size

    def forward(self, x: Array, training: bool = False) -> Array:
        self._receive(x)
        xp = namespace(x)
        down, across = self.windows.places(self, *x.shape[2:])
        self.rows = self._lay_out(x, across)
        W = self._matrix()
        z = flat_buffer(self, "z", (self.channels_out, down, across, len(x)), x)
        for r in range(down):
            xp.matmul(W, self._under(r, self.rows), out=_flat(z[:, r]))
        z += self.b[:, None, None, None]
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
        xp.sum(_flat(dz), axis=1, out=self.db)
        shape = (self.channels_out, self.connections[0])
        dW, part = self.buffer("dW", shape, dz), self.buffer("part of dW", shape, dz)
        dW[...] = 0
        for r in range(dz.shape[1]):
            dW += xp.matmul(_flat(dz[:, r]), self._under(r, self.rows).T, out=part)
        kernel = self.dW.swapaxes(1, 2)  # (C_out, kh, C_in, kw)
        kernel[...] = dW.reshape(kernel.shape)
        return self._input_gradient(dz) if input_gradient else None

    def _input_gradient(self, dz: Array) -> Array:
        """dX_r = Wᵀ dz_r added up: first over the rows r, then over the columns of the kernel."""
        WT = self._matrix().T
        drows = flat_buffer(self, "drows", self.rows.shape, dz)
        drows[...] = 0
        dX = flat_buffer(self, "dX", (len(WT), dz[0, 0].size), dz)
        for r in range(dz.shape[1]):
            dX_r = self._under(r, drows)
            dX_r += namespace(dz).matmul(WT, _flat(dz[:, r]), out=dX)
        dframe = self.windows.zero_frame(self, self.x)
        for j, dx in enumerate(self.windows.columns(dframe, dz.shape[2])):
            dx += drows[:, :, j].swapaxes(0, 1)
        return batch_first(self.windows.inside(dframe))

    def _lay_out(self, x: Array, across: int) -> Array:
        """For each row of the image, with its border, the pixels under each column of the kernel.

        Shape (height, C_in, kw, across, N).
        """
        frame = self.windows.frame(self, x)  # (C_in, height, width, N)
        C, height, _, N = frame.shape
        rows = flat_buffer(self, "rows", (height, C, self.windows.size[1], across, N), x)
        for j, column in enumerate(self.windows.columns(frame, across)):
            rows[:, :, j] = column.swapaxes(0, 1)
        return rows

    def _under(self, r: int, rows: Array) -> Array:
        """X_r (kh·C_in·kw, P): what lies under the kernel at row r of its places."""
        start = self.windows.stride[0] * r
        return rows[start : start + self.windows.size[0]].reshape(self.connections[0], -1)

    def _matrix(self) -> Array:
        """W (C_out, kh·C_in·kw), a copy."""
        W = self.W.swapaxes(1, 2)  # (C_out, kh, C_in, kw)
        matrix = self.buffer("W", (len(W), self.connections[0]), W)
        matrix.reshape(W.shape)[...] = W
        return matrix

    def _expect_shape(self, shape: tuple[int | str, ...]) -> None:
        expect_images(self, shape, self.channels_in)

    def __repr__(self) -> str:
        f = "" if self.activation.name == "linear" else f", {self.activation!r}"
        kernel = self.windows.describe((1, 1))
        return f"Conv2D({self.channels_in} -> {self.channels_out}, {kernel}{f})"


def _flat(array: Array) -> Array:
    """All axes but the first laid out in one."""
    return array.reshape(len(array), -1)
