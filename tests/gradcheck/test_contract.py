"""Mistakes that a layer can make although its formulas look right at first.

Each kind of mistake is planted here, and the same layer is checked without it.
"""

from __future__ import annotations

import numpy as np
import pytest
from planted import after, windows

from minidl import (
    APL,
    Activate,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    MeanSquaredError,
    Network,
    PReLU,
    Residual,
    SoftmaxCrossEntropy,
    assert_gradients,
    check_gradients,
    get_activation,
)
from minidl.activations import ReLU
from minidl.gradcheck import GradientError


class Affine(Layer):
    """y = x² ∘ s + b over n features, written so that one line is enough to plant a mistake."""

    def __init__(self, n=4):
        self.n = n

    def parameter_shapes(self):
        return {"s": (self.n,), "b": (self.n,)}

    def initialize(self, rng):
        self.s[...] = 1
        self.b[...] = 0

    def forward(self, x, training=False):
        self.x = x
        self.y = x**2 * self.s + self.b
        return self.y

    def backward(self, dy, input_gradient=True):
        self.ds[...] = (dy * self.x**2).sum(axis=0)
        self.db[...] = dy.sum(axis=0)
        return 2 * dy * self.x * self.s if input_gradient else None


class SquaredSum(Affine):
    """y = (x + b)² ∘ s."""

    def forward(self, x, training=False):
        self.x = x
        self.y = (x + self.b) ** 2 * self.s
        return self.y

    def backward(self, dy, input_gradient=True):
        dx = 2 * dy * (self.x + self.b) * self.s
        self.ds[...] = (dy * (self.x + self.b) ** 2).sum(axis=0)
        self.db[...] = dx.sum(axis=0)
        return dx


# -- shapes and types -------------------------------------------------------------------------


# A gradient summed over an axis agrees along any direction that NumPy broadcasts.


def summed(axis):
    return lambda layer, dy, dx: dx.sum(axis=axis, keepdims=True)


class OneForAll(Affine):
    """db is one number, the sum of the correct db."""

    def gradients(self):
        return super().gradients() | {"b": self.total}

    def bind(self, *vectors):
        super().bind(*vectors)
        self.total = np.zeros(1)

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        self.total[...] = dy.sum()
        return dx


def mean_of_squares(logits, targets):
    return (logits**2).mean(), 2 * logits / logits.size


def mean_of_squares_summed(logits, targets):
    value, dlogits = mean_of_squares(logits, targets)
    return value, dlogits.sum(axis=1, keepdims=True)


# -- the other ways to call it ----------------------------------------------------------------


class ReturnsEarly(Affine):
    def backward(self, dy, input_gradient=True):
        if not input_gradient:
            return None
        return super().backward(dy)


class KeepsItsSum(Affine):
    """Without the input gradient, it uses what the last backward with it left behind."""

    def backward(self, dy, input_gradient=True):
        if input_gradient:
            self.sums = dy.sum(axis=0)
        super().backward(dy, input_gradient)
        self.db[...] = self.sums
        return 2 * dy * self.x * self.s


class KeepsRows(Affine):
    """Sums over all rows that it has allocated."""

    kept = np.zeros((0, 4))

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        if len(self.kept) < len(dy):
            self.kept = np.zeros_like(dy)
        self.kept[: len(dy)] = dy
        self.db[...] = self.kept.sum(axis=0)
        return dx


class KeepsTheFirstBatchSize(Affine):
    def forward(self, x, training=False):
        self.ones = getattr(self, "ones", np.ones(len(x)))
        return super().forward(x, training)

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        self.db[...] = self.ones @ dy
        return dx


class WithoutByDefault(Affine):
    """In a network, the layer before it would get None."""

    def backward(self, dy, input_gradient=False):
        return super().backward(dy, input_gradient)


# -- inference --------------------------------------------------------------------------------


class KeepsInTrainingOnly(Affine):
    def forward(self, x, training=False):
        if training:
            self.x = x
        return x**2 * self.s + self.b


