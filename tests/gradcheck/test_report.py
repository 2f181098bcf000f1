"""What a gradient check reports: its table, kinks, what it cannot decide, its errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from planted import LABELS, Accumulating, after, change_dy, scale

import minidl as ml
from minidl import (
    BatchNorm,
    Dense,
    Flatten,
    Layer,
    Network,
    SoftmaxCrossEntropy,
    assert_gradients,
    check_gradients,
    check_vjp,
    get_activation,
)
from minidl.gradcheck import GradientError
from minidl.gradcheck.compare import RULES


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


def test_a_gradient_that_is_not_written_is_infinitely_wrong():
    check = check_gradients(Accumulating(3, 2), (4, 3))
    assert [row.name for row in check.rows if math.isinf(row.error)] == ["W"]
    assert (check.worst, check.moved) == (math.inf, 0)
    assert check.problems[0] == "the gradient of W is not written, or not finite"


def test_a_changed_dy_is_reported_and_the_rest_still_checked():
    check = check_gradients(after(Dense, change_dy)(3, 2), (4, 3))
    assert check.problems == ["backward changed dy, which belongs to the caller"]
    assert check.worst < 1e-9


def test_the_layer_is_left_as_after_a_forward_pass_of_x():
    layer = Dense(3, 2)
    assert_gradients(Network([layer, Dense(2, 2)], 3, dtype="float64"), (4, 3))
    assert layer.x.shape == (4, 3)


def test_the_same_seed_gives_the_same_figures_and_another_seed_others():
    one, same, other = (str(check_gradients(Dense(3, 2), (4, 3), rng=r)) for r in (1, 1, 2))
    assert one == same != other


# -- kinks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "selu"])
def test_a_point_at_a_kink_is_moved_and_the_callers_arrays_are_not(name):
    x = np.zeros((3, 4))
    x[0] = 1e-9
    x.flags.writeable = False
    check = assert_gradients(get_activation(name), x)
    assert check.moved >= 1
    assert "the point was at a kink and was moved " in str(check)
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


def test_a_step_is_wrong_where_it_steps():
    class Step(ml.activations.Activation):
        name = "step"

        def f(self, z):
            return np.sign(z)

        def slope(self, z, y):
            return 0 * z

    assert not check_gradients(Step(), np.zeros((2, 2)), attempts=0).passed


def test_large_steps_over_a_jump_of_the_second_derivative_are_not_an_error():
    """ELU has one at 0: here the numeric derivative settled 1.3e-7 away from the true one."""
    block = [
        *(BatchNorm(4), ml.ActivationLayer("elu"), ml.Conv2D(4, 4, 3, padding=1)),
        *(BatchNorm(4), ml.ActivationLayer("elu"), ml.Conv2D(4, 4, 3, padding=1)),
    ]
    layers = [
        *(ml.Conv2D(3, 4, 3, padding=1), ml.Residual(block)),
        ml.Residual([ml.Conv2D(4, 6, 3, 2, 1)], [ml.Conv2D(4, 6, 1, 2)]),
        *(ml.GlobalAveragePool2D(), Dense(6, 3)),
    ]
    network = Network(layers, (3, 6, 6), dtype="float64")
    images, loss = (3, 3, 6, 6), SoftmaxCrossEntropy()
    assert_gradients(network, images, np.arange(3), loss=loss, rng=10, training=True)


# -- not decided ------------------------------------------------------------------------------


def test_nothing_is_decided_if_rounding_would_explain_any_difference():
    x, doubled = np.random.default_rng(0).standard_normal((5, 4)), after(Dense, scale("dW", 2))
    for layer in (Dense(4, 3), doubled(4, 3)):
        check = check_gradients(layer, 1e-20 * x)
        assert (check.verdict, check.passed, check.problems) == ("NOT DECIDED", False, [])
        assert [reason.partition(": a gradient of")[0] for reason in check.undecided] == ["x", "W"]
        assert "rescale the input, the targets or the parameters" in check.undecided[1]
        assert f"not decided: {check.undecided[1]}" in str(check)
        with pytest.raises(GradientError, match=r"NOT DECIDED \(tolerance 1e-07\)\n"):
            assert_gradients(layer, 1e-20 * x)
    assert check_gradients(doubled(4, 3), 1e-12 * x).verdict == "FAILED"  # by more than rounding


def test_if_rounding_hides_less_than_the_gradient_the_row_says_how_much():
    network = Network([Dense(4, 3)], 4, dtype="float64")
    x = np.random.default_rng(0).standard_normal((5, 4))
    targets, loss = np.full((5, 3), 1e4), ml.MeanSquaredError()
    check = assert_gradients(network, x, targets, loss=loss, tolerance=1e-14)
    assert any(", to " in row.where for row in check.rows)
    assert not check.undecided


@pytest.mark.parametrize("N", [2, 3, 8])
def test_a_gradient_that_is_zero_up_to_rounding_passes(N):
    """For example that of a bias before BatchNorm."""
    for seed in range(3):
        network = Network(
            [Dense(3, 2), BatchNorm(2), ml.ActivationLayer("tanh")], 3, dtype="float64"
        )
        check = assert_gradients(network, (N, 3), rng=seed, training=True)
        assert abs(check.rows[2].analytic) < 1e-12


class Single(Layer):
    """Right, but computed in float32 inside."""

    def forward(self, x, training=False):
        self.y = np.tanh(x.astype("float32")).astype(x.dtype)
        return self.y

    def backward(self, dy, input_gradient=True):
        return dy * (1 - self.y**2)


def test_nothing_is_decided_if_the_function_computes_in_float32():
    check = check_gradients(Single(), (5, 4))
    assert (check.verdict, check.problems) == ("NOT DECIDED", [])
    (reason,) = check.undecided
    assert reason.startswith("φ is computed to about 7 digits, which are too few")

    def partly(x):
        return 0.3 * np.exp(x.astype("float32")).astype(float) + x

    for seed in range(10):
        check = check_vjp(partly, lambda x, dy: dy * (1 + 0.3 * np.exp(x)), (5, 4), rng=seed)
        assert check.verdict in ("passed", "NOT DECIDED")


def test_the_rules_of_equality_are_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "own_layer.md").read_text("utf-8")
    rows = [
        f"| {compared} | {rule.condition} | {rule.meaning} |"
        for compared, rules in RULES.items()
        for rule in rules
    ]
    assert "\n".join(["|---|---|---|", *rows, ""]) in text


# -- errors of the caller ---------------------------------------------------------------------


class TakesAnything(Layer):
    def parameter_shapes(self):
        return {"s": (3,)}


NETWORK = Network([Dense(3, 2)], 3, dtype="float64")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            (Dense(3, 2), np.ones((4, 3), np.float32)),
            TypeError,
            "x to be a float64 array or a shape, got float32; float32 has too few digits",
        ),
        (
            (TakesAnything().build(), (4, 3)),
            TypeError,
            r"expected s of TakesAnything\(\) as float64, got float32; build with dtype='float64'",
        ),
        ((NETWORK, np.full((4, 3), math.nan)), ValueError, "expected a finite x"),
    ],
)
def test_numbers_that_cannot_be_checked(arguments, kind, message):
    with pytest.raises(kind, match=message):
        check_gradients(*arguments)
    with pytest.raises(ValueError, match="expected targets for the loss, got none"):
        check_gradients(NETWORK, (4, 3), loss=SoftmaxCrossEntropy())
