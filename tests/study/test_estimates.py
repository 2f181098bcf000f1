"""Numbers with what chance may do to them, against hand-worked values and simulated ones."""

import math

import numpy as np
import pytest

from minidl.study.estimates import (
    Estimate,
    at_the_end,
    at_the_start,
    over_epochs,
    over_seeds,
    rank_trend,
    scatter,
    share,
)
from minidl.study.tables import p_figure


def test_interval_by_hand():
    assert Estimate(1, 2).interval() == pytest.approx((1 - 1.95996 * 2, 1 + 1.95996 * 2), rel=1e-5)
    assert Estimate(1, 2, 2).interval()[1] == pytest.approx(1 + 4.30265 * 2, rel=1e-5)
    assert Estimate(1, 2).interval(together=10)[1] == pytest.approx(1 + 2.80703 * 2, rel=1e-5)
    assert Estimate(3, 0).interval() == (3, 3)
    assert Estimate(3).interval() == Estimate(math.nan, 1).interval() == (-math.inf, math.inf)


def test_sums_and_multiples():
    total = Estimate(3, 3, 4) - Estimate(1, 4, 8)
    assert (total.value, total.error) == (2, 5)
    assert total.freedom == pytest.approx(25**2 / (9**2 / 4 + 16**2 / 8))  # Welch, Satterthwaite
    assert 1 - Estimate(3, 2) == Estimate(-2, 2)
    assert 0.5 * Estimate(3, 2, 7) == Estimate(1.5, 1, 7)


def test_share_by_hand():
    # Agresti and Coull: (8 + 2) / (10 + 4)
    found = share(0.8, 10)
    assert found.value == pytest.approx(10 / 14)
    assert found.error == pytest.approx(math.sqrt(10 / 14 * 4 / 14 / 14))
    assert share(0.65, 10_000).value == pytest.approx(0.65, abs=1e-4)


def test_seeds_are_students():
    values = [0.1, 0.3, 0.2]
    found = over_seeds([Estimate(v, 1e-9) for v in values])
    from scipy import stats  # takes long

    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert found.interval() == pytest.approx((low, high))
    assert over_seeds([Estimate(2, 3)]) == Estimate(2, 3)


def test_seeds_that_agree_have_the_error_within_them():
    assert over_seeds([Estimate(1, 2)] * 4).error == 1
    assert over_seeds([Estimate(1)] * 4).error == 0  # nobody knows of another one


def test_a_straight_rise_does_not_scatter_and_noise_does():
    assert scatter(3 + 2 * np.arange(9.0)) == pytest.approx(0, abs=1e-10)
    assert scatter([1.0, 2.0]) == math.inf
    noise = np.random.default_rng(0).normal(size=20_000)
    assert scatter(noise + np.arange(20_000)) == pytest.approx(1, rel=0.03)


def test_means_ends_and_starts_of_a_series():
    series = [0.0, 3.0, 0.0, 3.0]
    sigma = math.sqrt(2 / 3 * 9)  # each point is 3 off the middle of its neighbours
    assert over_epochs(series) == Estimate(1.5, pytest.approx(sigma / 2), 2)
    assert at_the_end(series) == Estimate(3, pytest.approx(sigma), 2)
    assert at_the_start(series).value == 0
    assert over_epochs([1.0]).interval() == (-math.inf, math.inf)


def test_rank_trend_by_hand():
    found = rank_trend([1, 3, 2, 4])
    assert found == Estimate(pytest.approx(4 / 6), pytest.approx(math.sqrt(26 / 108)))
    assert rank_trend([1.0, 1.0, 1.0]).value == 0
    assert math.isnan(rank_trend([1.0, 2.0]).value)
    assert math.isnan(rank_trend([1.0, 2.0, math.nan]).value)


def test_intervals_cover_what_they_should():
    """95% of the intervals of a mean over epochs cover it, whatever straight line it lies on."""
    rng = np.random.default_rng(1)
    line = np.linspace(0, 5, 20)
    covered = 0
    for _ in range(1000):
        low, high = over_epochs(line + rng.normal(size=20)).interval()
        covered += low < line.mean() < high
    assert 0.92 < covered / 1000 < 0.98


def test_p_values_do_not_hide_their_side_of_the_bound():
    assert [p_figure(p) for p in (0.0496, 0.0504, 0.05, 1.47e-7, 0.34)] == [
        *("0.0496", "0.0504", "0.05", "1.5e-07", "0.34")
    ]
