"""The factors of the backward signal by theory, against networks and against `predicted`."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from minidl import (
    ActivationLayer,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Network,
    SoftmaxCrossEntropy,
)
from minidl.activations import Activation
from minidl.propagation import layer_factors, predicted

N = 16
X = np.random.default_rng(0).random((N, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(N) % 10
LOSS = SoftmaxCrossEntropy()


def network(f, *more, rng=0):
    layers = [Flatten(), Dense(64, 300, f), *more, Dense(300, 600, f), Dense(600, 10)]
    return Network(layers, (1, 8, 8), rng)


@pytest.mark.parametrize("f", ["sigmoid", "relu", "gelu"])
def test_their_products_are_the_ratios_that_predicted_gives_layer_by_layer(f):
    net = network(f)
    known = layer_factors(net, X)
    units = 300, 600, 10
    rows = predicted(net, LOSS, X, LABELS)
    norms = [math.sqrt(n * row.dz2) for n, row in zip(units, rows, strict=True)]
    for (one, size), (behind, other) in pairwise(zip(known, norms, strict=True)):
        both = known[one].slope * known[behind].weights
        assert both == pytest.approx(size / other, rel=0.02)  # one of them is drawn


@pytest.mark.parametrize("f", ["sigmoid", "relu", "tanh"])
def test_they_equal_those_of_a_network_before_training(f):
    """The mean over a few networks, with an upstream gradient independent of the weights."""
    slopes, weights = [], []
    for seed in range(6):
        net = network(f, rng=seed)
        known = layer_factors(net, X)
        net.forward(X)
        dy = np.random.default_rng(seed).standard_normal((N, 600)).astype(np.float32)
        first, second = net["dense_1"], net["dense_2"]
        dx = second.backward(dy)
        weights.append(np.linalg.norm(dx) / np.linalg.norm(second.dz) / known["dense_2"].weights)
        slopes.append(np.linalg.norm(second.dz) / np.linalg.norm(dy) / known["dense_2"].slope)
        first.backward(dx, input_gradient=False)
        slopes.append(np.linalg.norm(first.dz) / np.linalg.norm(dx) / known["dense_1"].slope)
    assert np.mean(weights) == pytest.approx(1, abs=0.03)
    assert np.mean(slopes) == pytest.approx(1, abs=0.03)


def test_after_a_layer_outside_the_theory_there_is_only_the_factor_of_the_weights():
    net = network("tanh", Dropout(0.5), BatchNorm(300), ActivationLayer("relu"))
    known = layer_factors(net, X)
    assert known["dense_1"].slope == layer_factors(network("tanh"), X)["dense_1"].slope
    assert [known[name].slope for name in ("dense_2", "dense_3")] == [None, None]
    W = net["dense_2"].W
    assert known["dense_2"].weights == pytest.approx(math.sqrt(300 * (W.astype(float) ** 2).mean()))
    conv = Network([Conv2D(1, 2, 3), Flatten(), Dense(72, 3)], (1, 8, 8))
    assert [factors.slope for factors in layer_factors(conv, X).values()] == [None]


class NotItsSlope(Activation):
    name = "not_its_slope"
    formula = derivative_formula = ""
    range = (-math.inf, math.inf)

    def f(self, z):
        return z * z

    def slope(self, z, y):
        return np.ones_like(z)


@pytest.mark.parametrize("f", ["softmax", NotItsSlope()])
def test_for_a_function_outside_the_theory_there_is_no_factor(f):
    assert [one.slope for one in layer_factors(network(f), X).values()] == [None] * 3


def test_the_biases_count():
    net = network("tanh")
    before = layer_factors(net, X)["dense_1"].slope
    net["dense_1"].b[...] = 2
    assert layer_factors(net, X)["dense_1"].slope < 0.7 * before
