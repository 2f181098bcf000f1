"""The fully connected layer: an affine map and an activation function."""

from __future__ import annotations

import math

from minidl import checks
from minidl.activations import Activation
from minidl.backend import Array, namespace
from minidl.initializers import Initializer
from minidl.layers.affine import Affine


class Dense(Affine):
    """y = f(z),  z = x W + b.

    Backward, from dy = ∂L/∂y to the gradients of everything that made y::

        dz = dy ∘ f'(z)        (N, n_out)
        dW = xᵀ dz             (n_in, n_out)
        db = Σ_n dz_n          (n_out,)
        dx = dz Wᵀ             (N, n_in)

    These are equations BP1–BP4 of Nielsen, Neural Networks and Deep Learning,
    chapter 2, for a whole batch at once, one example per row.

    Parameters
    ----------
    n_in, n_out : features of one input and of one output
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance
    weights, biases : how W and b start, see :mod:`minidl.initializers`
    """

    W: Array  # (n_in, n_out)
    b: Array  # (n_out,)
    dW: Array
    db: Array
    z: Array  # (N, n_out) pre-activation of the last forward
    dz: Array  # (N, n_out) its gradient in the last backward

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str | Activation = "linear",
        weights: str | Initializer = "glorot_uniform",
        biases: str | Initializer = "zeros",
    ) -> None:
        self.n_in = checks.whole("Dense", "n_in", n_in)
        self.n_out = checks.whole("Dense", "n_out", n_out)
        super().__init__((self.n_in, self.n_out), activation, weights, biases)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out), "b": (self.n_out,)}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        self._expect_shape(("N", *input_shape))
        return (self.n_out,)

    def forward(self, x: Array, training: bool = False) -> Array:
        W = self._receive(x)  # x (N, n_in)
        N = len(x)
        self.z = self.buffer("z", (N, self.n_out), x)  # (N, n_out)
        namespace(x).matmul(x, W, out=self.z)
        y = self.buffer("y", self.z.shape, x)  # (N, n_out)
        self.y = self.activation.with_bias(self.z, self.b, out=y)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        xp = namespace(dy)
        dz = self.buffer("dz", dy.shape, dy)  # (N, n_out)
        self.dz = dz = self.activation.backward(dy, self.z, self.y, out=dz)
        xp.dot(self.x.T, dz, out=self.dW)  # matmul is slow for a batch of one
        xp.sum(dz, axis=0, out=self.db)
        if not input_gradient:
            return None
        return xp.matmul(dz, self.W.T, out=self.buffer("dx", self.x.shape, dy))

    def _expect_shape(self, shape: tuple[int | str, ...]) -> None:
        if len(shape) == 2 and shape[1] == self.n_in:
            return
        way_out = "is n_in that of the layer before?"
        if len(shape) > 2:
            sizes = math.prod(n for n in shape[1:] if isinstance(n, int))
            way_out = "put a Flatten layer before it"
            way_out += "" if sizes == self.n_in else f", and make n_in {sizes}"
        got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{self!r}: expected input (N, {self.n_in}), got ({got}); {way_out}")

    def __repr__(self) -> str:
        f = "" if self.activation.name == "linear" else f", {self.activation!r}"
        return f"Dense({self.n_in} -> {self.n_out}{f})"
