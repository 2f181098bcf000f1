"""The initialization with which a signal and its gradient keep their size through every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from minidl.backend import checks
from minidl.initializers import Initializer
from minidl.propagation._function import AnyFunction, as_activation
from minidl.propagation.mean_field import GRID, TINY, MeanField, _changes

RANGE = GRID[(GRID >= 1e-6) & (GRID <= 1e3)]


@dataclass(frozen=True)
class Critical:
    """σ_w² and σ_b² with χ = χ∥ = 1 at a variance q = V(q)."""

    sigma_w2: float
    sigma_b2: float
    q: float  # 1 where every q is one
    every: bool = False


def critical_points(activation: AnyFunction) -> list[Critical]:
    """All critical initializations of a function, by the variance q they preserve, smallest first.

    χ∥ = χ requires σ_w² E[z f f'] / q = σ_w² E f'², in which σ_w² cancels: an equation
    for q alone.  Then χ = 1 and V(q) = q give::

        σ_w² = 1 / E f'(z)²,    σ_b² = q − σ_w² E f(z)² ≥ 0

    If the equation holds for all q, as for ReLU, σ_b² is 0 and every q is preserved.  q → 0
    is a solution if f(0) = 0 and small variances do not grow, as for tanh.  The search ends at
    q = 1000.

    Source: Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022,
    sections 5.1 to 5.3; Doshi, He and Gromov, NeurIPS 2023.
    """
    from scipy.optimize import brentq

    field = MeanField(as_activation("critical_points", activation), 1.0)

    def excess(q: float) -> float:
        return field.chi_parallel(q) / field.chi(q) - 1

    if field.chi(1.0) == 0:
        return []
    values = np.full(len(GRID), np.nan)
    inside = np.isin(GRID, RANGE)
    with np.errstate(divide="ignore", invalid="ignore"):
        values[inside] = field.chis_parallel(RANGE) / field.chis(RANGE) - 1
    values[~np.isfinite(values)] = 0
    if (np.abs(values) < 1e-12).all():
        return _at(field, 1.0, every=True)
    clear = values[np.abs(values) > 1e-12]
    found = _at(field, 0.0) if clear[0] < 0 else []
    for low, high in _changes(values):
        found += _at(field, float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))
    return found


def critical_point(activation: AnyFunction) -> Critical:
    """The critical initialization of a function, that of the smallest q if there are several.

    Raises
    ------
    ValueError
        if there is none: sigmoid would need a negative σ_b².
    """
    found = critical_points(activation)
    if not found:
        f = as_activation("critical_point", activation)
        raise ValueError(
            f"critical_point: expected a function with a critical initialization, got {f!r}, "
            "which has none: no σ_w² > 0, σ_b² ≥ 0 keep both the signal and its gradient"
        )
    return found[0]


def critical(activation: AnyFunction) -> tuple[Initializer, Initializer]:
    """Initializers of W and b at the critical point: N(0, σ_w²/n_in) and N(0, σ_b²).

    A signal and its gradient then keep their size through any number of wide layers::

        Dense(512, 512, "gelu", *critical("gelu"))

    For ReLU these are ``he_normal`` and zeros, for tanh ``lecun_normal`` and zeros.  The point is
    that of :func:`critical_point`, which also says what ``activation`` may be.

    Raises
    ------
    ValueError
        if there is no critical point, as for sigmoid.
    """
    point = critical_point(activation)
    return partial(_normal_in, point.sigma_w2), partial(_normal, point.sigma_b2)


# Not inside ``critical``: they could not be sent to another process.


def _normal(
    sigma2: float, rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    return rng.normal(0, math.sqrt(sigma2), shape)


def _normal_in(
    sigma2: float, rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int
) -> np.ndarray:
    return rng.normal(0, math.sqrt(sigma2 / n_in), shape)


def edge_of_chaos(activation: AnyFunction, sigma_b2: float) -> float:
    """The σ_w² at which χ = 1 for a given σ_b²: the line between order and chaos.

    With χ = 1, σ_w² is 1 / E f'(z)² and σ_b² = q − σ_w² E f(z)², both functions of q;
    solved for the smallest q.  On this line ξ_c is infinite; ξ_q only at a critical point.

    Source: Poole et al., NeurIPS 2016, section 2; Schoenholz et al., ICLR 2017, figure 1.

    Raises
    ------
    ValueError
        if χ = 1 at no σ_w² for this σ_b².
    """
    from scipy.optimize import brentq

    field = MeanField(as_activation("edge_of_chaos", activation))
    wanted = checks.not_negative("edge_of_chaos", "sigma_b2", sigma_b2)

    def surplus(q: float) -> float:
        return q - field.variance(q) / field.chi(q) - wanted

    with np.errstate(divide="ignore", invalid="ignore"):
        values = RANGE - field.variances(RANGE) / field.chis(RANGE) - wanted
    if wanted == 0:  # at q = 0, or at every q
        for point in critical_points(field.f):
            if point.sigma_b2 == 0:
                return point.sigma_w2
    above = np.flatnonzero(values > 0)
    low = RANGE[above[0] - 1] if len(above) and above[0] else TINY
    if not len(above) or surplus(low) > 0:
        raise ValueError(
            f"edge_of_chaos: expected a σ_b² with a σ_w² at which χ = 1, got {wanted:g} for "
            f"{field.f!r}, which has none"
        )
    q = brentq(surplus, low, RANGE[above[0]], xtol=1e-14)
    return 1 / field.chi(q)


def _at(field: MeanField, q: float, every: bool = False) -> list[Critical]:
    """The critical initialization at q, if there is one, as a list of one or none."""
    chi, square = field.chi(q), field.variance(q)  # E f'², E f²
    if chi == 0:
        return []
    sigma_w2 = 1 / chi
    sigma_b2 = q - sigma_w2 * square
    if sigma_b2 < -1e-10 * max(q, sigma_w2 * square, TINY):
        return []
    return [Critical(sigma_w2, 0.0 if sigma_b2 < 1e-12 * max(q, TINY) else sigma_b2, q, every)]
