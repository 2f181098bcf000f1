"""Functions from outside minidl: correct ones pass, each planted error is found and named."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from minidl import assert_jac, assert_vjp, check_jac, check_vjp
from minidl.gradcheck import GradientError

# -- correct ones -------------------------------------------------------------------------------


def dense(x, W, b):
    return np.tanh(x @ W + b)


def dense_vjp(x, W, b, dy):
    dz = dy * (1 - dense(x, W, b) ** 2)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def moments(x):
    return x.mean(axis=0), x.var(axis=0)


def moments_vjp(x, dmean, dvar):
    return dmean / len(x) + dvar * 2 * (x - x.mean(axis=0)) / len(x)


def cross_entropy(z, t):
    e = np.exp(z)
    return float(-np.log(e[np.arange(len(z)), t] / e.sum(axis=1)).mean())


def cross_entropy_vjp(z, t, dy):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p[np.arange(len(z)), t] -= 1
    return dy * p / len(z), None


def scaled(x):
    return 1e-9 * np.sin(x)


LABELS = np.array([0, 2, 1])
RIGHT = {
    "three inputs": (dense, dense_vjp, [(5, 3), (3, 2), (2,)], ["x", "W", "b"]),
    "two outputs": (moments, moments_vjp, [(5, 3)], ["x"]),
    "labels, a scalar": (cross_entropy, cross_entropy_vjp, [(3, 4), LABELS], ["z"]),
    "one gradient alone": (
        *(cross_entropy, lambda z, t, dy: cross_entropy_vjp(z, t, dy)[0], [(3, 4), LABELS], ["z"]),
    ),
    "a number": (lambda x: x**3, lambda x, dy: 3 * x**2 * dy, [np.array(2.0)], ["x"]),
    "no names": (lambda *x: np.sin(x[0]), lambda x, dy: dy * np.cos(x), [(4,)], ["x1"]),
    "tiny": (scaled, lambda x, dy: 1e-9 * dy * np.cos(x), [(4,)], ["x"]),
    "huge": (lambda x: 1e9 * x**2, lambda x, dy: 2e9 * dy * x, [(4,)], ["x"]),
    "zero by nature": (
        lambda x, b: (x + b) - (x + b).mean(axis=0),
        lambda x, b, dy: (dy - dy.mean(axis=0), (dy - dy.mean(axis=0)).sum(axis=0)),
        [(6, 3), (3,)],
        ["x", "b"],
    ),
    "an error outside the domain": (
        *(lambda x: np.array([math.log(one) for one in x]), lambda x, dy: dy / x),
        *([np.array([1e-3, 0.3, 1e-9])], ["x"]),
    ),
    "NaN outside the domain, where the gradient is an error": (
        np.errstate(invalid="ignore")(lambda x: np.sqrt(1 - x)),
        lambda x, dy: dy * [-0.5 / math.sqrt(1 - one) for one in x],
        *([1 - np.geomspace(1e-4, 1e-2, 9)], ["x"]),
    ),
    "a list": (lambda x: [x, 2 * x], lambda x, da, db: [da + 2 * db], [(2,)], ["x"]),
}


@pytest.mark.parametrize(("f", "vjp", "x", "names"), RIGHT.values(), ids=RIGHT)
def test_correct_ones_pass(f, vjp, x, names):
    for elementwise in (False, True):
        check = assert_vjp(f, vjp, *x, elementwise=elementwise)
        assert [row.name for row in check.rows] == names


def test_the_inputs_are_left_unchanged():
    x, W = np.random.default_rng(0).normal(size=(2, 3, 3))
    before = x.copy(), W.copy()
    assert_vjp(np.matmul, lambda x, W, dy: (dy @ W.T, x.T @ dy), x, W)
    assert (x == before[0]).all()
    assert (before[1] == W).all()


def test_points_are_moved_away_from_a_kink():
    check = assert_vjp(lambda x: np.maximum(x, 0), lambda x, dy: dy * (x > 0), np.zeros(3))
    assert check.moved > 0


def test_a_function_on_a_device_is_checked_there(device):
    def vjp(x, W, dy):
        assert type(x) is type(dy) is type(device.asarray(np.zeros(1)))
        return dy @ W.T, x.T @ dy

    assert_vjp(lambda x, W: x @ W, vjp, (4, 3), (3, 2), device=device)


class Keeps:
    """forward and backward as methods; forward keeps what backward reads."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, x, dy):
        return 2 * dy * self.x


def test_forward_may_keep_values_for_backward():
    pair = Keeps()
    assert_vjp(pair.forward, pair.backward, (4,))


# -- planted errors -----------------------------------------------------------------------------


def wrong(change):
    """``dense_vjp`` with its gradients changed."""

    def vjp(x, W, b, dy):
        return change(*dense_vjp(x, W, b, dy))

    return vjp


def one_entry(dx, dW, db):
    dW[1, 1] *= 1 + 1e-4
    return dx, dW, db


WRONG = {
    "a factor": (wrong(lambda dx, dW, db: (dx, dW, db * 2)), "b"),
    "a relative error of 1e-5": (wrong(lambda dx, dW, db: (dx * (1 + 1e-5), dW, db)), "x"),
    "zeros": (wrong(lambda dx, dW, db: (dx, 0 * dW, db)), "W"),
    "one entry": (wrong(one_entry), "W"),
    "one sum for all": (wrong(lambda dx, dW, db: (dx, dW, np.full(2, db.sum()))), "b"),
}


@pytest.mark.parametrize(("vjp", "name"), WRONG.values(), ids=WRONG)
def test_a_wrong_gradient_is_found_and_no_other(vjp, name):
    check = check_vjp(dense, vjp, (5, 3), (3, 2), (2,))
    assert check.verdict == "FAILED"
    assert [row.name for row in check.rows if row.error > check.tolerance] == [name]


