"""Estimates with their uncertainty: the intervals on which verdicts are based."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
ROUNDING = 1e-12  # relative rounding error of a computed number
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error; independent ones can be added and subtracted.

    An error of 0 means that chance is not involved, an infinite error that the uncertainty is
    unknown, and a value of NaN that the number itself is unknown.
    """

    value: float
    error: float = math.inf
    freedom: float = math.inf  # degrees of freedom of the error

    def interval(self, together: int = 1) -> Interval:
        """The 95% interval, or for ``together`` intervals that hold simultaneously (Bonferroni)."""
        if self.error == 0:
            return self.value, self.value
        if not math.isfinite(self.value) or not math.isfinite(self.error):
            return -math.inf, math.inf
        from scipy import stats

        half = float(stats.t.isf((1 - LEVEL) / 2 / together, self.freedom)) * self.error
        return self.value - half, self.value + half

    def __add__(self, other: Estimate | float) -> Estimate:
        if not isinstance(other, Estimate):
            return Estimate(self.value + other, self.error, self.freedom)
        error = math.hypot(self.error, other.error)
        return Estimate(self.value + other.value, error, _welch(self, other))

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, self.error, self.freedom)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self + -other

    def __rsub__(self, other: float) -> Estimate:
        return -self + other

    def __mul__(self, factor: float) -> Estimate:
        error = abs(factor) * self.error if factor else 0.0
        return Estimate(factor * self.value, error, self.freedom)

    __rmul__ = __mul__


NOT_KNOWN = Estimate(math.nan)


def _welch(a: Estimate, b: Estimate) -> float:
    """The degrees of freedom of a sum (Welch and Satterthwaite)."""
    both = a.error**2 + b.error**2
    if both == 0 or not math.isfinite(both):
        return math.inf
    parts = sum((e.error**2 / both) ** 2 / e.freedom for e in (a, b))
    return 1 / parts if parts > 0 else math.inf


def exactly(holds: bool) -> Estimate:
    """A fact that does not depend on chance: 1 if it is true, −1 if it is not."""
    return Estimate(1.0 if holds else -1.0, 0.0)


def share(part: float, count: int) -> Estimate:
    """A share of ``count`` independent cases, such as an accuracy on that many images.

    Two cases of each kind are added, so that 0% or 100% of a few cases does not count as certain
    (Agresti and Coull, The American Statistician 52, 1998).
    """
    moved = (part * count + 2) / (count + 4)
    return Estimate(moved, math.sqrt(max(0.0, moved * (1 - moved)) / (count + 4)))


def over_seeds(estimates: Sequence[Estimate], together: int = 1) -> Estimate:
    """The mean over several seeds with Student's t; a single estimate as it is.

    Seeds may agree by chance, but the uncertainty within each of them remains: if it gives the
    wider interval (for ``together`` comparisons), that one is used.
    """
    if len(estimates) == 1:
        return estimates[0]
    n = len(estimates)
    values = np.array([e.value for e in estimates])
    if not np.isfinite(values).all():
        return NOT_KNOWN
    mean = float(values.mean())
    between = Estimate(mean, float(values.std(ddof=1)) / math.sqrt(n), n - 1)
    within = math.sqrt(sum(e.error**2 for e in estimates)) / n
    if not math.isfinite(within):
        return between
    inner = Estimate(mean, within, sum(e.freedom for e in estimates))
    return max(between, inner, key=lambda e: e.interval(together)[1])


def scatter(series: ArrayLike) -> float:
    """The standard deviation of a series around a smooth curve; infinite for fewer than three.

    σ² = 2/3 · mean of ((y_{i−1} + y_{i+1}) / 2 − y_i)², which is 0 for a straight line
    (Gasser, Sroka and Jennen-Steinmetz, Biometrika 73, 1986); at least the rounding error.
    """
    y = np.asarray(series, float)
    if len(y) < 3:
        return math.inf
    sigma = math.sqrt(2 / 3 * float(np.mean(((y[:-2] + y[2:]) / 2 - y[1:-1]) ** 2)))
    return max(sigma, ROUNDING * float(np.abs(y).max()))


def over_epochs(series: ArrayLike) -> Estimate:
    """The mean over the epochs of a training run; its error comes from their scatter."""
    y = np.asarray(series, float)
    if not len(y) or not np.isfinite(y).all():
        return NOT_KNOWN
    return Estimate(float(y.mean()), scatter(y) / math.sqrt(len(y)), max(1, len(y) - 2))


def at_the_end(series: ArrayLike) -> Estimate:
    """The last value of a series; its error is the scatter of the epochs."""
    y = np.asarray(series, float)
    if not len(y) or not np.isfinite(y).all():
        return NOT_KNOWN
    return Estimate(float(y[-1]), scatter(y), max(1, len(y) - 2))


def at_the_start(series: ArrayLike) -> Estimate:
    """The first value of a series; its error is the scatter of the epochs."""
    return at_the_end(np.asarray(series, float)[::-1])


def rank_trend(series: ArrayLike) -> Estimate:
    """Kendall's τ between a series and its epochs; 0 if constant, unknown for fewer than three.

    Its standard error is that of a series without a trend, √(2 (2n + 5) / (9n (n − 1))).
    """
    from minidl.study.statistics import trend

    y = np.asarray(series, float)
    n = len(y)
    if n < 3 or not np.isfinite(y).all():
        return NOT_KNOWN
    found = trend(y)
    error = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    return Estimate(0.0 if found is None else found.tau, error)
