"""e^z, in float32 as a few lines that a compiler turns into vector instructions.

Reduction and polynomial are those of Cephes (Moshier): z = n log 2 + r with |r| ≤ ½ log 2, and
e^z = 2ⁿ eʳ, where eʳ is a polynomial of degree 7, and 2ⁿ a float with the exponent n.  Within one
unit in the last place; 0 and infinity where float32 ends, NaN for NaN.
"""

# mypy: ignore-errors
# Numba compiles these functions from what they do with its own types.

from __future__ import annotations

import numba
import numpy as np
from numba import types
from numba.extending import overload

from minidl.fast.compiler import OPTIONS

f = np.float32
LEAST, LARGEST = f(-104), f(89)  # beyond, float32 has 0 and infinity
LOG2_E = f(1.44269504)
LN2_HIGH, LN2_LOW = f(0.693145752), f(1.42860677e-6)  # log 2 as a sum: n times the first is exact
C7, C6, C5 = f(1.9875691500e-4), f(1.3981999507e-3), f(8.3334519073e-3)
C4, C3, C2 = f(4.1665795894e-2), f(1.6666665459e-1), f(5.0000001201e-1)
BIAS, MANTISSA = np.int32(127), np.int32(23)  # of float32's exponent; bits of its mantissa


@numba.njit(inline="always", **OPTIONS)
def _power(k):
    """2ᵏ: the float32 with that exponent, by its bits."""
    return np.int32((k + BIAS) << MANTISSA).view(f)


@numba.njit(inline="always", **OPTIONS)
def _exp(z):
    z = min(max(z, LEAST), LARGEST)
    n = np.rint(z * LOG2_E)
    r = z - n * LN2_HIGH - n * LN2_LOW
    p = (((((C7 * r + C6) * r + C5) * r + C4) * r + C3) * r + C2) * (r * r) + r + f(1)
    k = np.int32(n)
    half = k >> np.int32(1)  # 2ⁿ in two factors: one might not have the exponent
    return p * _power(half) * _power(k - half)


def _of_type(z):
    """e^z, by a function for each type."""


@overload(_of_type, inline="always")
def _choose(z):
    return (lambda z: _exp(z)) if z == types.float32 else (lambda z: np.exp(z))


@numba.njit(inline="always", **OPTIONS)
def exp(z):
    """e^z of one number."""
    return _of_type(z)
