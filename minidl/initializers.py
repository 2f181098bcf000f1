"""Initial weights: each function draws an array of ``shape`` for a layer with n_in and n_out.

``n_in`` and ``n_out`` count the connections into and out of one unit (for a
convolution, those of its kernel).  Everything is drawn in float64 from a
``numpy.random.Generator`` on the CPU and rounded afterwards, so that float32
and float64, CPU and GPU start from the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from minidl.backend import checks

Initializer: TypeAlias = Callable[[np.random.Generator, tuple[int, ...], int, int], np.ndarray]


def glorot_uniform(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """U(−l, l) with l = √(6 / (n_in + n_out)).  Glorot and Bengio, AISTATS 2010, equation 16."""
    limit = math.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """N(0, 2 / (n_in + n_out)).  Glorot and Bengio, AISTATS 2010, equation 12."""
    return rng.normal(0, math.sqrt(2 / (n_in + n_out)), shape)


def he_uniform(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """U(−l, l) with l = √(6 / n_in), for ReLU.  He et al., ICCV 2015, equation 10."""
    limit = math.sqrt(6 / n_in)
    return rng.uniform(-limit, limit, shape)


def he_normal(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """N(0, 2 / n_in), for ReLU.  He et al., ICCV 2015, equation 10."""
    return rng.normal(0, math.sqrt(2 / n_in), shape)


def he_normal_out(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """N(0, 2 / n_out), to preserve the size of gradients.  He et al., ICCV 2015, equation 14."""
    return rng.normal(0, math.sqrt(2 / n_out), shape)


def lecun_normal(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """N(0, 1 / n_in), for SELU.  LeCun et al., Efficient BackProp, 1998, section 4.6."""
    return rng.normal(0, math.sqrt(1 / n_in), shape)


def fan_in_uniform(
    rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    """U(−l, l) with l = 1 / √n_in: PyTorch's default for W and b of dense and convolution layers.

    LeCun et al. (see :func:`lecun_normal`) recommend three times this variance.
    """
    limit = 1 / math.sqrt(n_in)
    return rng.uniform(-limit, limit, shape)


def zeros(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> np.ndarray:
    """All zeros: right for biases, but weights that are all zero stay equal to one another."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    function.__name__: function
    for function in (
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        he_normal_out,
        lecun_normal,
        fan_in_uniform,
        zeros,
    )
}


def constant(value: float) -> Initializer:
    """The initializer that returns ``value`` everywhere, for biases: ``biases=constant(0.01)``."""
    return partial(_fill, checks.finite("constant", "value", value))


# Not inside another function: it could not be sent to another process.
def _fill(
    value: float, rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    return np.full(shape, value)


def get_initializer(initializer: str | Initializer) -> Initializer:
    """The function of that name; a function is returned unchanged."""
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str) or initializer not in INITIALIZERS:
        raise ValueError(
            f"initializer: expected one of {', '.join(INITIALIZERS)}, or a function, "
            f"got {checks.describe(initializer)}"
        )
    return INITIALIZERS[initializer]