class TakesTheMaskOfTraining(Dropout):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        self.last = self.mask if training else self.last
        return y

    def backward(self, dy, input_gradient=True):
        return dy * self.last


def batch_norm_as_in_training(layer, dy, dx):
    return dx - dx.mean(axis=0) * (not layer.training)


class ForgetsTheRunningMean(BatchNorm):
    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        if not self.training:
            self.dgamma[...] = (dy * self.x / np.sqrt(self.running_variance + 1e-5)).sum(axis=0)
        return dx


class NotForInference(Affine):
    def forward(self, x, training=False):
        if not training:
            raise NotImplementedError("train me")
        return super().forward(x, training)


class CountsInInference(Affine):
    def state_shapes(self):
        return {"seen": ()}

    def forward(self, x, training=False):
        self.seen += len(x)
        return super().forward(x, training)


class SquaresInPlace(Affine):
    def forward(self, x, training=False):
        self.x = x.copy()
        np.square(x, out=x)
        self.y = x * self.s + self.b
        return self.y


class Logarithm(Affine):
    """y = x² log s, for s > 0."""

    def forward(self, x, training=False):
        self.x = x
        self.y = x**2 * np.log(self.s) + self.b
        return self.y

    def backward(self, dy, input_gradient=True):
        super().backward(dy, input_gradient)
        self.ds[...] /= self.s
        return 2 * dy * self.x * np.log(self.s)


# -- ties -------------------------------------------------------------------------------------


class ToEveryLargest(MaxPool2D):
    """Equal pixels get dy each."""

    def backward(self, dy, input_gradient=True):
        dx = np.zeros_like(self.x)
        for (r, s), x, dx_k in windows(self, self.x, dx):
            here = np.s_[:, :, r : r + 1, s : s + 1]
            dx_k += dy[here] * (x == self.y[here])
        return dx


class ToNoneOfEquals(MaxPool2D):
    def backward(self, dy, input_gradient=True):
        dx = np.zeros_like(self.x)
        for (r, s), x, dx_k in windows(self, self.x, dx):
            here = np.s_[:, :, r : r + 1, s : s + 1]
            largest = x == self.y[here]
            dx_k += dy[here] * largest * (largest.sum(axis=(2, 3), keepdims=True) == 1)
        return dx


class TwoAtZero(ReLU):
    def backward(self, dy, z, y):
        return super().backward(dy, z, y) + 2 * dy * (z == 0)


