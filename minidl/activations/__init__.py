"""Activation functions: one class per function, f(z) and its analytic derivative f'(z).

A function is used as ``y = f(z)``, ``f.derivative(z)`` and, in a backward
pass, ``dz = f.backward(dy, z, y)``.  A subclass writes two formulas: ``f(z)``, and
``slope(z, y)`` for f'(z) given y = f(z).

The derivatives keep their *relative* precision in the tails.  ``y * (1 - y)``
would be the textbook form for sigmoid, but in float32 it is exactly 0 from
z = 17 on, where the true value is 4e-8: in a study of vanishing gradients,
that would be an artefact.
"""

from __future__ import annotations

from minidl.activations.activation import Activation, Linear, ReLU
from minidl.activations.exponential import CELU, ELU, SELU
from minidl.activations.gated import GELU, GELUTanh, Swish
from minidl.activations.piecewise import (
    BinaryStep,
    HardSigmoid,
    HardSwish,
    RandomizedLeakyReLU,
    ReLU6,
)
from minidl.activations.rectifiers import LeakyReLU, Square, SquaredReLU
from minidl.activations.saturating import PenalizedTanh, Sigmoid, Tanh, sigmoid
from minidl.activations.softened import Mish, Softplus, Softsign
from minidl.activations.softmax import Softmax
from minidl.backend import checks

__all__ = [
    "ACTIVATIONS",
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BinaryStep",
    "GELUTanh",
    "HardSigmoid",
    "HardSwish",
    "LeakyReLU",
    "Linear",
    "Mish",
    "PenalizedTanh",
    "RandomizedLeakyReLU",
    "ReLU",
    "ReLU6",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Square",
    "SquaredReLU",
    "Swish",
    "Tanh",
    "get_activation",
    "sigmoid",
]

ACTIVATIONS: dict[str, type[Activation]] = {
    cls.name: cls
    for cls in (
        *(Linear, Sigmoid, Tanh, PenalizedTanh),
        *(ReLU, LeakyReLU, SquaredReLU, Square, ELU, SELU, GELU, GELUTanh, Swish),
        *(Softplus, Mish, CELU, Softsign),
        *(BinaryStep, ReLU6, HardSigmoid, HardSwish, RandomizedLeakyReLU),
        Softmax,
    )
}


def get_activation(activation: str | Activation) -> Activation:
    """A new instance of the function named ``activation``; an instance is returned unchanged."""
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: expected one of {', '.join(ACTIVATIONS)}, or an instance, "
            f"got {checks.describe(activation)}"
        )
    return ACTIVATIONS[activation]()
