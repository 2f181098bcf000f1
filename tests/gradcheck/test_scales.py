"""Right ones pass and wrong ones do not, whether x is around 1e-9 or around 1e8."""

from __future__ import annotations

import numpy as np
import pytest
from planted import LABELS, after, loss_with, scale, with_slope

import minidl as ml
from minidl import assert_vjp, check_gradients, check_jac

SCALES = [1e-9, 1e-5, 1e5, 1e8]
FUNCTIONS = {
    "x²": (lambda x: x * x, lambda x: 2 * x),
    "√(x² + 1e-12)": (lambda x: np.sqrt(x * x + 1e-12), lambda x: x / np.sqrt(x * x + 1e-12)),
    "√x": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "log": (np.log, lambda x: 1 / x),
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2),
    "sin": (np.sin, np.cos),
}


@pytest.fixture
def rng():
    """One for each test: the points are the same whatever tests this process ran before.

    At 1e8 the gradient of softsign is 1e-16, and rounding hides it at one of five points.
    """
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, rng):
    f, derivative = FUNCTIONS[name]
    for size in (*SCALES, 1e-6, 1e-3, 1e3, 1e6, *[1e8] * 4):
        x = size * abs(rng.standard_normal(4))
        x[0] *= 1e-4  # all sizes at once
        verdicts = [
            check_jac(f, lambda x, k=k: np.diag(k * derivative(x)), x).verdict
            for k in (1, 1.0001, 1.00001)
        ]
        assert verdicts == ["passed", "FAILED", "FAILED"], size


def factor(cls, attribute, k):
    if attribute == "x":
        return after(cls, lambda layer, dy, dx: dx * k)
    return after(cls, scale(attribute, k))


LAYERS = {  # a class, its arguments, the shape of x, and the gradients to be wrong
    "Dense": (ml.Dense, (4, 3, "relu"), (5, 4), ("x", "dW", "db")),
    "Conv2D": (ml.Conv2D, (2, 3, 3), (3, 2, 5, 5), ("x", "dW", "db")),
    "BatchNorm": (ml.BatchNorm, (4,), (5, 4), ("dgamma", "dbeta")),
    "LayerNorm": (ml.LayerNorm, (4,), (3, 5, 4), ("dgamma", "dbeta")),
    "MaxPool2D": (ml.MaxPool2D, (2,), (2, 3, 6, 6), ("x",)),
    "PReLU": (ml.PReLU, (4,), (6, 4), ("x", "dalpha")),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, rng):
    cls, arguments, shape, attributes = LAYERS[name]
    for size in SCALES:
        x = size * rng.standard_normal(shape)
        assert check_gradients(cls(*arguments), x).verdict == "passed", size
        for attribute in attributes:
            wrong = factor(cls, attribute, 1.00001)(*arguments)
            assert check_gradients(wrong, x).verdict == "FAILED", (size, attribute)


def test_activation_functions_and_losses(rng):
    for size in SCALES:
        x = size * rng.standard_normal((6, 5))
        for name in ("relu", "gelu", "square", "softsign"):
            f = type(ml.get_activation(name))
            assert check_gradients(f(), x).verdict == "passed", (size, name)
            wrong = with_slope(f, lambda z, d: d * 1.00001)
            assert check_gradients(wrong, x).verdict == "FAILED", (size, name)
        x, f = size * rng.standard_normal((5, 4)), ml.SoftmaxCrossEntropy
        assert check_gradients(f(), x, LABELS).verdict == "passed", size
        wrong = loss_with(f, lambda d, z, t: d * 1.00001)
        assert check_gradients(wrong, x, LABELS).verdict == "FAILED", size


def test_a_direction_almost_across_the_gradient_is_not_judged_by_its_own_size():
    class Across(np.random.Generator):
        def standard_normal(self, size):
            return np.array([1, -1 + 1e-12])

    rng = Across(np.random.PCG64(0))
    assert_vjp(np.sum, lambda x, dy: dy * np.ones(2), np.array([0.3, 0.7]), rng=rng, directions=1)
