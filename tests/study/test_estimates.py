"""Numbers with what chance may do to them, against hand-worked, published and simulated values."""

import math

import numpy as np
import pytest

from minidl.study.claims import HOLDS, Statement, judge
from minidl.study.claims import Evidence as Found
from minidl.study.correct import packed
from minidl.study.estimates import (
    Estimate,
    at_the_end,
    at_the_start,
    largest_by_chance,
    over_epochs,
    over_seeds,
    rank_trend,
    ratio_over_epochs,
    scatter,
    scatter_freedom,
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
    turned = 100 * (1 - share(0.9, 50))  # a share's long end is the one towards one half
    low, high = (100 * (1 - end) for end in share(0.9, 50).interval())
    assert turned.interval() == pytest.approx((high, low))
    assert turned.limits == (0, 100)


def test_shares_have_wilsons_intervals_and_differences_newcombes():
    # Newcombe, Statistics in Medicine 17, 1998: table I of the first paper, method 3; and table II
    # of the second one, method 10
    for right, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                 (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert share(right / of, of).interval() == pytest.approx((low, high), abs=5e-5)
    for (a, m), (b, n), low, high in (
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ):
        found = (share(a / m, m) - share(b / n, n)).interval()
        assert found == pytest.approx((low, high), abs=5e-5)
    assert (share(1, 20) - 0.5).interval() == pytest.approx((0.3389, 0.5), abs=5e-5)


def test_networks_tested_on_the_same_images_are_compared_image_by_image():
    rng = np.random.default_rng(0)
    hard = rng.random(4000)
    a, b = (hard + 0.1 * rng.random(4000) < limit for limit in (0.85, 0.83))
    ahead, alone = (
        share(a.mean(), 4000, x) - share(b.mean(), 4000, y)
        for x, y in ((packed(a), packed(b)), ("", ""))
    )
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    both, difference = only_a + only_b, (only_a - only_b) / 4000
    wald = 1.95996 * math.sqrt(both - (only_a - only_b) ** 2 / 4000) / 4000  # McNemar
    assert ahead.interval() == pytest.approx((difference - wald, difference + wald), rel=0.01)
    assert ahead.interval()[0] > 0 > alone.interval()[0]
    assert ahead.is_paired and not alone.is_paired and not share(0.5, 4000, packed(a)).is_paired
    same = share(a.mean(), 4000, packed(a)) - share(a.mean(), 4000, packed(a))
    assert same.interval()[0] < 0 < same.interval()[1]  # agreement does not make it certain
    mixed = share(a.mean(), 4000, packed(a)) - share(0.8, 300, packed(b[:300]))
    assert not mixed.is_paired  # they are others

    claim = Statement("ahead", "", lambda number: Found("said", {"a − b": number}))
    (found,) = judge([claim], alone, [ahead])
    assert found.verdict == HOLDS
    assert found.measured.endswith(", image by image)") and "image" not in found.published


def test_seeds_are_students():
    values = [0.1, 0.3, 0.2]
    found = over_seeds([Estimate(v, 1e-9) for v in values])
    from scipy import stats  # takes long

    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert found.interval() == pytest.approx((low, high))
    assert over_seeds([Estimate(2, 3)]) == Estimate(2, 3)
    assert over_seeds([share(p, 10**6) for p in (0.9, 1.0, 1.0)]).interval()[1] == 1.0


def test_seeds_that_agree_have_the_error_within_them():
    assert over_seeds([Estimate(1, 2)] * 4).error == 1  # each has other epochs
    assert over_seeds([Estimate(1)] * 4).error == 0  # nobody knows of another one
    alike = share(0.8, 100)  # all have the same images
    assert over_seeds([alike] * 4).interval() == alike.interval()
    fewer = over_seeds([share(0.8, 100), share(0.8, 50)])  # of other numbers of epochs
    assert fewer.interval() == share(0.8, 50).interval()
    other = [share(0.8, 100) - share(0.7, 100), share(0.8, 100) - 0.7]
    assert over_seeds(other).interval() == pytest.approx(other[0].interval())
    # which are known one by one: of networks that err on other images, the mean is more certain
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 4, 1000)) < 0.8
    ahead = [
        share(0.82, 1000, packed(x)) - share(0.82, 1000, packed(y))
        for x, y in zip(a, b, strict=True)
    ]
    widths = [np.ptp(one.interval()) for one in (ahead[0], over_seeds(ahead))]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.1)


def test_a_straight_rise_does_not_scatter_and_noise_does():
    assert scatter(3 + 2 * np.arange(9.0)) == pytest.approx(0, abs=1e-10)
    assert scatter([1.0, 2.0]) == math.inf
    noise = np.random.default_rng(0).normal(size=20_000)
    assert scatter(noise + np.arange(20_000)) == pytest.approx(1, rel=0.03)
    for n in range(3, 30):
        D = np.diff(np.eye(n), 2, axis=0)
        A = D.T @ D
        assert scatter_freedom(n) == pytest.approx(np.trace(A) ** 2 / np.trace(A @ A))


def test_means_ends_and_starts_of_a_series():
    series = [0.0, 3.0, 0.0, 3.0]
    sigma = math.sqrt(2 / 3 * 9)  # each point is 3 off the middle of its neighbours
    freedom = pytest.approx(144 / 104)
    assert over_epochs(series) == Estimate(1.5, pytest.approx(sigma / 2), freedom)
    assert at_the_end(series) == Estimate(3, pytest.approx(sigma), freedom)
    assert at_the_start(series).value == 0
    assert over_epochs([1.0]).interval() == (-math.inf, math.inf)
    assert over_epochs([1.0, 1.0, 0.9, 1.0], limits=(0, 1)).interval()[1] == 1


