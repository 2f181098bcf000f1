"""Activation functions: one class per function, f(z) and its analytic derivative f'(z).

A function is used as ``y = f(z)``, ``f.derivative(z)`` and, in a backward
pass, ``dz = f.backward(dy, z, y)``.  A subclass writes two methods: ``f(z, y)``
fills ``y``, ``df(z, y, d)`` fills ``d`` with f'(z), where ``y`` holds f(z).

The derivatives keep their *relative* precision in the tails.  ``y * (1 - y)``
would be the textbook form of sigmoid's, but in float32 it is exactly 0 from
z = 17 on, where the true value is 4e-8: in a study of vanishing gradients
that is an artefact.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from minidl import kernels
from minidl.backend import Array, Workspace, namespace, special


class Activation(Workspace):
    """Base of all: checks, memory, and the chain rule for element-wise functions.

    An instance keeps scratch arrays, so one instance serves one layer.
    """

    name: ClassVar[str]
    formula: ClassVar[str]  # f(z), for tables and figures
    derivative_formula: ClassVar[str]
    range: tuple[float, float]  # infimum and supremum of f
    kink: float | None = None  # where f' jumps; f' there is the value from the left
    max_slope: float = 1.0  # the supremum of |f'|
    elementwise: ClassVar[bool] = True

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        """f(z), in ``out`` where given; ``z`` of any shape, left unchanged."""
        z = _as_floats(z)
        y = namespace(z).empty_like(z) if out is None else out
        if kernels.has_kernel(self, z):
            kernels.activation(self, z, y)
            return y
        # e^z may overflow to inf: the formulas below are written so that 1/inf = 0 is right.
        with np.errstate(over="ignore", under="ignore"):
            self.f(z, y)
        return y

    def with_bias(self, z: Array, b: Array, out: Array) -> Array:
        """z ← z + b, in place, and f(z) in ``out``; ``b`` has the shape of the last axes of z."""
        if kernels.has_kernel(self, z):
            kernels.bias_activation(self, z, b, out)
            return out
        z += b
        return self(z, out)

    def derivative(self, z: Array, y: Array | None = None, out: Array | None = None) -> Array:
        """f'(z), same shape as ``z``; ``y`` is f(z) where it is known already."""
        z = _as_floats(z)
        y = self(z) if y is None else y
        d = namespace(z).empty_like(z) if out is None else out
        if kernels.has_kernel(self, z):
            kernels.activation_slope(self, z, y, d)
            return d
        with np.errstate(over="ignore", under="ignore"):
            self.df(z, y, d)
        return d

    def backward(self, dy: Array, z: Array, y: Array, out: Array | None = None) -> Array:
        """dz = dy ∘ f'(z): the chain rule through y = f(z)."""
        if out is not None and kernels.has_kernel(self, z):
            kernels.activation_backward(self, dy, z, y, out)
            return out
        dz = self.derivative(z, y, out)
        dz *= dy
        return dz

    def f(self, z: Array, y: Array) -> None:
        """Write f(z) into ``y``."""
        raise NotImplementedError

    def df(self, z: Array, y: Array, d: Array) -> None:
        """Write f'(z) into ``d``; ``y`` holds f(z)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name


def _as_floats(z: Array) -> Array:
    """``z`` itself if it is a floating-point array, else as float64 (lists, integers)."""
    return z if getattr(getattr(z, "dtype", None), "kind", "") == "f" else np.asarray(z, float)


def sigmoid(z: Array, y: Array) -> Array:
    """y = σ(z) = 1 / (1 + e^(−z)).  The sum has no cancellation, so both tails are precise.

    For z below −88 in float32 (−709 in float64) e^(−z) overflows and y is 0; the
    caller silences that with ``np.errstate(over="ignore")``.
    """
    np.negative(z, out=y)
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


class Linear(Activation):
    """f(z) = z,  f'(z) = 1,  range (−∞, ∞)."""

    name = "linear"
    formula = "z"
    derivative_formula = "1"
    range = (-math.inf, math.inf)

    def f(self, z: Array, y: Array) -> None:
        y[...] = z

    def df(self, z: Array, y: Array, d: Array) -> None:
        d[...] = 1


