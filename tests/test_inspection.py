"""The figures of a probe, worked out by hand on a network of two layers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import (
    Conv2D,
    Dense,
    Dropout,
    Examples,
    Flatten,
    MaxPool2D,
    MeanSquaredError,
    Network,
    SoftmaxCrossEntropy,
    probe,
)
from minidl.backend import to_numpy
from minidl.inspection import (
    dead_units,
    first_nonfinite,
    gradient_stats,
    unit_stats,
    update_ratio,
)


def tiny(device="cpu") -> Network:
    """y = relu(x W₁ + b₁) W₂ + b₂ with numbers that fit on a sheet of paper."""
    net = Network([Dense(2, 2, "relu"), Dense(2, 1)], 2, dtype="float64", device=device)
    net.theta[...] = net.device.asarray(np.array([1.0, -1, 2, -2, 0, 0, 3, 4, 0.5]))
    return net


# x = (1, 1) gives z₁ = (3, −3), y₁ = (3, 0), y = 9.5;  x = (0, 1) gives (2, −2), (2, 0), 6.5.
X = np.array([[1.0, 1.0], [0.0, 1.0]])
T = np.array([[9.0], [8.0]])
# (y − t) = 0.5, −1.5: the loss is (0.25 + 2.25) / 2, dy = (0.5, −1.5)
# dW₂ = (3 · 0.5 − 2 · 1.5, 0) = (−1.5, 0), db₂ = −1
# dz₁ = (1.5, 0), (−4.5, 0);  dW₁ = xᵀ dz₁ = [[1.5, 0], [−3, 0]], db₁ = (−3, 0)
FIGURES = {  # mean |g|, rms, norm, max, zeros
    "dense_1.W": (4.5 / 4, math.sqrt(11.25 / 4), math.sqrt(11.25), 3, 0.5),
    "dense_1.b": (1.5, math.sqrt(4.5), 3, 3, 0.5),
    "dense_2.W": (0.75, math.sqrt(1.125), 1.5, 1.5, 0.5),
    "dense_2.b": (1, 1, 1, 1, 0),
}


def figures(found):
    return {
        f"{g.layer}.{g.parameter}": (g.mean_abs, g.rms, g.l2_norm, g.max_abs, g.zeros)
        for g in found.gradients
    }


def test_figures_by_hand(device):
    net = tiny(device)
    found = probe(net, MeanSquaredError(), device.asarray(X), device.asarray(T))
    assert found.loss == pytest.approx(1.25, rel=1e-15)
    assert list(figures(found)) == list(FIGURES)
    for name, expected in FIGURES.items():
        assert figures(found)[name] == pytest.approx(expected, rel=1e-14), name
    assert all(math.isnan(g.update_ratio) for g in found.gradients)
    assert [(u.layer, u.dead, u.saturated) for u in found.units] == [
        ("dense_1", 0.5, 0.5),
        ("dense_2", 0, 0),
    ]
    assert found.mean_abs() == [g.mean_abs for g in found.gradients if g.parameter == "W"]
    assert found.mean_abs() == pytest.approx([1.125, 0.75])
    assert found.mean_abs("b") == pytest.approx([1.5, 1])
    assert found.mean_abs("s") == []


def test_sum_is_n_times_the_mean():
    mean, total = (probe(tiny(), MeanSquaredError(), X, T, r) for r in ("mean", "sum"))
    assert total.loss == pytest.approx(2 * mean.loss, rel=1e-15)
    for name, (*sizes, zeros) in figures(mean).items():
        assert figures(total)[name] == pytest.approx((*(2 * s for s in sizes), zeros), rel=1e-14)


def test_update_ratio_by_hand(device):
    net = tiny(device)
    update = device.asarray(np.array([0.3, 0, 0, 0.4, 1, 1, 0, 0.5, 0.25]))
    found = probe(net, MeanSquaredError(), device.asarray(X), device.asarray(T), update=update)
    ratios = [g.update_ratio for g in found.gradients]
    assert ratios[0] == pytest.approx(0.5 / math.sqrt(10), rel=1e-14)
    assert math.isnan(ratios[1])  # b₁ is all zeros
    assert ratios[2:] == pytest.approx([0.1, 0.5], rel=1e-14)
    assert update_ratio(device.asarray(np.array([3.0, 4])), update[:4]) == pytest.approx(0.1)


def test_sums_are_in_float64():
    """10⁶ squares of 10⁻²⁵ underflow in float32."""
    net = Network([Dense(1000, 1000)], 1000, dtype="float32")
    net.forward(np.zeros((1, 1000), np.float32))
    net.dtheta[...] = 1e-25
    W = gradient_stats(net)[0]
    assert (W.mean_abs, W.rms) == pytest.approx((1e-25, 1e-25), rel=1e-6)
    assert W.l2_norm == pytest.approx(1e-22, rel=1e-6)


def test_dead_and_saturated_units_by_construction():
    net = Network([Dense(1, 3, "sigmoid"), Dropout(0.5), Dense(3, 2, "relu"), Flatten()], 1)
    first, second = net["dense_1"], net["dense_2"]
    first.W[...] = [[0, 100, 1]]
    first.b[...] = [-100, 0, 0]  # flat always; flat for x = ±1 and not for 0; never flat
    second.W[...] = 0
    second.b[...] = [-1, 1]
    net.forward(np.float32([[-1], [0], [1]]))
    found = {u.layer: (u.dead, u.saturated) for u in unit_stats(net)}
    assert found == {
        "dense_1": pytest.approx((1 / 3, (3 + 2 + 0) / 9)),
        "dense_2": pytest.approx((1 / 2, 1 / 2)),
    }


def test_a_unit_of_a_convolution_is_a_channel(device):
    """Kernels of one pixel on x = −1, 0, 1, 2 at four places."""
    net = Network([Conv2D(1, 3, 1, activation="relu"), MaxPool2D(2)], (1, 2, 2), device=device)
    net["conv2d_1"].W[...] = device.asarray(np.float32([1, -1, 0]).reshape(3, 1, 1, 1))
    net["conv2d_1"].b[...] = device.asarray(np.float32([0, 3, -1]))
    x = np.float32([[-1, 0, 1, 2], [-1, -1, -1, -1]]).reshape(2, 1, 2, 2)
    net.forward(device.asarray(x))
    (found,) = unit_stats(net)
    # z = x is flat at 2 + 4 of 8 places, z = 3 − x at none, z = −1 at all: one channel is dead
    assert (found.layer, found.dead) == ("conv2d_1", pytest.approx(1 / 3))
    assert found.saturated == pytest.approx((6 + 0 + 8) / 24)


def test_flat_is_below_one_percent_of_the_steepest_slope():
    """σ'(z) = 0.0025 at ln((1 + √0.99) / (1 − √0.99)) = 5.9814; leaky_relu's 0.01 is not flat."""
    turn = math.log((1 + math.sqrt(0.99)) / (1 - math.sqrt(0.99)))
    for f, expected in (("sigmoid", 0.5), ("leaky_relu", 0), ("linear", 0)):
        net = Network([Dense(1, 1, f)], 1, dtype="float64")
        net.theta[...] = [-1, 0]
        net.forward(np.array([[turn - 1e-6], [turn + 1e-6]]))
        assert unit_stats(net)[0].saturated == expected


def test_there_are_no_figures_for_softmax_and_for_a_layer_that_did_not_run():
    net = Network([Dense(2, 2, "softmax")], 2)
    assert unit_stats(Network([Dense(2, 2, "relu")], 2)) == []
    net.forward(np.ones((1, 2), np.float32))
    assert unit_stats(net) == []


def test_a_probe_runs_without_dropout_and_leaves_the_weights_unchanged():
    net = Network([Dense(2, 4, "tanh"), Dropout(0.5), Dense(4, 3)], 2)
    before = net.theta.copy()
    x, labels = X.astype(np.float32), np.array([0, 2])
    first, second = (str(probe(net, SoftmaxCrossEntropy(), x, labels)) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(net.theta, before)


def test_the_table():
    lines = str(probe(tiny(), MeanSquaredError(), X, T)).splitlines()
    assert lines[0].split() == [
        *("gradient", "mean_abs", "rms", "l2_norm", "max_abs", "zeros", "update_ratio")
    ]
    assert lines[1].split() == ["dense_1.W", "1.125", "1.677", "3.354", "3", "0.5", "nan"]
    assert [line.split()[0] for line in lines[2:5]] == ["dense_1.b", "dense_2.W", "dense_2.b"]
    assert lines[5].split() == ["units", "dead", "saturated"]
    assert lines[6].split() == ["dense_1", "0.5", "0.5"]
    assert len(lines) == 8


def test_the_first_nonfinite_value_is_located(device):
    net = tiny(device)
    x = device.asarray(X)
    net.forward(x)
    assert first_nonfinite(net) is None
    cases = [
        ("dense_2", "b", "dense_2.b"),
        ("dense_2", "W", "dense_2.W"),
        ("dense_1", "b", "dense_1.b"),
        ("dense_1", "W", "dense_1.W"),
    ]
    for layer, name, place in cases:  # each comes before the one before it
        getattr(net[layer], name)[...] = math.inf
        with np.errstate(invalid="ignore"):
            net.forward(x)
        assert first_nonfinite(net) == place
    net = tiny(device)
    net["dense_1"].W[...] = 1e308
    with np.errstate(over="ignore", invalid="ignore"):
        net.forward(x * 10)
    assert first_nonfinite(net) == "dense_1.z"
    with np.errstate(invalid="ignore"):
        net.forward(x * math.nan)
    assert first_nonfinite(net) == "the input of the network"


def test_dead_units_are_those_that_are_flat_for_every_example(device):
    """Batch by batch, the last one smaller, against all examples at once."""
    network = Network([Dense(6, 40, "relu"), Dense(40, 30, "sigmoid"), Dense(30, 3)], 6, rng=0,
                      device=device)  # fmt: skip
    network["dense_1"].b[:4] = -100
    x = np.random.default_rng(1).normal(size=(25, 6)).astype(np.float32)
    examples = Examples(x, np.zeros(25, int)).to(device)
    found = dead_units(network, examples, batch_size=10)
    network.forward(device.asarray(x))
    assert list(found) == ["dense_1", "dense_2", "dense_3"]
    dead = to_numpy(network["dense_1"].y == 0).all(axis=0)
    assert dead[:4].all() and not dead.all()
    assert np.array_equal(to_numpy(found["dense_1"]), dead)
    assert not to_numpy(found["dense_2"]).any()
    figures = {units.layer: units.dead for units in unit_stats(network)}
    assert figures == {name: float(units.mean()) for name, units in found.items()}


def test_no_more_examples_are_run_once_every_unit_has_been_active(monkeypatch):
    """If a unit is dead, all examples are run."""
    network = Network([Dense(2, 3, "relu")], 2, rng=0)
    network["dense_1"].W[...] = 1
    inputs = np.array([[-1], [1], [1], [1]], np.float32).repeat(2, axis=1)
    examples = Examples(inputs, np.zeros(4, int))
    passes: list[int] = []
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda x: passes.append(len(x)) or forward(x))
    assert not dead_units(network, examples, batch_size=1)["dense_1"].any()
    assert len(passes) == 2
    network["dense_1"].b[0] = -100
    assert dead_units(network, examples, batch_size=1)["dense_1"].tolist() == [True, False, False]
    assert len(passes) == 2 + 4