def test_noise_is_decided_about_in_at_most_one_case_of_twenty():
    """5,000 draws each: an estimate of 5% has a standard error of 0.3 points."""
    from scipy import stats

    rng = np.random.default_rng(1)
    for epochs in (4, 6, 10, 20):
        noise = rng.normal(size=(5000, epochs)) + np.linspace(0, 9, epochs)  # a line is no noise
        differences = noise[:, :-2] - 2 * noise[:, 1:-1] + noise[:, 2:]
        sigma = np.sqrt(np.mean(differences**2, axis=1) / 6)
        np.testing.assert_allclose(sigma[:3], [scatter(y) for y in noise[:3]])
        student = stats.t.isf(0.025, scatter_freedom(epochs))
        for draws, truth, error in (
            (noise.mean(axis=1), 4.5, sigma / math.sqrt(epochs)),
            (noise[:, -1], 9.0, sigma),
        ):
            decided = np.mean(np.abs(draws - truth) > student * error)
            assert 0.01 < decided < 0.06, epochs
        low, high = over_epochs(noise[0]).interval()
        assert high - low == pytest.approx(2 * student * sigma[0] / math.sqrt(epochs))


def test_ratios_are_means_of_logarithms_and_shown_as_factors():
    found = ratio_over_epochs([1.0, 4.0, 2.0, 8.0]) - ratio_over_epochs([1.0, 1.0, 1.0, 1.0])
    assert math.exp(found.value) == pytest.approx(8**0.5)
    assert not math.isfinite(ratio_over_epochs([1.0, 0.0, 2.0]).value)
    large = Estimate(math.log(2), 0.2, is_log=True)
    (claim,) = judge([Statement("", "", lambda n: Found("said", {"a / b": n}))], large, [large])
    assert claim.measured == "said; a / b × 2.00 (1.35 to 2.96)"
    (claim,) = judge([Statement("", "", lambda n: Found("", {"a / b": n + 7}))], large, [large])
    assert claim.measured == "; a / b × 2,190 (1,480 to 3,250)"
    (claim,) = judge([Statement("", "", lambda n: Found("", {"a / b": 999 * n}))], large, [large])
    assert claim.measured == "; a / b × 5.36e+300 (4.56e+130 to 1.01e+304)"


def test_rank_trends_have_the_exact_distribution_and_stay_within_1():
    from scipy import stats

    for n in range(3, 21):  # SciPy's p-value of the next larger τ is at most 5%, and this one's not
        largest, pairs = largest_by_chance(n, 0.025), n * (n - 1) // 2
        for tau, significant in ((largest, False), (largest + 2 / pairs, True)):
            y = list(range(n))
            for _ in range(round((1 - tau) / 2 * pairs)):  # swap neighbours, each a discordant pair
                i = next(i for i in range(n - 1) if y[i] < y[i + 1])
                y[i], y[i + 1] = y[i + 1], y[i]
            if tau <= 1:
                p = stats.kendalltau(range(n), y, method="exact").pvalue
                assert (p <= 0.05) == significant, (n, tau)
                assert (rank_trend(y).interval()[0] > 0) == significant, (n, tau)
    assert rank_trend([1, 2, 3, 4]).interval() == (-1, 1)  # p = 2 / 24
    low, high = rank_trend(range(10)).interval()
    assert 0.5 < low < high == pytest.approx(1)
    # Fieller, Hartley and Pearson: the standard error of artanh τ is about √(0.437 / (n − 4))
    y = np.r_[np.arange(6, 40), np.arange(6)]
    low, high = np.arctanh(rank_trend(y).interval())
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.437 / 36), rel=0.05)
    assert rank_trend([1, 3, 2, 4]).value == pytest.approx(4 / 6)
    assert rank_trend([1.0, 1.0, 1.0]).value == 0
    assert math.isnan(rank_trend([1.0, 2.0]).value)
    assert math.isnan(rank_trend([1.0, 2.0, math.nan]).value)


def test_several_seeds_make_a_trend_more_certain_and_tied_epochs_do_not():
    one = rank_trend([1, 2, 3, 5, 4])
    assert one.interval()[0] < 0 < over_seeds([one] * 4).interval()[0]  # 5⁴ / 120⁴ by chance
    assert rank_trend([0] * 5 + [1] * 5).value == pytest.approx(25 / 45)
    rng = np.random.default_rng(0)
    rising = 0.15 * np.arange(10)
    several = [[rank_trend(y) for y in rng.normal(size=(5, 10))] for _ in range(400)]
    assert 0.005 < np.mean([_decided(over_seeds(seeds)) for seeds in several]) < 0.05
    several = [[rank_trend(y) for y in rng.normal(size=(5, 10)) + rising] for _ in range(200)]
    assert np.mean([_decided(over_seeds(seeds)) for seeds in several]) > 0.4
    for values in (2, 3, 5):
        tied = [rank_trend(rng.integers(0, values, 20)) for _ in range(400)]
        assert np.mean([_decided(trend) for trend in tied]) < 0.05


def _decided(estimate: Estimate) -> bool:
    low, high = estimate.interval()
    return low > 0 or high < 0


def test_p_values_do_not_hide_their_side_of_the_bound():
    assert [p_figure(p) for p in (0.0496, 0.0504, 0.05, 1.47e-7, 0.34)] == [
        *("0.0496", "0.0504", "0.05", "1.5e-07", "0.34")
    ]
