"""The learning-rate range test: its losses are those of its steps, and it leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import (
    SGD,
    Adam,
    Dense,
    Dropout,
    Examples,
    LinearWarmUp,
    MeanSquaredError,
    Network,
    NonFiniteLoss,
    SoftmaxCrossEntropy,
    range_test,
)
from minidl.training.range_test import RangeTest

RNG = np.random.default_rng(1)
X = RNG.normal(size=(120, 4))
Y = (X[:, 0] > 0).astype(int)


def network(dropout=False):
    layers = [Dense(4, 8, "tanh"), *[Dropout(0.5)] * dropout, Dense(8, 2)]
    return Network(layers, 4, dtype="float64")


def test_each_loss_is_that_of_the_batch_before_its_step():
    found = range_test(network(), X, Y, optimizer=SGD(1.0), steps=7, batch_size=50, rng=3)
    net, loss, rng = network(), SoftmaxCrossEntropy(), np.random.default_rng(3)
    rates = np.geomspace(1e-6, 10.0, 7)
    order = np.concatenate([rng.permutation(120) for _ in range(3)])
    losses = []
    for i, rate in enumerate(rates):
        start = 120 * (i // 3) + 50 * (i % 3)
        rows = order[start : min(start + 50, 120 * (i // 3 + 1))]
        value, dlogits = loss(net.forward(X[rows], training=True), Y[rows])
        net.backward(dlogits)
        net.theta -= rate * net.dtheta
        losses.append(value)
    assert found.rates == pytest.approx(rates)
    assert found.losses == pytest.approx(losses)
    weights = 0.9 ** np.arange(7)[::-1]
    assert found.smooth[-1] == pytest.approx(weights @ found.losses / weights.sum())


def test_it_leaves_no_trace():
    net, optimizer = network(dropout=True), Adam(0.123)
    before, bits = net.theta.copy(), net["dropout_1"].rng.bit_generator.state
    range_test(net, X, Y, optimizer=optimizer, steps=30)
    assert (net.theta == before).all()
    assert net["dropout_1"].rng.bit_generator.state == bits
    assert (optimizer.t, optimizer.learning_rate) == (0, 0.123)


def test_an_optimizer_in_use_keeps_its_vectors_and_its_schedule():
    net = network()
    optimizer = Adam(LinearWarmUp(0.1, 100))
    optimizer.step(net.theta, np.ones_like(net.theta))
    m, rate = optimizer.m.copy(), optimizer.learning_rate
    found = range_test(net, X, Y, optimizer=optimizer, steps=20)
    assert (optimizer.m == m).all()
    assert (optimizer.t, optimizer.learning_rate) == (1, rate)
    assert found.rates[0] == 1e-6  # not that of the schedule


def test_the_suggestion_learns():
    found = range_test(network(), X, Y, optimizer=SGD(1.0), end=1000, batch_size=20)
    assert 0.01 < found.suggestion < 100
    assert found.suggestion == found.rates[int(np.argmin(found.smooth))] / 10
    assert str(found).splitlines()[-1] == f"suggested learning rate: {found.suggestion:.1e}"
    assert len(str(found).splitlines()) < 20


def test_an_easy_first_batch_does_not_decide_the_suggestion():
    """Its loss is the smallest by chance; the mean over ten batches is not."""
    found = RangeTest()
    for step, loss in enumerate([0.1, *[1.0] * 30, *[0.5] * 10, *[4.0] * 10]):
        found.add(10.0 ** (step / 10), loss)
    assert found.smooth[0] == min(found.smooth)
    assert found.suggestion == found.rates[40] / 10  # the last of those with 0.5
    short = RangeTest()
    short.add(0.3, 1.0)
    short.add(0.6, 2.0)
    assert short.suggestion == 0.03  # with fewer than ten, every batch counts


@pytest.mark.parametrize("end", [1e3, 1e300])
def test_it_ends_when_the_loss_has_risen_too_far(end):
    options = {"loss": MeanSquaredError(), "optimizer": SGD(1.0), "end": end, "steps": 200}
    net = network()
    before = net.theta.copy()
    found = range_test(net, X, X[:, :2], **options)
    assert len(found.rates) < 200
    assert np.isfinite(found.losses).all()
    assert (net.theta == before).all()


def test_a_loss_that_is_not_finite_from_the_start_is_an_error():
    with pytest.raises(NonFiniteLoss):
        range_test(network(), np.full((9, 4), np.nan), Y[:9])


def test_it_draws_itself(tmp_path):
    picture = range_test(network(), Examples(X, Y)).plot(tmp_path / "rates.svg")
    assert (tmp_path / "rates.svg").stat().st_size > 1000
    assert picture.figure.axes[0].get_xscale() == "log"
