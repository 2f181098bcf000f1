"""Estimates with their uncertainty: the intervals on which verdicts are based."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from minidl.study.correct import unpacked

LEVEL = 0.95
ONE_ERROR = math.erfc(math.sqrt(0.5)) / 2  # how often chance exceeds one standard error: 15.9%
ROUNDING = 1e-12  # relative rounding error of a computed number
Interval = tuple[float, float]
UNBOUNDED: Interval = (-math.inf, math.inf)


@dataclass(frozen=True)
class Bounded:
    """An observed share, or Kendall's τ: it has limits, so that chance is not symmetric about it.

    It is part of an estimate ``factor`` times.
    """

    value: float
    count: int  # independent cases of a share; epochs of a trend
    is_trend: bool = False
    correct: np.ndarray | None = None  # (count,) of each case: 0 or 1, or the mean over seeds
    factor: float = 1.0
    runs: int = 1  # of which ``value`` is the mean τ

    def interval(self, tail: float) -> Interval:
        """The interval that leaves out ``tail`` on each side."""
        low, high = self._fisher(tail) if self.is_trend else self._wilson(tail)
        return min(self.value, low), max(self.value, high)

    def _wilson(self, tail: float) -> Interval:
        """The shares p that the observed one does not contradict.

        |share − p| ≤ z √(p (1 − p) / count) (Wilson, J. Am. Stat. Assoc. 22, 1927).
        """
        z2 = _normal(tail) ** 2 / self.count
        centre = (self.value + z2 / 2) / (1 + z2)
        half = math.sqrt(z2 * max(0.0, self.value * (1 - self.value)) + z2**2 / 4) / (1 + z2)
        return centre - half, centre + half

    def _fisher(self, tail: float) -> Interval:
        """An interval on the scale of Fisher's z = artanh τ.

        It has the same width on that scale whatever τ is (Fieller, Hartley and Pearson, Biometrika
        44, 1957), and leaves out 0 exactly if the exact test rejects τ = 0.
        """
        largest = largest_by_chance(self.count, tail, self.runs)
        if largest >= 1:
            return -1.0, 1.0
        step = 2 / (
            self.count * (self.count - 1) * self.runs
        )  # half the distance between two values of τ
        nearly = 1 - step / 2  # as much of a correlation of 1 as so few pairs can show
        z = math.atanh(min(max(self.value, -nearly), nearly))
        half = math.atanh(largest + step)
        return math.tanh(z - half), math.tanh(z + half)


@functools.lru_cache(maxsize=1024)
def largest_by_chance(count: int, tail: float, runs: int = 1) -> float:
    """The largest mean τ of ``runs`` runs that chance alone reaches with more than ``tail``.

    Each has ``count`` epochs.
    """
    chances = np.ones(1)  # of each number of discordant pairs, in all runs: 0, 1, …
    for n in [*range(2, count + 1)] * runs:
        chances = np.convolve(chances, np.full(n, 1 / n))
    discordant = int(np.argmax(np.cumsum(chances) > tail))  # the fewest of them
    return 1 - 2 * discordant / (len(chances) - 1)


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty; independent ones can be added and subtracted.

    An error of 0 means that chance is not involved (beyond that of the ``bounded`` numbers in it),
    an infinite error that the uncertainty is unknown, and a value of NaN that the number itself is
    unknown.
    """

    value: float
    error: float = math.inf  # standard error of what is measured on a straight scale
    freedom: float = math.inf  # degrees of freedom of the error
    bounded: tuple[Bounded, ...] = ()
    limits: Interval = UNBOUNDED  # which the number cannot leave
    is_log: bool = False  # it is the natural logarithm of a ratio

    def interval(self, together: int = 1) -> Interval:
        """The 95% interval, or for ``together`` intervals that hold simultaneously (Bonferroni).

        The ends of independent numbers' intervals are added in quadrature, seen from the value
        (Newcombe, Statistics in Medicine 17, 1998, method 10).
        """
        if self.is_exact:
            return self.value, self.value
        if not math.isfinite(self.value) or not math.isfinite(self.error):
            return UNBOUNDED
        tail = (1 - LEVEL) / 2 / together
        below, above = self._reach(tail, _student(tail, self.freedom) if self.error else 0.0)
        return max(self.value - below, self.limits[0]), min(self.value + above, self.limits[1])

    def width(self, together: int = 1) -> float:
        """Of the interval."""
        low, high = self.interval(together)
        return high - low

    @property
    def is_exact(self) -> bool:
        """Whether chance is not involved."""
        return self.error == 0 and not self.bounded

    @property
    def is_paired(self) -> bool:
        """Whether shares of the same cases are compared, case by case."""
        return bool(self._paired()[0])

    def standard_error(self) -> float:
        """Of everything in it; about half of the interval of 68%."""
        return sum(self._reach(ONE_ERROR, 1.0)) / 2

    def _reach(self, tail: float, errors: float) -> Interval:
        """How far chance reaches below and above: so many standard errors, or until ``tail``."""
        paired, others = self._paired()
        straight = [errors * self.error]
        if paired:
            straight.append(_normal(tail) * _paired_error(paired))
        below, above = list(straight), list(straight)
        for one in others:
            ends = [one.factor * (end - one.value) for end in one.interval(tail)]
            below.append(-min(ends))
            above.append(max(ends))
        return math.hypot(*below), math.hypot(*above)

    def _paired(self) -> tuple[list[Bounded], list[Bounded]]:
        """The shares of the same cases, if there are several, and all other bounded numbers."""
        known = [b for b in self.bounded if b.correct is not None]
        if len(known) < 2 or len({one.count for one in known}) > 1:
            known = []
        return known, [b for b in self.bounded if not any(b is one for one in known)]

    def __add__(self, other: Estimate | float) -> Estimate:
        if not isinstance(other, Estimate):
            limits = self.limits[0] + other, self.limits[1] + other
            return replace(self, value=self.value + other, limits=limits)
        return Estimate(
            self.value + other.value,
            math.hypot(self.error, other.error),
            _welch(self, other),
            (*self.bounded, *other.bounded),
            (self.limits[0] + other.limits[0], self.limits[1] + other.limits[1]),
            self.is_log or other.is_log,
        )

    def __mul__(self, factor: float) -> Estimate:
        if factor == 0:
            return Estimate(0.0, 0.0)
        low, high = sorted(factor * end for end in self.limits)
        return Estimate(
            factor * self.value,
            abs(factor) * self.error,
            self.freedom,
            tuple(replace(one, factor=factor * one.factor) for one in self.bounded),
            (low, high),
            self.is_log,
        )

    __rmul__ = __mul__

    def __neg__(self) -> Estimate:
        return self * -1.0

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self + -other

    def __rsub__(self, other: float) -> Estimate:
        return -self + other