class Sigmoid(Activation):
    """f(z) = σ(z) = 1 / (1 + e^(−z)),  f'(z) = σ(z) σ(−z),  range (0, 1)."""

    name = "sigmoid"
    formula = "1 / (1 + e^(−z))"
    derivative_formula = "σ(z) σ(−z)"
    range = (0.0, 1.0)
    max_slope = 0.25

    def f(self, z: Array, y: Array) -> None:
        sigmoid(z, y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.exp(z, out=d)  # σ(−z) = 1 / (1 + e^z)
        d += 1
        np.divide(y, d, out=d)


class Tanh(Activation):
    """f(z) = tanh(z),  f'(z) = 1 / cosh²(z),  range (−1, 1)."""

    name = "tanh"
    formula = "tanh(z)"
    derivative_formula = "1 / cosh²(z)"
    range = (-1.0, 1.0)

    def f(self, z: Array, y: Array) -> None:
        np.tanh(z, out=y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.cosh(z, out=d)  # 1 − tanh² would cancel in the tails
        np.reciprocal(d, out=d)
        d *= d


class ReLU(Activation):
    """f(z) = max(0, z),  f'(z) = 1 for z > 0 and 0 for z ≤ 0,  range [0, ∞).

    Source: Nair and Hinton, ICML 2010.  The kink is at 0, where f' = 0.
    """

    name = "relu"
    formula = "max(0, z)"
    derivative_formula = "1 for z > 0, else 0"
    range = (0.0, math.inf)
    kink = 0.0

    def f(self, z: Array, y: Array) -> None:
        np.maximum(z, 0, out=y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.greater(z, 0, out=d)


class LeakyReLU(Activation):
    """f(z) = max(α z, z),  f'(z) = 1 for z > 0 and α for z ≤ 0,  range (−∞, ∞).

    Source: Maas, Hannun and Ng, ICML 2013.  α from 0 to 1, 0.01 unless given;
    the kink is at 0, where f' = α.
    """

    name = "leaky_relu"
    formula = "max(α z, z)"
    derivative_formula = "1 for z > 0, else α"
    range = (-math.inf, math.inf)
    kink = 0.0

    def __init__(self, alpha: float = 0.01) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"leaky_relu: expected alpha from 0 to 1, got {alpha}")
        self.alpha = float(alpha)

    def f(self, z: Array, y: Array) -> None:
        np.multiply(z, self.alpha, out=y)
        np.maximum(z, y, out=y)

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.greater(z, 0, out=d)
        np.maximum(d, self.alpha, out=d)

    def __repr__(self) -> str:
        return f"{self.name}({self.alpha:g})"


class ELU(Activation):
    """f(z) = z for z > 0 and α (e^z − 1) for z ≤ 0;  f'(z) = 1 and α e^z;  range (−α, ∞).

    Source: Clevert, Unterthiner and Hochreiter, ICLR 2016, equation 15.
    α > 0, 1 unless given; with α ≠ 1 there is a kink at 0, where f' = α.
    """

    name = "elu"
    formula = "z for z > 0, else α (e^z − 1)"
    derivative_formula = "1 for z > 0, else α e^z"
    scale = 1.0  # λ, for SELU

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"{self.name}: expected alpha above 0, got {alpha}")
        self.alpha = float(alpha)
        self.range = (-self.scale * self.alpha, math.inf)
        self.kink = None if self.alpha == 1 else 0.0
        self.max_slope = self.scale * max(1.0, self.alpha)

    def f(self, z: Array, y: Array) -> None:
        np.minimum(z, 0, out=y)
        np.expm1(y, out=y)
        y *= self.alpha
        namespace(z).copyto(y, z, where=self._positive(z))
        y *= self.scale

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.minimum(z, 0, out=d)
        np.exp(d, out=d)
        d *= self.alpha
        namespace(z).copyto(d, 1, where=self._positive(z))
        d *= self.scale

    def _positive(self, z: Array) -> Array:
        return np.greater(z, 0, out=self.buffer("positive", z.shape, z, bool))

    def __repr__(self) -> str:
        return f"{self.name}({self.alpha:g})"


class SELU(ELU):
    """f(z) = λ z for z > 0 and λ α (e^z − 1) for z ≤ 0;  f'(z) = λ and λ α e^z;  range (−λα, ∞).

    α = 1.6733, λ = 1.0507 keep mean 0 and variance 1 from layer to layer.
    Source: Klambauer et al., NeurIPS 2017, equations 2 and 14.  The kink is
    at 0, where f' = λα.
    """

    name = "selu"
    formula = "λ z for z > 0, else λ α (e^z − 1)"
    derivative_formula = "λ for z > 0, else λ α e^z"
    scale = 1.0507009873554804934193349852946

    def __init__(self) -> None:
        super().__init__(alpha=1.6732632423543772848170429916717)

    def __repr__(self) -> str:
        return self.name


class GELU(Activation):
    """f(z) = z Φ(z),  f'(z) = Φ(z) + z φ(z),  range [−0.17, ∞).

    Φ is the normal distribution function and φ its density: the exact form,
    not the tanh approximation.  Source: Hendrycks and Gimpel, 2016.
    """

    name = "gelu"
    formula = "z Φ(z)"
    derivative_formula = "Φ(z) + z φ(z)"
    range = (-0.16997120747990369, math.inf)
    max_slope = 1.1289041451512186  # at z = √2

    def f(self, z: Array, y: Array) -> None:
        self._normal_cdf(z, y)
        y *= z

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.multiply(z, z, out=d)
        d *= -0.5
        np.exp(d, out=d)
        d *= 1 / math.sqrt(2 * math.pi)  # φ(z)
        d *= z
        d += self._normal_cdf(z, self.buffer("cdf", z.shape, z))

    @staticmethod
    def _normal_cdf(z: Array, out: Array) -> Array:
        """Φ(z) = ½ erfc(−z/√2): with erf in its place the left tail would cancel."""
        np.multiply(z, -1 / math.sqrt(2), out=out)
        special(z).erfc(out, out=out)
        out *= 0.5
        return out


class Swish(Activation):
    """f(z) = z σ(z),  f'(z) = σ(z) (1 + z σ(−z)),  range [−0.28, ∞).

    Source: Ramachandran, Zoph and Le, 2017, with β = 1; also called SiLU.
    """

    name = "swish"
    formula = "z σ(z)"
    derivative_formula = "σ(z) (1 + z σ(−z))"
    range = (-0.27846454276107379, math.inf)
    max_slope = 1.0998393201307136  # at z = 2.3994

    def f(self, z: Array, y: Array) -> None:
        sigmoid(z, y)
        y *= z

    def df(self, z: Array, y: Array, d: Array) -> None:
        np.exp(z, out=d)  # z σ(−z) = z / (1 + e^z)
        d += 1
        np.divide(z, d, out=d)
        d += 1
        d *= sigmoid(z, self.buffer("sigmoid", z.shape, z))


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

    def f(self, z: Array, y: Array) -> None:
        np.subtract(z, z.max(axis=-1, keepdims=True), out=y)  # the same value, and no overflow
        np.exp(y, out=y)
        y /= y.sum(axis=-1, keepdims=True)

    def derivative(self, z: Array, y: Array | None = None, out: Array | None = None) -> Array:
        """The Jacobian ∂y_i/∂z_j = y_i (δ_ij − y_j), shape ``(…, K, K)`` for ``z`` ``(…, K)``."""
        z = _as_floats(z)
        xp = namespace(z)
        y = self(z) if y is None else y
        identity = xp.eye(z.shape[-1], dtype=z.dtype)
        jacobian = y[..., :, None] * (identity - y[..., None, :])
        if out is None:
            return jacobian
        out[...] = jacobian
        return out

    def backward(self, dy: Array, z: Array, y: Array, out: Array | None = None) -> Array:
        """dz = y ∘ (dy − ⟨dy, y⟩): the Jacobian–vector product without the Jacobian."""
        dz = namespace(z).empty_like(z) if out is None else out
        np.multiply(dy, y, out=dz)
        inner = dz.sum(axis=-1, keepdims=True)  # ⟨dy, y⟩  (…, 1)
        np.subtract(dy, inner, out=dz)
        dz *= y
        return dz


ACTIVATIONS: dict[str, type[Activation]] = {
    cls.name: cls
    for cls in (Linear, Sigmoid, Tanh, ReLU, LeakyReLU, ELU, SELU, GELU, Swish, Softmax)
}


def get_activation(activation: str | Activation) -> Activation:
    """The function called ``activation``, newly made; an instance is returned as it is."""
    if isinstance(activation, Activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}"
        )
    return ACTIVATIONS[activation]()
