"""The fully connected layer: an affine map and an activation function."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations import Activation
from minidl.backend import Array, checks
from minidl.backend.arrays import in_sentences, rows
from minidl.initializers import Initializer
from minidl.kernel import kernel
from minidl.layers._affine import Affine


class Dense(Affine):
    """y = f(z),  z = x W + b.

    Backward, from dy = ∂L/∂y to the gradients of everything that made y::

        dz = dy ∘ f'(z)        (N, n_out)
        dW = xᵀ dz             (n_in, n_out)
        db = Σ_n dz_n          (n_out,)
        dx = dz Wᵀ             (N, n_in)

    These are equations BP1–BP4 of Nielsen, Neural Networks and Deep Learning,
    chapter 2, for a whole batch at once, with one example per row.  In sentences
    (N, T, n_in) each token is a row, and all of them share the same W.

    Parameters
    ----------
    n_in, n_out : number of features of the input and of the output
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance
    weights, biases : initializers of W and b, see :mod:`minidl.initializers`
    """

    W: Array  # (n_in, n_out)
    b: Array  # (n_out,)
    dW: Array
    db: Array
    z: Array  # (N, n_out) or (N, T, n_out) pre-activation of the last forward
    dz: Array  # its gradient in the last backward, in the shape of z

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str | Activation = "linear",
        weights: str | Initializer = "glorot_uniform",
        biases: str | Initializer = "zeros",
    ) -> None:
        self.n_in = checks.integer("Dense", "n_in", n_in)
        self.n_out = checks.integer("Dense", "n_out", n_out)
        super().__init__((self.n_in, self.n_out), activation, weights, biases)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out), "b": (self.n_out,)}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) not in (1, 2) or input_shape[-1] != self.n_in:
            hint = "is n_in that of the layer before?"
            if len(input_shape) > 1:
                size = math.prod(input_shape)
                hint = "put a Flatten layer before it"
                hint += "" if size == self.n_in else f", and make n_in {size}"
            raise self.misfit(f"(N, {self.n_in})", input_shape, hint)
        return (*input_shape[:-1], self.n_out)

    @kernel
    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, n_in), or (N, T, n_in)
        self.z = in_sentences(rows(x) @ self.W + self.b, x)  # (N, n_out), or (N, T, n_out)
        self.y = self.f(self.z)
        return self.y

    @kernel
    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.dz = self.f.backward(dy, self.z, self.y)  # dy ∘ f'(z)
        dz = rows(self.dz)
        np.dot(rows(self.x).T, dz, out=self.dW)  # into ∇θ; matmul is slow for a batch of one
        dz.sum(axis=0, out=self.db)
        return in_sentences(dz @ self.W.T, self.x) if input_gradient else None

    def __repr__(self) -> str:
        f = "" if self.f.name == "linear" else f", {self.f!r}"
        return f"Dense({self.n_in} -> {self.n_out}{f})"
