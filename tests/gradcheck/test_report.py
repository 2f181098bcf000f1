"""What a gradient check reports: its table, its problems, its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planted import LABELS, after, change_dy, scale

from minidl import (
    BatchNorm,
    Dense,
    Flatten,
    Layer,
    Network,
    Residual,
    SoftmaxCrossEntropy,
    assert_gradients,
    check_gradients,
    get_activation,
)
from minidl.activations import Activation
from minidl.gradcheck import GradientError


def test_an_entry_that_is_not_written_is_a_problem():
    class Forgets(Dense):
        def backward(self, dy, input_gradient=True):
            kept = self.dW[0, 0]
            dx = super().backward(dy, input_gradient)
            self.dW[0, 0] = kept
            return dx

    check = check_gradients(Forgets(3, 2), (4, 3))
    assert check.problems == ["the gradient of W is not written, or not finite"]
    assert not check.passed
    assert [row.name for row in check.rows if math.isinf(row.error)] == ["W"]
    assert check.worst == math.inf
    assert check.moved == 0


def test_a_changed_dy_is_reported_and_the_rest_still_checked():
    check = check_gradients(after(Dense, change_dy)(3, 2), (4, 3))
    assert check.problems == ["backward changed dy, which belongs to the caller"]
    assert check.worst < 1e-9


def test_a_backward_that_cannot_be_repeated_is_reported():
    class Halves(Dense):
        def backward(self, dy, input_gradient=True):
            dx = super().backward(dy, input_gradient)
            self.x = self.x / 2
            return dx

    check = check_gradients(Halves(3, 2), (4, 3))
    assert check.problems == ["a second backward gave another gradient of W"]


def test_a_layer_that_is_random_in_each_forward_is_reported():
    class Noisy(Layer):
        noise = np.random.default_rng(0)

        def forward(self, x, training=False):
            self.y = x * self.noise.random(x.shape)
            return self.y

        def backward(self, dy, input_gradient=True):
            return dy

    check = check_gradients(Noisy(), (3, 2), attempts=2)
    assert "did not settle at 3 points" in check.problems[-1]
    assert "random in each forward?" in str(check)
    assert check.moved == 2


def test_a_discontinuous_function_is_reported():
    class Step(Activation):
        name = "step"

        def f(self, z):
            return np.sign(z)

        def slope(self, z, y):
            return 0 * z

    check = check_gradients(Step(), np.zeros((2, 2)), attempts=0)
    assert not check.passed


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "selu"])
def test_a_point_at_a_kink_is_moved_and_the_callers_arrays_are_not(name):
    x = np.zeros((3, 4))
    x[0] = 1e-9
    x.flags.writeable = False
    check = assert_gradients(get_activation(name), x)
    assert check.moved >= 1
    assert f"the point was at a kink and was moved {check.moved} times" in str(check)
    assert not x[1:].any()
    for smooth in ("tanh", "elu"):
        assert assert_gradients(get_activation(smooth), x).moved == 0


def test_black_images_put_every_relu_at_its_kink_and_pass():
    network = Network([Flatten(), Dense(4, 3, "relu"), Dense(3, 4)], (2, 2), dtype="float64")
    x = np.zeros((5, 2, 2))
    loss = SoftmaxCrossEntropy()
    assert assert_gradients(network, x, LABELS, loss=loss, perturb=False).moved >= 1


def test_a_wrong_gradient_of_a_smooth_function_is_not_taken_for_a_kink():
    for factor in (2, 1 + 1e-6):
        check = check_gradients(after(Dense, scale("dW", factor))(4, 4, "tanh"), (5, 4))
        assert not check.passed
        assert (check.moved, check.problems) == (0, [])


def test_the_parameters_are_left_unchanged():
    network = Network([Dense(4, 3, "tanh"), Dense(3, 4)], 4, dtype="float64")
    before = network.theta.copy()
    check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy())
    np.testing.assert_array_equal(network.theta, before)


def test_the_state_is_left_unchanged():
    """Each of the many forward passes changes the running values; they are restored at the end."""
    network = Network([BatchNorm(4), Residual([Dense(4, 4), BatchNorm(4)])], 4, dtype="float64")
    network.state[...] = np.arange(1, 17)
    for training in (True, False):
        assert_gradients(network, (5, 4), training=training)
        np.testing.assert_array_equal(network.state, np.arange(1, 17))


def test_element_by_element_names_the_wrong_entry():
    def wrong(layer, dy, dx):
        layer.dW[2, 1] += 0.5
        return dx

    check = check_gradients(after(Dense, wrong)(3, 2), (4, 3), elementwise=True)
    by_name = {row.name: row for row in check.rows}
    assert by_name["W"].where == "[2, 1]"
    assert by_name["W"].analytic - by_name["W"].numeric == pytest.approx(0.5)
    assert by_name["x"].error < 1e-9
    assert "[2, 1]  <--" in str(check)


def test_an_error_in_one_entry_of_ten_thousand_shows():
    def wrong(layer, dy, dx):
        layer.dW[50, 50] *= 1.01
        return dx

    assert not check_gradients(after(Dense, wrong)(100, 100), (8, 100)).passed


def test_the_table():
    network = Network([Dense(4, 4)], 4, dtype="float64")
    check = check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy(), tolerance=1e-8)
    lines = str(check).splitlines()
    assert lines[0] == (
        "gradient check of Network(Dense(4 -> 4)) with SoftmaxCrossEntropy(): "
        "passed (tolerance 1e-08)"
    )
    assert lines[1].split() == ["name", "analytic", "numeric", "error", "where"]
    assert [line.split()[0] for line in lines[2:]] == ["x", "dense_1.W", "dense_1.b"]
    _, analytic, numeric, error, *where = lines[3].split()
    assert float(analytic) == pytest.approx(float(numeric), rel=1e-8)
    assert float(error) < 1e-8
    assert where[0] == "direction"
    assert "<--" not in str(check)


def test_the_same_seed_gives_the_same_figures_and_another_seed_others():
    one, same, other = (str(check_gradients(Dense(3, 2), (4, 3), rng=r)) for r in (1, 1, 2))
    assert one == same != other


class Scale(Layer):
    """y = x ∘ s, written as the docstring of Layer says."""

    def __init__(self, n):
        self.n = n

    def parameter_shapes(self):
        return {"s": (self.n,)}

    def initialize(self, rng):
        self.s[...] = rng.standard_normal(self.n)

    def forward(self, x, training=False):
        self.x, self.y = x, x * self.s
        return self.y

    def backward(self, dy, input_gradient=True):
        self.ds[...] = (dy * self.x).sum(axis=0)
        return dy * self.s


def test_a_custom_layer_in_one_call():
    assert_gradients(Scale(3), (4, 3), tolerance=1e-9)
    assert_gradients(Network([Dense(2, 3, "tanh"), Scale(3)], 2, dtype="float64"), (4, 2))
    with pytest.raises(GradientError):
        assert_gradients(after(Scale, scale("ds", 2))(3), (4, 3))


def test_the_example_of_the_docstring():
    x, labels = np.random.default_rng(0).standard_normal((5, 3)), LABELS % 2
    logits = np.random.default_rng(1).standard_normal((5, 2))
    network = Network([Dense(3, 2)], 3, dtype="float64")
    assert_gradients(Dense(3, 2, "tanh"), x)
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)
    assert_gradients(network, x, labels, loss=SoftmaxCrossEntropy())


NETWORK = Network([Dense(3, 2)], 3, dtype="float64")
ERRORS = {
    "float32 input": (
        lambda: check_gradients(Dense(3, 2), np.ones((4, 3), np.float32)),
        TypeError,
        "x to be a float64 array or a shape, got float32; float32 has too few digits",
    ),
    "a list": (lambda: check_gradients(Dense(3, 2), [[1.0, 2, 3]]), TypeError, "got list"),
    "float32 layer": (
        lambda: check_gradients(Dense(3, 2).build(), (4, 3)),
        TypeError,
        r"expected W of Dense\(3 -> 2\) as float64, got float32; build with dtype='float64'",
    ),
    "float32 layer that takes anything": (
        lambda: check_gradients(Scale(3).build(), (4, 3)),
        TypeError,
        r"check_gradients: expected s of Scale\(\) as float64, got float32; build with",
    ),
    "float32 network": (
        lambda: check_gradients(Network([Flatten(), Dense(3, 2)], 3), (4, 3)),
        TypeError,
        "float32",
    ),
    "NaN": (
        lambda: check_gradients(NETWORK, np.full((4, 3), math.nan)),
        ValueError,
        "expected a finite x",
    ),
    "loss without targets": (
        lambda: check_gradients(SoftmaxCrossEntropy(), (4, 3)),
        ValueError,
        r"expected targets for SoftmaxCrossEntropy\(\), got none",
    ),
    "network without targets": (
        lambda: check_gradients(NETWORK, (4, 3), loss=SoftmaxCrossEntropy()),
        ValueError,
        "expected targets for the loss, got none",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
