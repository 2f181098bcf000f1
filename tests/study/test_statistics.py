"""The paired test and the trend, against the published figures, SciPy and hand-worked values."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy  # its stats, at the first use

from minidl.study import paired_test, trend

STUDY = json.loads(
    (Path(__file__).parents[2] / "experiments/studies/cifar100/published.json").read_text()
)


def test_published_gradients_give_the_published_test():
    test = paired_test(STUDY["sigmoid"]["average_gradient"], STUDY["relu"]["average_gradient"])
    assert test.statistic == pytest.approx(-8.0699, abs=5e-5)
    assert test.p_value == pytest.approx(1.4724e-7, rel=5e-5)
    assert test.degrees_of_freedom == 19


def test_agrees_with_scipy_and_turned_around_it_has_another_sign():
    a, b = np.random.default_rng(0).standard_normal((2, 12))
    ours, theirs, other = paired_test(a, b), scipy.stats.ttest_rel(a, b), paired_test(b, a)
    assert ours.statistic == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue) == pytest.approx(other.p_value)
    assert ours.interval == pytest.approx(tuple(theirs.confidence_interval()))
    assert ours.wilcoxon_p_value == pytest.approx(scipy.stats.wilcoxon(a, b).pvalue)
    assert ours.effect_interval == pytest.approx(tuple(-e for e in other.effect_interval[::-1]))


def test_worked_out_by_hand():
    # differences 1, 2, 3: mean 2, s = 1, t = 2 √3
    test = paired_test([2, 4, 6], [1, 2, 3])
    assert test.statistic == pytest.approx(2 * 3**0.5)
    assert (test.mean_difference, test.effect_size) == (2, 2)
    for a in ([1.0], [1.0, 2.0, 3.0]):
        assert paired_test(a, np.asarray(a) - 1) is None  # nothing to test


def test_effect_interval_inverts_the_noncentral_t():
    for shift in (-3.0, 0.2, 1.0):
        d = np.random.default_rng(1).standard_normal(9) + shift
        test = paired_test(d, np.zeros(9))
        low, high = (np.sqrt(9) * bound for bound in test.effect_interval)
        assert scipy.stats.nct.cdf(test.statistic, 8, low) == pytest.approx(0.975, abs=1e-6)
        assert scipy.stats.nct.cdf(test.statistic, 8, high) == pytest.approx(0.025, abs=1e-6)
        assert low < test.statistic < high


def test_trends():
    found = trend([1, 3, 2, 4])  # one of the six pairs falls: τ = (5 − 1) / 6
    assert found.tau == pytest.approx(4 / 6)
    assert found.slope == pytest.approx(0.8)
    assert found.p_value > 0.05
    rise, fall = trend(np.arange(10.0)), trend(-np.arange(10.0))
    assert rise.tau == pytest.approx(1) and rise.p_value < 0.05
    assert fall.tau == pytest.approx(-1) and fall.p_value < 0.05
    assert trend([1.0, 2.0]) is None
    assert trend([1.0, 1.0, 1.0, 1.0]) is None