def test_zeros_for_tiny_gradients_are_found():
    assert not check_vjp(scaled, lambda x, dy: np.zeros_like(x), (4,)).passed


def sin(x):
    return np.sin(x)


def changes_dy(x, dy):
    dy *= np.cos(x)
    return dy


def changes_x(x, dy):
    np.cos(x, out=x)
    return dy * x


TOTAL = np.zeros(3)


def adds(x, dy):
    global TOTAL
    TOTAL = TOTAL + dy * np.cos(x)
    return TOTAL


def counts():
    """A pair whose backward depends on how often the forward was called."""
    calls = []

    def f(x):
        calls.append(x)
        return np.sin(x)

    return f, lambda x, dy: dy * np.cos(x) * (1 if len(calls) == 1 else 2)


FIRST: list[np.ndarray] = []


def keeps_the_first(x, dy):
    FIRST.append(np.cos(x))
    return dy * FIRST[0]


BROKEN = [  # a pair, its inputs, and the problem reported; more in test_layer_contract.py
    (sin, changes_dy, [(3,)], "the backward pass changed dy, which belongs to the caller"),
    (sin, changes_x, [(3,)], "the backward pass changed x, which belongs to the caller"),
    (sin, adds, [(3,)], "a second call gave another gradient of x"),
    (sin, keeps_the_first, [(3,)], "at other inputs the gradient of x is wrong"),
    (*counts(), [(3,)], "a call after other inputs gave another gradient of x"),
    (
        *(sin, lambda x, dy: (dy * np.cos(x))[None], [(3,)]),
        "expected dx as float64 (3,) like x, got float64 (1, 3)",
    ),
    (
        *(sin, lambda x, dy: (dy, dy), [(3,)]),
        "expected gradients of all 1 inputs (x), None for one that has none, got 2 of them",
    ),
    (
        *(lambda x, W: x @ W, lambda x, W, dy: dy @ W.T, [(4, 3), (3, 2)]),
        "expected gradients of all 2 inputs (x, W), None for one that has none, got one alone",
    ),
    (
        *(np.cos, lambda x, dy: (-dy * np.sin(x)).ravel(order="K").reshape(x.shape), [(3, 4)]),
        "a call with arrays that are batch last in memory gave another gradient of x",
    ),
]


@pytest.mark.parametrize(("f", "vjp", "x", "problem"), BROKEN)
def test_a_broken_rule_is_reported(f, vjp, x, problem):
    check = check_vjp(f, vjp, *x)
    assert problem in check.problems
    assert check.verdict == "FAILED"


# -- SciPy's form -------------------------------------------------------------------------------


def curve(t):
    return np.array([t[0] ** 2 + t[1], np.sin(t[1]), t[0] * t[2]])


def curve_jac(t):
    return np.array([[2 * t[0], 1, 0], [0, np.cos(t[1]), 0], [t[2], 0, t[0]]])


def test_a_gradient_and_a_jacobian_matrix():
    assert_jac(scipy.optimize.rosen, scipy.optimize.rosen_der, (6,))
    assert_jac(curve, curve_jac, (3,))
    assert_jac(curve, lambda t: scipy.sparse.csr_array(curve_jac(t)), (3,))
    assert_jac(lambda t, a: a * t[:1] ** 2, lambda t, a: 2 * a * t, (1,), args=(3.0,))


def test_both_in_one_function():
    def both(x, a):
        return a * np.sum(x**2), 2 * a * x

    assert_jac(both, True, (4,), args=(3.0,))
    assert not check_jac(lambda x: (np.sum(x**2), x), True, (4,)).passed


def test_a_wrong_jacobian_matrix_is_found():
    check = check_jac(curve, lambda t: curve_jac(t).T, (3,))
    assert not check.passed

    def tall(t):
        return np.array([t[0], t[0] * t[1], t[1] ** 2])

    check = check_jac(tall, lambda t: np.array([[1, t[1], 0], [0, t[0], 2 * t[1]]]), (2,))
    assert check.problems[0] == ("expected jac (3, 2) for x (2,), got (2, 3): the other way round?")
    assert check.rows == []
    assert not check.passed


# -- as a test ----------------------------------------------------------------------------------


def test_a_failure_shows_its_table():
    with pytest.raises(GradientError, match="gradient check of dense: FAILED") as failed:
        assert_vjp(dense, wrong(one_entry), (5, 3), (3, 2), (2,))
    assert "<--" in str(failed.value)
    with pytest.raises(GradientError, match="gradient check of curve: FAILED"):
        assert_jac(curve, lambda t: 2 * curve_jac(t), (3,))


TEST = """
import numpy as np
from minidl import Dense, assert_gradients, assert_jac, assert_vjp

class Twice(Dense):
    def backward(self, dy, input_gradient=True):
        return 2 * super().backward(dy)

def test_vjp():
    assert_vjp(np.sin, lambda x, dy: dy * np.sin(x), (3,))  # here

def test_jac():
    assert_jac(np.sum, np.zeros_like, (3,))  # here

def test_layer():
    assert_gradients(Twice(3, 2), (4, 3))  # here
"""


@pytest.mark.slow  # another pytest
def test_pytest_shows_only_the_line_of_the_test_and_the_table(tmp_path):
    (tmp_path / "test_mine.py").write_text(TEST, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert "3 failed" in out
    assert out.count("# here") == 3
    assert len(re.findall("^E .*GradientError: gradient check of", out, re.MULTILINE)) == 3
    assert "gradcheck/" not in out
