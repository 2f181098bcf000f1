"""f and f' of the element-wise activation functions, in the precision of mpmath."""

from __future__ import annotations

import mpmath
from mpmath import mpf

LAMBDA = mpf("1.0507009873554804934193349852946")  # Klambauer et al., equation 14
ALPHA = mpf("1.6732632423543772848170429916717")


def _sigma(z: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-z))


def _softplus(z: mpf) -> mpf:
    return mpmath.log1p(mpmath.exp(z))


def _mish(z: mpf) -> mpf:
    return mpmath.tanh(_softplus(z))


def _cdf(z: mpf) -> mpf:
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def _u(z: mpf) -> mpf:
    """u of the tanh form of GELU."""
    return mpmath.sqrt(2 / mpmath.pi) * (z + mpf("0.044715") * z**3)


def _gelu_tanh_slope(z: mpf) -> mpf:
    du = mpmath.sqrt(2 / mpmath.pi) * (1 + 3 * mpf("0.044715") * z**2)
    return _sigma(2 * _u(z)) + 2 * z * du * _sigma(2 * _u(z)) * _sigma(-2 * _u(z))


def _clipped(z: mpf) -> mpf:
    return min(max(z / 6 + mpf(1) / 2, mpf(0)), mpf(1))


def _leaky(alpha: mpf):
    return lambda z: z if z > 0 else alpha * z, lambda z: mpf(1) if z > 0 else alpha


def _elu(alpha: mpf, scale: mpf):
    return (
        lambda z: scale * (z if z > 0 else alpha * mpmath.expm1(z)),
        lambda z: scale * (1 if z > 0 else alpha * mpmath.exp(z)),
    )


EXACTLY = {
    "linear": _leaky(mpf(1)),
    "sigmoid": (_sigma, lambda z: _sigma(z) * _sigma(-z)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "penalized_tanh": (
        lambda z: (1 if z > 0 else mpf(1) / 4) * mpmath.tanh(z),
        lambda z: (1 if z > 0 else mpf(1) / 4) * mpmath.sech(z) ** 2,
    ),
    "relu": _leaky(mpf(0)),
    "leaky_relu": _leaky(mpf(0.01)),  # the float that stands for 1/100
    "randomized_leaky_relu": _leaky(mpf(11) / 48),  # (1/8 + 1/3) / 2
    "squared_relu": (lambda z: max(z, mpf(0)) ** 2, lambda z: 2 * max(z, mpf(0))),
    "square": (lambda z: z**2, lambda z: 2 * z),
    "elu": _elu(mpf(1), mpf(1)),
    "selu": _elu(ALPHA, LAMBDA),
    "celu": _elu(mpf(1), mpf(1)),
    "gelu": (lambda z: z * _cdf(z), lambda z: _cdf(z) + z * mpmath.npdf(z)),
    "gelu_tanh": (lambda z: z * _sigma(2 * _u(z)), _gelu_tanh_slope),
    "swish": (lambda z: z * _sigma(z), lambda z: _sigma(z) * (1 + z * _sigma(-z))),
    "mish": (
        lambda z: z * _mish(z),
        lambda z: _mish(z) + z * _sigma(z) * mpmath.sech(_softplus(z)) ** 2,
    ),
    "softplus": (_softplus, _sigma),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "binary_step": (lambda z: mpf(z > 0), lambda z: mpf(0)),
    "relu6": (lambda z: min(max(z, mpf(0)), mpf(6)), lambda z: mpf(0 < z <= 6)),
    "hard_sigmoid": (_clipped, lambda z: mpf(-3 < z <= 3) / 6),
    "hard_swish": (
        lambda z: z * _clipped(z),
        lambda z: mpf(1) if z > 3 else z / 3 + mpf(1) / 2 if z > -3 else mpf(0),
    ),
}
