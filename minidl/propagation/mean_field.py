"""A signal and its gradient in a wide untrained network, layer by layer, from f and f' alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from minidl.backend import checks
from minidl.propagation import _gaussian
from minidl.propagation._function import AnyFunction, as_activation

TINY = 1e-30  # the q at which what holds for q → 0 is computed
GRID = np.geomspace(1e-8, 1e5, 521)  # the q between which fixed points are looked for
TOUCHING = 1e-7  # V(q) − q, as a share of q, that is no distance where the two touch


@dataclass(frozen=True)
class FixedPoint:
    """A variance q = V(q), which layers preserve."""

    q: float
    chi: float  # χ: the factor of the squared gradient per layer
    chi_parallel: float  # χ∥ = dV/dq: the factor of a small difference of q per layer
    every: bool = False  # every q is one, as for ReLU at (2, 0)

    @property
    def stable(self) -> bool | None:
        """Whether q returns after a small change; None if χ∥ is 1, where it stays or creeps."""
        return None if abs(self.chi_parallel - 1) < 1e-6 else self.chi_parallel < 1


class MeanField:
    """A fully connected network of many units, z = x W + b, y = f(z), before any training.

    W is random with variance σ_w² / n_in and mean 0, b with variance σ_b².  The more units,
    the closer the z of a layer is to N(0, q); then, from one layer to the next::

        q'  = V(q) = σ_w² E f(z)² + σ_b²                 variance of z
        c'  = (σ_w² E f(z₁) f(z₂) + σ_b²) / V(q)         correlation of two inputs
        E dz² ← χ E dz'²,   χ(q) = σ_w² E f'(z)²         squared gradient, backwards

    with z ~ N(0, q), and z₁, z₂ with variance q and correlation c.  Means are accurate to 1e-10.

    Source: Poole et al., NeurIPS 2016; Schoenholz, Gilmer, Ganguli and Sohl-Dickstein, Deep
    Information Propagation, ICLR 2017.

    Parameters
    ----------
    activation : a name, an :class:`~minidl.activations.Activation`, or ``(f, f')``, two
        functions of an array.  A function with kinks elsewhere than at 0 has to be an
        ``Activation`` that names them in ``kinks``.
    sigma_w2, sigma_b2 : σ_w² and σ_b², the variance of a weight times n_in, and of a bias

    Raises
    ------
    ValueError
        if it is not a function, returns NaN, or f' is not its derivative.
    """

    def __init__(
        self, activation: AnyFunction, sigma_w2: float = 1.0, sigma_b2: float = 0.0
    ) -> None:
        self.f = as_activation("MeanField", activation)
        self.sigma_w2 = checks.positive("MeanField", "sigma_w2", sigma_w2)
        self.sigma_b2 = checks.not_negative("MeanField", "sigma_b2", sigma_b2)

    # -- one layer --------------------------------------------------------------------

    def variance(self, q: float) -> float:
        """V(q) = σ_w² E f(z)² + σ_b²."""
        return float(self.variances(_one("variance", q))[0])

    def chi(self, q: float) -> float:
        """χ(q) = σ_w² E f'(z)²; at q = 0 the limit."""
        return float(self.chis(_one("chi", q))[0])

    def chi_parallel(self, q: float) -> float:
        """χ∥(q) = dV/dq = σ_w² E[z f(z) f'(z)] / q; at q = 0 the limit."""
        return float(self.chis_parallel(_one("chi_parallel", q))[0])

    def correlation(self, c: float, q: float) -> float:
        """c' of two inputs whose z have variance q each and correlation c, from −1 to 1."""
        self._expect_correlation(c)
        q = float(_one("correlation", q)[0]) or TINY
        variance = self.variance(q)
        if variance == 0:
            raise ValueError(f"{self!r}: expected z that vary, got a variance of 0 behind f")
        return (self.sigma_w2 * self._mean_of_products(self.f, q, c) + self.sigma_b2) / variance

    def chi_at(self, c: float, q: float) -> float:
        """σ_w² E f'(z₁) f'(z₂): the factor of the product of the gradients of two inputs."""
        self._expect_correlation(c)
        q = float(_one("chi_at", q)[0]) or TINY
        return self.sigma_w2 * self._mean_of_products(self.f.derivative, q, c)

    def variances(self, q: np.ndarray) -> np.ndarray:
        """V of each of ``q`` (R,)."""
        at_zero = float(self.f(np.zeros(1))[0]) ** 2
        found = np.where(q > 0, self._mean(lambda z: self.f(z) ** 2, q), at_zero)
        return self.sigma_w2 * found + self.sigma_b2

    def chis(self, q: np.ndarray) -> np.ndarray:
        """χ at each of ``q`` (R,)."""
        return self.sigma_w2 * self._mean(lambda z: self.f.derivative(z) ** 2, q)

    def chis_parallel(self, q: np.ndarray) -> np.ndarray:
        """χ∥ at each of ``q`` (R,)."""
        q = np.maximum(q, TINY)
        return self.sigma_w2 * self._mean(lambda z: z * self.f(z) * self.f.derivative(z), q) / q

    # -- many layers ------------------------------------------------------------------

    def fixed_points(self) -> list[FixedPoint]:
        """The q that V leaves as they are, smallest first; none where the variance only grows.

        Looked for from 1e-8 to 1e5, and at 0; of two within 6% of each other none may be found.
        """
        from scipy.optimize import brentq

        def gap(q: float) -> float:
            return self.variance(q) / q - 1

        def steepness(q: float) -> float:
            return self.chi_parallel(q) - 1

        gaps, steep = self.variances(GRID) / GRID - 1, self.chis_parallel(GRID) - 1
        if (np.abs(gaps) < 1e-12).all():
            return [self._fixed(1.0, every=True)]
        found = [0.0] if self.variance(0.0) == 0 else []
        found += [brentq(gap, *ends, xtol=1e-13) for ends in _changes(gaps)]
        # Where V touches the diagonal without crossing it: the critical point of GELU.
        touching = [brentq(steepness, *ends, xtol=1e-13) for ends in _changes(steep)]
        for q in touching:
            if abs(gap(q)) < TOUCHING and not any(math.isclose(q, p, rel_tol=1e-3) for p in found):
                found.append(q)
        return [self._fixed(q) for q in sorted(found)]

    def correlation_limit(self, q: float) -> float:
        """c*: the correlation that two different inputs end with where the variance is q.

        At a fixed point q it is 1 where χ ≤ 1, the ordered phase: layers forget what was
        different.  It is below 1 where χ > 1, the chaotic one: even neighbours come apart.
        """
        from scipy.optimize import brentq

        q = float(_one("correlation_limit", q)[0]) or TINY
        if self._correlation_slope(1.0, q) <= 1 + 1e-9:
            return 1.0

        def gap(c: float) -> float:
            return self.correlation(c, q) - c

        if gap(0.0) <= 1e-14:
            return 0.0
        below = next(c for c in (1 - 10.0**-k for k in range(2, 13)) if gap(c) < 0)
        return float(brentq(gap, 0.0, below, xtol=1e-13))

    def depth_scales(self, q: float) -> tuple[float, float]:
        """ξ_q and ξ_c at a fixed point q: layers in which a difference of q, of c, falls to 1/e.

        ξ = −1 / log χ, with χ∥ for q and with χ at c* for c.  They are infinite where nothing
        falls, as at a critical point; a signal passes about 6 ξ_c layers (Schoenholz et al.).
        """
        slope = self._correlation_slope(self.correlation_limit(q), float(q) or TINY)
        return depth_scale(self.chi_parallel(q)), depth_scale(slope)

    def __repr__(self) -> str:
        return f"MeanField({self.f!r}, sigma_w2={self.sigma_w2:g}, sigma_b2={self.sigma_b2:g})"

    def _correlation_slope(self, c: float, q: float) -> float:
        """dc'/dc = σ_w² q E f'(z₁) f'(z₂) / V(q): at a fixed point χ at c."""
        chi = self.chi(q) if c == 1 else self.chi_at(c, q)
        return chi and chi * q / self.variance(q)  # f may be 0 where f' is

    def _fixed(self, q: float, every: bool = False) -> FixedPoint:
        return FixedPoint(q, self.chi(q), self.chi_parallel(q), every)

    def _mean(self, g: _gaussian.Function, q: np.ndarray) -> np.ndarray:
        try:
            return _gaussian.mean(g, np.maximum(q, TINY), self.f.kinks)
        except _gaussian.NotConverged as error:
            raise self._not_converged(error, float(q.max())) from error

    def _mean_of_products(self, g: _gaussian.Function, q: float, c: float) -> float:
        try:
            return _gaussian.mean_of_products(g, q, c, self.f.kinks)
        except _gaussian.NotConverged as error:
            raise self._not_converged(error, q) from error

    def _not_converged(self, error: ValueError, q: float) -> ValueError:
        return ValueError(
            f"{self!r}: expected a mean that settles at q = {q:.3g}, got one that {error}"
        )

    def _expect_correlation(self, c: float) -> None:
        if not -1 <= checks.finite(self, "c", c) <= 1:
            raise ValueError(f"{self!r}: expected c from -1 to 1, got {c:g}")


def depth_scale(rate: float) -> float:
    """ξ = −1 / log χ: the layers in which what is multiplied by χ in each falls to 1/e.

    Infinite from χ = 1 on, where nothing falls; 0 for χ = 0.
    """
    rate = checks.not_negative("depth_scale", "rate", rate)
    if rate == 0:
        return 0.0
    return math.inf if rate >= 1 - 1e-9 else -1 / math.log(rate)


def _one(name: str, q: float) -> np.ndarray:
    return np.array([checks.not_negative(f"MeanField.{name}", "q", q)])


def _changes(values: np.ndarray) -> list[tuple[float, float]]:
    """The neighbours in the grid between which ``values`` changes from + to − or back."""
    clear = np.where(np.abs(values) < 1e-12, 0, np.sign(values))
    at = np.flatnonzero(clear)
    return [(GRID[i], GRID[j]) for i, j in pairwise(at) if clear[i] != clear[j]]
