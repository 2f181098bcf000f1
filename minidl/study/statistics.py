"""The statistics of a comparison: paired tests with effect sizes, and trends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minidl.backend import checks


@dataclass(frozen=True)
class PairedTest:
    """A paired test of two series: is the mean difference a − b zero?"""

    statistic: float  # Student's t = d̄ √n / s_d
    p_value: float  # two-sided
    degrees_of_freedom: int  # n − 1
    mean_difference: float  # d̄
    interval: tuple[float, float]  # 95% confidence interval of the mean difference
    effect_size: float  # Cohen's d_z = d̄ / s_d
    effect_interval: tuple[float, float]  # 95% confidence interval of d_z
    wilcoxon_p_value: float  # of the signed-rank test, two-sided


def paired_test(a: ArrayLike, b: ArrayLike) -> PairedTest | None:
    """Student's paired t-test of a − b with its effect size, and Wilcoxon's test beside it.

    ``None`` for fewer than two pairs, or if all differences are equal.  The
    interval of d_z inverts the noncentral t distribution (Steiger and Fouladi,
    1997; Lakens, Frontiers in Psychology 4, 2013).
    """
    from scipy import stats

    a, b = (_series("paired_test", name, given) for name, given in (("a", a), ("b", b)))
    if a.shape != b.shape:
        raise ValueError(
            f"paired_test: expected as many values in a as in b, got {a.size} and {b.size}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("paired_test: expected finite numbers, got NaN or infinity")
    d = a - b
    n = d.size
    if n < 2 or np.ptp(d) == 0:
        return None
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    t = mean * math.sqrt(n) / sd
    half = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)

    low, high = _noncentrality_interval(abs(t), n - 1)
    if t < 0:
        low, high = -high, -low
    return PairedTest(
        statistic=t,
        p_value=float(2 * stats.t.sf(abs(t), n - 1)),
        degrees_of_freedom=n - 1,
        mean_difference=mean,
        interval=(mean - half, mean + half),
        effect_size=mean / sd,
        effect_interval=(low / math.sqrt(n), high / math.sqrt(n)),
        wilcoxon_p_value=float(stats.wilcoxon(d).pvalue),
    )


def _noncentrality_interval(t: float, df: int) -> tuple[float, float]:
    """The noncentralities for which a t at least as large, or as small, has probability 0.025."""
    from scipy import optimize, stats

    reach = 8 * math.sqrt(1 + t * t / (2 * df))

    def below(noncentrality: float) -> float:
        p = float(stats.nct.cdf(t, df, noncentrality))
        # far out in the tails SciPy's nct gives NaN; use the limit there
        return p if math.isfinite(p) else float(noncentrality < t)

    def solve(p: float) -> float:
        return float(optimize.brentq(lambda nc: below(nc) - p, t - reach, t + reach))

    return solve(0.975), solve(0.025)


@dataclass(frozen=True)
class Trend:
    """The trend of a series: does it rise or fall with the epochs?"""

    slope: float  # of the least-squares line, per epoch
    tau: float  # Kendall's rank correlation with the epoch, from −1 to 1
    p_value: float  # of no trend (Mann–Kendall)


def trend(series: ArrayLike) -> Trend | None:
    """The trend of a series over its epochs; ``None`` for fewer than three or a constant."""
    from scipy import stats

    y = _series("trend", "series", series)
    if y.size < 3 or np.ptp(y) == 0:
        return None
    epochs = np.arange(1, y.size + 1)
    found = stats.kendalltau(epochs, y)
    slope = float(np.polyfit(epochs, y, 1)[0])
    return Trend(slope, float(found.statistic), float(found.pvalue))


def _series(owner: str, name: str, values: ArrayLike) -> np.ndarray:
    """``values`` as float64 (n,); raises ``ValueError`` unless they are one-dimensional."""
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 1:
        raise ValueError(
            f"{owner}: expected {name} to be a one-dimensional array of numbers, got "
            f"{checks.describe(values)}"
        )
    return found