CONTRACT = {  # a layer or loss with its arguments, and the problem reported
    "dx summed over the units": (
        (after(Affine, summed(1))(), (5, 4)),
        "expected dx as float64 (5, 4) like x, got float64 (5, 1)",
    ),
    "dx summed over the batch": (
        (after(Affine, summed(0))(), (5, 4)),
        "expected dx as float64 (5, 4) like x, got float64 (1, 4)",
    ),
    "dx in float32": (
        (after(Affine, lambda la, dy, dx: dx.astype("float32"))(), (5, 4)),
        "expected dx as float64 (5, 4) like x, got float32 (5, 4)",
    ),
    "no dx": (
        (after(Affine, lambda la, dy, dx: None)(), (5, 4)),
        "expected dx as float64 (5, 4) like x, got None",
    ),
    "a parameter's gradient of another shape": (
        (OneForAll(), (5, 4)),
        "expected db as float64 (4,) like b, got float64 (1,)",
    ),
    "dlogits summed over the classes": (
        (mean_of_squares_summed, (5, 4), np.zeros(5)),
        "expected dlogits as float64 (5, 4) like logits, got float64 (5, 1)",
    ),
    "early return without the input's gradient": (
        (ReturnsEarly(), (5, 4)),
        "the gradient of s is not written, or not finite by backward(dy, input_gradient=False)",
    ),
    "what another backward has left": (
        (KeepsItsSum(), (5, 4)),
        "backward(dy, input_gradient=False) gave another gradient of b",
    ),
    "no dx unless asked for": (
        (WithoutByDefault(), (5, 4)),
        "a second backward: expected dx as float64 (5, 4) like x, got None",
    ),
    "rows of a larger batch": (
        (KeepsRows(), (5, 4)),
        "backward after a larger batch gave another gradient of b",
    ),
    "only one batch size": (
        (KeepsTheFirstBatchSize(), (5, 4)),
        "backward after a larger batch raised ValueError: matmul",
    ),
    "x kept in training only": (
        (KeepsInTrainingOnly(), (5, 4)),
        "backward after a larger batch raised ValueError: operands could not be broadcast",
    ),
    "no forward in inference": (
        (NotForInference(), (5, 4)),
        "a forward in inference and a backward after it raised NotImplementedError: train me; "
        "training=True leaves inference out",
    ),
    "state in inference": (
        (CountsInInference(), (5, 4)),
        "forward changed the state in inference",
    ),
    "x changed": (
        (SquaresInPlace(), (5, 4)),
        "forward changed x, which belongs to the caller",
    ),
    "dy to every one of equal pixels": (
        (ToEveryLargest(2), (2, 3, 6, 6)),
        "at a point with ties the gradient of x says",
    ),
    "dy to none of equal pixels": (
        (ToNoneOfEquals(3, 2), (2, 3, 7, 7)),
        "at a point with ties the gradient of x says",
    ),
    "a slope of 2 at the kink of ReLU": (
        (TwoAtZero(), (6, 5)),
        "at a point with ties the gradient of x says",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), CONTRACT.values(), ids=CONTRACT)
def test_a_broken_contract_is_reported(arguments, said):
    check = check_gradients(*arguments)
    assert any(problem.startswith(said) for problem in check.problems), check.problems
    assert check.verdict == "FAILED"


WRONG_SOMEWHERE = {  # a layer, and the variable whose gradient is wrong there
    "b = 0 hides a forgotten bias": (
        after(SquaredSum, lambda la, dy, dx: 2 * dy * la.x * la.s)(),
        "x",
    ),
    "s = 1 hides a forgotten factor": (after(Affine, lambda la, dy, dx: 2 * dy * la.x)(), "x"),
    "α > 0 hides that y is not x": (
        after(PReLU, lambda la, dy, dx: np.where(la.y > 0, dy, la.alpha * dy))(4),
        "x",
    ),
    "the mask of training": (TakesTheMaskOfTraining(0.5), "x"),
    "BatchNorm, as in training": (after(BatchNorm, batch_norm_as_in_training)(4), "x"),
    "BatchNorm without its running mean": (ForgetsTheRunningMean(4), "gamma"),
}


@pytest.mark.parametrize(("layer", "name"), WRONG_SOMEWHERE.values(), ids=WRONG_SOMEWHERE)
def test_mistakes_that_show_only_elsewhere_are_found(layer, name):
    check = check_gradients(layer, (5, 4))
    assert [row.name for row in check.rows if row.error > check.tolerance] == [name]


@pytest.mark.parametrize(
    "arguments",
    [
        *[(layer(), (5, 4)) for layer in (Affine, SquaredSum, Logarithm)],
        (mean_of_squares, (5, 4), np.zeros(5)),
        (MaxPool2D(2), (2, 3, 6, 6)),
        (MaxPool2D(3, 1, 1), (2, 3, 5, 5)),
        (PReLU(4), (6, 4)),
        (APL(4, 3), (9, 4)),
        *[(get_activation(name), (6, 5)) for name in ("relu", "leaky_relu", "selu")],
        (BatchNorm(4), (5, 4)),
        (Dropout(0.5), (5, 4)),
    ],
    ids=lambda arguments: getattr(arguments[0], "__name__", repr(arguments[0])),
)
def test_without_the_mistake_it_passes(arguments):
    for seed in range(3):
        assert_gradients(*arguments, rng=seed)


