"""Softmax: scores to probabilities, the only function here that is not element-wise."""

from __future__ import annotations

import numpy as np

from minidl.activations.activation import Activation, as_floats
from minidl.backend import Array, namespace


class Softmax(Activation):
    """f(z)_i = e^(z_i) / Σ_j e^(z_j) over the last axis,  ∂f_i/∂z_j = y_i (δ_ij − y_j).

    Its range is (0, 1).  Not element-wise: ``derivative`` is the whole Jacobian and
    ``backward`` its product with the upstream gradient, dz = y ∘ (dy − ⟨dy, y⟩).
    """

    name = "softmax"
    formula = "e^(z_i) / Σ_j e^(z_j)"
    derivative_formula = "y_i (δ_ij − y_j)"
    range = (0.0, 1.0)
    max_slope = 0.25
    elementwise = False

    def __call__(self, z: Array) -> Array:
        with np.errstate(over="ignore"):  # if the difference overflows, −∞ is right
            return self.f(as_floats(z))

    def f(self, z: Array) -> Array:
        e = np.exp(z - z.max(axis=-1, keepdims=True))  # the same value, and no overflow
        return e / e.sum(axis=-1, keepdims=True)

    def derivative(self, z: Array, y: Array | None = None) -> Array:
        """The Jacobian ∂y_i/∂z_j = y_i (δ_ij − y_j), shape ``(…, K, K)`` for ``z`` ``(…, K)``."""
        z = as_floats(z)
        y = self(z) if y is None else y
        identity = namespace(z).eye(z.shape[-1], dtype=z.dtype)
        return y[..., :, None] * (identity - y[..., None, :])

    def backward(self, dy: Array, z: Array, y: Array) -> Array:
        """dz = y ∘ (dy − ⟨dy, y⟩): the Jacobian–vector product without the Jacobian."""
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
