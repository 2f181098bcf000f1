"""The normal distribution function Φ, accurate in both tails."""

from __future__ import annotations

import math

import numpy as np

from minidl.backend import Array, special

# log(erfc(x) e^(x²) / t) as a polynomial in t = 1 / (1 + x/2) for x from 0 to ∞, highest power
# first: fitted at Chebyshev points with 40 digits, accurate to 1.1e-7, the rounding of float32.
FIT = (
    *(0.170872778, -0.822152234, 1.488515889, -1.135204000, 0.278868085),
    *(-0.186288062, 0.096784189, 0.374091960, 1.000023680, -1.265512225),
)


def normal_cdf(z: Array) -> Array:
    """Φ(z) = ½ erfc(−z/√2), in the type of ``z``; with erf, the left tail would cancel.

    In float32 it is ½ erfc(x) = ½ t exp(−x² + p(t)) for x = |z|/√2, and 1 minus that on the
    right, in about half the time of SciPy's erfc, which processes the numbers one by one.
    """
    if z.dtype != np.float32:
        return special(z).erfc(-z / math.sqrt(2)) / 2
    t = 1 / (1 + np.abs(z) * np.float32(math.sqrt(1 / 8)))
    p: Array | np.float32 = np.float32(FIT[0])
    for coefficient in FIT[1:]:
        p = p * t + np.float32(coefficient)
    tail = t * np.exp(p - z * z / 2) / 2
    return np.where(z > 0, 1 - tail, tail)