NOT_KNOWN = Estimate(math.nan)


def _normal(tail: float) -> float:
    from scipy import stats

    return float(stats.norm.isf(tail))


def _student(tail: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.isf(tail, freedom))


def _paired_error(shares: Sequence[Bounded]) -> float:
    """The standard error of a sum of shares of the same cases (McNemar), and never 0.

    One case of each kind of disagreement is added, by halves (Agresti and Min, Statistics in
    Medicine 24, 2005).
    """
    each = sum(one.factor * np.asarray(one.correct, float) for one in shares)
    squares = float(np.square(each - np.mean(each)).sum())
    largest = max(abs(one.factor) for one in shares)
    return math.sqrt(squares + largest**2) / (shares[0].count + 2)


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


def share(part: float, count: int, correct: str = "") -> Estimate:
    """A share of ``count`` independent cases, such as an accuracy on that many images.

    If ``correct`` says which cases they are, as a run stores it (:mod:`minidl.study.correct`), the
    difference to another share of the same cases has the uncertainty of the cases in which they
    differ; as many cases count as the same.
    """
    bounded = Bounded(part, count, correct=unpacked(correct, count))
    return Estimate(part, 0.0, bounded=(bounded,), limits=(0.0, 1.0))


def over_seeds(estimates: Sequence[Estimate], together: int = 1) -> Estimate:
    """The mean over several seeds with Student's t; a single estimate as it is.

    Seeds may agree by chance, but the uncertainty within each of them remains: if it gives the
    wider interval (for ``together`` comparisons), that one is used.  More seeds reduce the scatter
    of epochs in it, also that of a trend, but not what the choice of test images does: all seeds
    are tested on the same.
    """
    if len(estimates) == 1:
        return estimates[0]
    n, first = len(estimates), estimates[0]
    values = np.array([e.value for e in estimates])
    if not np.isfinite(values).all():
        return NOT_KNOWN
    between = replace(
        first,
        value=float(values.mean()),
        error=float(values.std(ddof=1)) / math.sqrt(n),
        freedom=n - 1,
        bounded=(),
    )
    inner = replace(
        between,
        error=math.sqrt(sum(e.error**2 for e in estimates)) / n,
        freedom=sum(e.freedom for e in estimates),
        bounded=_pooled(estimates),
    )
    if not math.isfinite(inner.error):
        return between
    return max(between, inner, key=lambda estimate: estimate.width(together))


