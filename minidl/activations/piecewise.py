"""Piecewise linear functions (and one with a parabola): step, clipped functions, random slopes."""

from __future__ import annotations

import math

import numpy as np

from minidl.activations.activation import Activation
from minidl.activations.rectifiers import LeakyReLU
from minidl.backend import Array, checks


class BinaryStep(Activation):
    """f(z) = 1 for z > 0 and 0 for z ≤ 0,  f'(z) = 0,  range [0, 1].

    Source: McCulloch and Pitts, 1943; Rosenblatt's perceptron, 1958.  f jumps at 0, and f' is
    0 on both sides.  So dz = dy ∘ f'(z) is zero, and with it the gradient of all earlier
    layers: backpropagation cannot train them, whatever their initial weights.  The zeros are
    right: a small change of a weight changes nothing, or, if a z crosses 0, changes y by 1,
    which no derivative can express.
    """

    name = "binary_step"
    formula = "1 for z > 0, else 0"
    derivative_formula = "0"
    range = (0.0, 1.0)
    kinks = (0.0,)
    max_slope = 0.0

    def f(self, z: Array) -> Array:
        return np.heaviside(z, 0)

    def slope(self, z: Array, y: Array) -> Array:
        return np.zeros_like(z)


class ReLU6(Activation):
    """f(z) = min(max(0, z), 6),  f'(z) = 1 for 0 < z ≤ 6, else 0,  range [0, 6].

    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.  The kinks are
    at 0 and 6, where f' = 0 and 1.
    """

    name = "relu6"
    formula = "min(max(0, z), 6)"
    derivative_formula = "1 for 0 < z ≤ 6, else 0"
    range = (0.0, 6.0)
    kinks = (0.0, 6.0)

    def f(self, z: Array) -> Array:
        return np.minimum(np.maximum(z, 0), 6)

    def slope(self, z: Array, y: Array) -> Array:
        return (z > 0) & (z <= 6)


class HardSigmoid(Activation):
    """f(z) = min(max(0, z/6 + ½), 1),  f'(z) = 1/6 for −3 < z ≤ 3, else 0,  range [0, 1].

    Source: Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2; PyTorch and
    Keras have the same.  The kinks are at −3 and 3, where f' = 0 and 1/6.
    """

    name = "hard_sigmoid"
    formula = "min(max(0, z/6 + ½), 1)"
    derivative_formula = "1/6 for −3 < z ≤ 3, else 0"
    range = (0.0, 1.0)
    kinks = (-3.0, 3.0)
    max_slope = 1 / 6

    def f(self, z: Array) -> Array:
        return np.minimum(np.maximum(z / 6 + 0.5, 0), 1)

    def slope(self, z: Array, y: Array) -> Array:
        return ((z > -3) & (z <= 3)) / z.dtype.type(6)


class HardSwish(Activation):
    """f(z) = z min(max(0, z/6 + ½), 1),  f'(z) = z/3 + ½ for −3 < z ≤ 3, 0 below, 1 above.

    Its range is [−3/8, ∞).  Source: Howard et al., ICCV 2019, section 5.2.  The kinks are at
    −3 and 3, where f' = 0 and 3/2.
    """

    name = "hard_swish"
    formula = "z min(max(0, z/6 + ½), 1)"
    derivative_formula = "0 for z ≤ −3, z/3 + ½ up to 3, then 1"
    range = (-0.375, math.inf)
    kinks = (-3.0, 3.0)
    max_slope = 1.5  # at z = 3

    def f(self, z: Array) -> Array:
        return z * np.minimum(np.maximum(z / 6 + 0.5, 0), 1)

    def slope(self, z: Array, y: Array) -> Array:
        return np.where(z > 3, 1, (z > -3) * (np.minimum(z, 3) / 3 + 0.5))


class RandomizedLeakyReLU(LeakyReLU):
    """f(z) = z for z > 0 and α z for z ≤ 0, with α = (l + u)/2;  f'(z) = 1 and α.

    Source: Xu, Wang, Chen and Li, Empirical Evaluation of Rectified Activations, 2015, section
    2.4.  In their training, each negative z has its own α, drawn from U(l, u); in inference,
    all have the mean.  An activation function draws nothing and keeps nothing, so this is
    the function with the mean, in training as well as in inference.  The layer that draws slopes
    is :class:`minidl.RReLU`.  By default l = 1/8 and u = 1/3, as in PyTorch.  The kink is at
    0, where f' = α.
    """

    name = "randomized_leaky_relu"
    formula = "z for z > 0, else z (l + u)/2"
    derivative_formula = "1 for z > 0, else (l + u)/2"

    def __init__(self, low: float = 1 / 8, high: float = 1 / 3) -> None:
        self.low = checks.fraction(self.name, "low", low)
        self.high = checks.fraction(self.name, "high", high)
        if self.low > self.high:
            raise ValueError(f"{self.name}: expected low up to high {high:g}, got {low:g}")
        super().__init__((self.low + self.high) / 2)

    def __repr__(self) -> str:
        return f"{self.name}({self.low:g}, {self.high:g})"