def test_a_layer_for_training_only_can_be_checked_in_training():
    assert_gradients(NotForInference(), (5, 4), training=True)


def test_perturb_false_checks_the_parameters_where_they_are():
    wrong = after(SquaredSum, lambda la, dy, dx: 2 * dy * la.x * la.s)()
    assert check_gradients(wrong, (5, 4), perturb=False).passed
    assert not check_gradients(wrong, (5, 4)).passed


def test_everything_is_restored_even_after_an_exception():
    class Raises(Affine):
        def backward(self, dy, input_gradient=True):
            raise RuntimeError("on purpose")

    def kept(network):
        generators = [layer.rng.bit_generator.state for layer in network.layers if layer.rng]
        return network.theta.tolist(), network.state.tolist(), generators

    for last in (Affine(3), Raises(3)):
        layers = [Dense(4, 3, "tanh"), BatchNorm(3), Dropout(0.5), last]
        network = Network(layers, 4, dtype="float64")
        network.state[...] = np.arange(1, 7)
        before = kept(network)
        if last.__class__ is Raises:
            with pytest.raises(RuntimeError, match="on purpose"):
                check_gradients(network, (5, 4))
        else:
            assert_gradients(network, (5, 4))
        assert kept(network) == before


def test_large_steps_over_a_jump_of_the_second_derivative_are_not_an_error():
    """ELU has one at 0: here the numeric derivative settled 1.3e-7 away from the true one."""
    block = [
        *(BatchNorm(4), Activate("elu"), Conv2D(4, 4, 3, padding=1)),
        *(BatchNorm(4), Activate("elu"), Conv2D(4, 4, 3, padding=1)),
    ]
    layers = [
        *(Conv2D(3, 4, 3, padding=1), Residual(block)),
        Residual([Conv2D(4, 6, 3, 2, 1)], [Conv2D(4, 6, 1, 2)]),
        *(GlobalAveragePool2D(), Dense(6, 3)),
    ]
    network = Network(layers, (3, 6, 6), dtype="float64")
    assert_gradients(network, (3, 3, 6, 6), np.arange(3), loss=SoftmaxCrossEntropy(), rng=10)


# -- not decided ------------------------------------------------------------------------------


def test_nothing_is_decided_if_rounding_would_explain_any_difference():
    doubled = after(Dense, lambda la, dy, dx: (np.multiply(la.dW, 2, out=la.dW), dx)[1])
    x = 1e-17 * np.random.default_rng(0).standard_normal((5, 4))
    for layer in (Dense(4, 3), doubled(4, 3)):
        check = check_gradients(layer, x)
        assert (check.verdict, check.passed, check.problems) == ("NOT DECIDED", False, [])
        (reason,) = check.undecided
        assert reason.startswith("W: a gradient of")
        assert "rescale the input, the targets or the parameters" in reason
        assert f"not decided: {reason}" in str(check)
        with pytest.raises(GradientError, match=r"NOT DECIDED \(tolerance 1e-07\)\n"):
            assert_gradients(layer, x)


def test_if_rounding_hides_less_than_the_gradient_the_row_says_how_much():
    network = Network([Dense(4, 3)], 4, dtype="float64")
    x = np.random.default_rng(0).standard_normal((5, 4))
    targets = np.full((5, 3), 1e4)
    check = assert_gradients(network, x, targets, loss=MeanSquaredError(), tolerance=1e-13)
    assert any(", to " in row.where for row in check.rows)
    assert not check.undecided


@pytest.mark.parametrize("N", [2, 3, 8])
def test_a_gradient_that_is_zero_up_to_rounding_passes(N):
    """For example that of a bias before BatchNorm."""
    for seed in range(5):
        network = Network([Dense(3, 2), BatchNorm(2), Activate("tanh")], 3, dtype="float64")
        check = assert_gradients(network, (N, 3), rng=seed, training=True)
        assert abs(check.rows[2].analytic) < 1e-12