def _pooled(estimates: Sequence[Estimate]) -> tuple[Bounded, ...]:
    """The means over seeds of the bounded numbers: a share is as uncertain as that of one seed."""
    if len({len(e.bounded) for e in estimates}) > 1:  # of other numbers in each seed
        return max(estimates, key=Estimate.width).bounded
    found = []
    for parts in zip(*(e.bounded for e in estimates), strict=True):
        each = [one.correct for one in parts if one.correct is not None]
        count = min(one.count for one in parts)
        is_known = len(each) == len(parts) and {len(one) for one in each} == {count}
        correct = np.mean(each, axis=0) if is_known else None
        mean = float(np.mean([one.value for one in parts]))
        runs = sum(one.runs for one in parts) if parts[0].is_trend else 1
        found.append(replace(parts[0], value=mean, count=count, correct=correct, runs=runs))
    return tuple(found)


# -- epochs of a training run ---------------------------------------------------------------------


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


def scatter_freedom(n: int) -> float:
    """The degrees of freedom of the scatter of ``n`` epochs: ν = tr(A)² / tr(A²), A = DᵀD.

    D takes second differences, y_{i−1} − 2 y_i + y_{i+1}.  Neighbouring ones have two of three
    epochs in common, so that ν is about half of n − 2 (Satterthwaite's approximation).
    """
    if n < 3:
        return 1.0
    squares = 36 * (n - 2) + 2 * (16 * (n - 3) + max(0, n - 4))  # 6, −4 and 1 in D Dᵀ
    return (6 * (n - 2)) ** 2 / squares


def over_epochs(series: ArrayLike, limits: Interval = UNBOUNDED) -> Estimate:
    """The mean over the epochs of a training run; its error comes from their scatter."""
    y = np.asarray(series, float)
    if not len(y) or not np.isfinite(y).all():
        return NOT_KNOWN
    error = scatter(y) / math.sqrt(len(y))
    return Estimate(float(y.mean()), error, scatter_freedom(len(y)), limits=limits)


def ratio_over_epochs(series: ArrayLike) -> Estimate:
    """The logarithm of the geometric mean of a ratio over the epochs of a training run."""
    y = np.asarray(series, float)
    with np.errstate(all="ignore"):  # 0 and less are not known
        return replace(over_epochs(np.log(y)), is_log=True)


def at_the_end(series: ArrayLike) -> Estimate:
    """The last value of a series; its error is the scatter of the epochs."""
    y = np.asarray(series, float)
    if not len(y) or not np.isfinite(y).all():
        return NOT_KNOWN
    return Estimate(float(y[-1]), scatter(y), scatter_freedom(len(y)))


def at_the_start(series: ArrayLike) -> Estimate:
    """The first value of a series; its error is the scatter of the epochs."""
    return at_the_end(np.asarray(series, float)[::-1])


def rank_trend(series: ArrayLike) -> Estimate:
    """Kendall's τ_a between a series and its epochs; unknown for fewer than three.

    A pair of equal numbers counts as half concordant, half discordant.
    """
    y = np.asarray(series, float)
    if len(y) < 3 or not np.isfinite(y).all():
        return NOT_KNOWN
    later, earlier = np.tril_indices(len(y), -1)
    tau = float(np.sign(y[later] - y[earlier]).mean())
    return Estimate(tau, 0.0, bounded=(Bounded(tau, len(y), is_trend=True),), limits=(-1.0, 1.0))
