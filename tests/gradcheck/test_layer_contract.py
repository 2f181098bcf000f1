"""Mistakes that a layer can make although its formulas look right at first.

Each kind of mistake is planted here, and the same layer is checked without it.
"""

from __future__ import annotations

import numpy as np
import pytest
from planted import Accumulating, after, change_dy, windows

import minidl as ml
from minidl import Layer, MaxPool2D, assert_gradients, check_gradients


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


def mean_of_squares(logits, targets):
    return (logits**2).mean(), 2 * logits / logits.size


# -- shapes and types: NumPy would silently broadcast them ------------------------------------


class OneForAll(Affine):
    """db is one number, the sum of the correct db."""

    total = np.zeros(1)

    def gradients(self):
        return super().gradients() | {"b": self.total}

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        self.total[...] = dy.sum()
        return dx


def mean_of_squares_summed(logits, targets):
    value, dlogits = mean_of_squares(logits, targets)
    return value, dlogits.sum(axis=1, keepdims=True)


# -- the other ways to call it ----------------------------------------------------------------


class ReturnsEarly(Affine):
    def backward(self, dy, input_gradient=True):
        return super().backward(dy) if input_gradient else None


class KeepsItsSum(Affine):
    """Without the input gradient, it uses what the last backward with it left behind."""

    def backward(self, dy, input_gradient=True):
        if input_gradient:
            self.sums = dy.sum(axis=0)
        super().backward(dy, input_gradient)
        self.db[...] = self.sums
        return 2 * dy * self.x * self.s


class WithoutByDefault(Affine):
    """In a network, the layer before it would get None."""

    def backward(self, dy, input_gradient=False):
        return super().backward(dy, input_gradient)


def sums_all_rows(layer, dy, dx):
    """db sums over all rows that were ever allocated."""
    if len(getattr(layer, "rows", ())) < len(dy):
        layer.rows = np.zeros_like(dy)
    layer.rows[: len(dy)] = dy
    layer.db[...] = layer.rows.sum(axis=0)
    return dx


def keeps_the_first_batch_size(layer, dy, dx):
    layer.ones = getattr(layer, "ones", np.ones(len(dy)))
    layer.db[...] = layer.ones @ dy
    return dx


def halves_x(layer, dy, dx):
    layer.x = layer.x / 2
    return dx


# -- inference --------------------------------------------------------------------------------


class KeepsInTrainingOnly(Affine):
    def forward(self, x, training=False):
        if training:
            self.x = x
        return x**2 * self.s + self.b


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


class Noisy(Layer):
    noise = np.random.default_rng(0)

    def forward(self, x, training=False):
        self.y = x * self.noise.random(x.shape)
        return self.y

    def backward(self, dy, input_gradient=True):
        return dy


# -- ties: equal pixels, units at their kink --------------------------------------------------


def to_every_largest(layer, dy, dx):
    """Equal pixels get dy each."""
    dx = np.zeros_like(layer.x)
    for here, x, dx_k in windows(layer, layer.x, dx):
        dx_k += dy[here] * (x == layer.y[here])
    return dx


def to_none_of_equals(layer, dy, dx):
    dx = np.zeros_like(layer.x)
    for here, x, dx_k in windows(layer, layer.x, dx):
        largest = x == layer.y[here]
        dx_k += dy[here] * largest * (largest.sum(axis=(2, 3), keepdims=True) == 1)
    return dx


class TwoAtZero(ml.activations.ReLU):
    def backward(self, dy, z, y):
        return super().backward(dy, z, y) + 2 * dy * (z == 0)


def broken(layer, said, shape=(5, 4)):
    return (layer, shape), said


def changed(change, said):
    return broken(after(Affine, change)(), said)


CONTRACT = {  # a layer or loss with its arguments, and the problem reported
    "dx summed over the units": changed(
        lambda la, dy, dx: dx.sum(axis=1, keepdims=True),
        "expected dx as float64 (5, 4) like x, got float64 (5, 1)",
    ),
    "dx summed over the batch": changed(
        lambda la, dy, dx: dx.sum(axis=0, keepdims=True),
        "expected dx as float64 (5, 4) like x, got float64 (1, 4)",
    ),
    "dx in float32": changed(
        lambda la, dy, dx: dx.astype("float32"),
        "expected dx as float64 (5, 4) like x, got float32 (5, 4)",
    ),
    "no dx": changed(lambda la, dy, dx: None, "expected dx as float64 (5, 4) like x, got None"),
    "a parameter's gradient of another shape": broken(
        OneForAll(), "expected db as float64 (4,) like b, got float64 (1,)"
    ),
    "dlogits summed over the classes": (
        (mean_of_squares_summed, (5, 4), np.zeros(5)),
        "expected dlogits as float64 (5, 4) like logits, got float64 (5, 1)",
    ),
    "early return without the input's gradient": broken(
        ReturnsEarly(),
        "the gradient of s is not written, or not finite by backward(dy, input_gradient=False)",
    ),
    "what another backward has left": broken(
        KeepsItsSum(), "backward(dy, input_gradient=False) gave another gradient of b"
    ),
    "no dx unless asked for": broken(
        WithoutByDefault(),
        "a second backward: expected dx as float64 (5, 4) like x, got None",
    ),
    "added to what was there": broken(
        Accumulating(4, 4), "the gradient of W is not written, or not finite"
    ),
    "a backward that cannot be repeated": changed(
        halves_x, "a second backward gave another gradient of s"
    ),
    "rows of a larger batch": changed(
        sums_all_rows, "backward after a larger batch gave another gradient of b"
    ),
    "only one batch size": changed(
        keeps_the_first_batch_size, "backward after a larger batch raised ValueError: matmul"
    ),
    "x kept in training only": broken(
        KeepsInTrainingOnly(),
        "backward after a larger batch raised ValueError: operands could not be broadcast",
    ),
    "no forward in inference": broken(
        NotForInference(),
        "a forward in inference and a backward after it raised NotImplementedError: train me; "
        "training=True leaves inference out",
    ),
    "state in inference": broken(CountsInInference(), "forward changed the state in inference"),
    "x changed": broken(SquaresInPlace(), "forward changed x, which belongs to the caller"),
    "dy changed": changed(change_dy, "backward changed dy, which belongs to the caller"),
    "random": broken(
        Noisy(),
        "the numeric derivative did not settle at 11 points: is the function discontinuous, or "
        "random in each forward?",
    ),
    "dy to every one of equal pixels": broken(
        after(MaxPool2D, to_every_largest)(2),
        "at a point with ties the gradient of x says",
        (2, 3, 6, 6),
    ),
    "dy to none of equal pixels": broken(
        after(MaxPool2D, to_none_of_equals)(3, 2),
        "at a point with ties the gradient of x says",
        (2, 3, 7, 7),
    ),
    "a slope of 2 at the kink of ReLU": broken(
        TwoAtZero(), "at a point with ties the gradient of x says", (6, 5)
    ),
}


@pytest.mark.parametrize(("arguments", "said"), CONTRACT.values(), ids=CONTRACT)
def test_a_broken_contract_is_reported(arguments, said):
    check = check_gradients(*arguments)
    assert any(problem.startswith(said) for problem in check.problems), check.problems
    assert check.verdict == "FAILED"


# -- mistakes that show only away from the initial values, or in inference --------------------


class TakesTheMaskOfTraining(ml.Dropout):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        self.last = self.mask if training else self.last
        return y

    def backward(self, dy, input_gradient=True):
        return dy * self.last


def forgets_the_running_mean(layer, dy, dx):
    if not layer.training:
        layer.dgamma[...] = (dy * layer.x / np.sqrt(layer.running_variance + 1e-5)).sum(axis=0)
    return dx


FORGETS_ITS_BIAS = after(SquaredSum, lambda la, dy, dx: 2 * dy * la.x * la.s)
ELSEWHERE = {  # a layer, and the variable whose gradient is wrong there
    "b = 0 hides a forgotten bias": (FORGETS_ITS_BIAS(), "x"),
    "s = 1 hides a forgotten factor": (after(Affine, lambda la, dy, dx: 2 * dy * la.x)(), "x"),
    "α > 0 hides that y is not x": (
        after(ml.PReLU, lambda la, dy, dx: np.where(la.y > 0, dy, la.alpha * dy))(4),
        "x",
    ),
    "the mask of training": (TakesTheMaskOfTraining(0.5), "x"),
    "BatchNorm, as in training": (
        after(ml.BatchNorm, lambda la, dy, dx: dx - dx.mean(axis=0) * (not la.training))(4),
        "x",
    ),
    "BatchNorm without its running mean": (
        after(ml.BatchNorm, forgets_the_running_mean)(4),
        "gamma",
    ),
}


@pytest.mark.parametrize(("layer", "name"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_mistakes_that_show_only_elsewhere_are_found(layer, name):
    check = check_gradients(layer, (5, 4))
    assert [row.name for row in check.rows if row.error > check.tolerance] == [name]


def test_without_the_mistake_it_passes():
    for seed in range(3):
        for layer in (Affine(), SquaredSum(), Logarithm(), ml.PReLU(4), ml.BatchNorm(4)):
            assert_gradients(layer, (5, 4), rng=seed)
        for name in ("relu", "leaky_relu", "selu"):
            assert_gradients(ml.get_activation(name), (6, 5), rng=seed)
        assert_gradients(mean_of_squares, (5, 4), np.zeros(5), rng=seed)
        assert_gradients(ml.MaxPool2D(2), (2, 3, 6, 6), rng=seed)
        assert_gradients(ml.MaxPool2D(3, 1, 1), (2, 3, 5, 5), rng=seed)
        assert_gradients(ml.APL(4, 3), (9, 4), rng=seed)
        assert_gradients(ml.Dropout(0.5), (5, 4), rng=seed)


def test_a_layer_for_training_only_can_be_checked_in_training():
    assert_gradients(NotForInference(), (5, 4), training=True)


def test_perturb_false_checks_the_parameters_where_they_are():
    assert check_gradients(FORGETS_ITS_BIAS(), (5, 4), perturb=False).passed
    assert not check_gradients(FORGETS_ITS_BIAS(), (5, 4)).passed


class Raises(Affine):
    def backward(self, dy, input_gradient=True):
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("last", [Affine, Raises])
def test_parameters_state_and_generators_are_restored(last):
    layers = [ml.Dense(4, 3, "tanh"), ml.BatchNorm(3), ml.Dropout(0.5), last(3)]
    network = ml.Network(layers, 4, dtype="float64")
    network.state[...] = np.arange(1, 7)

    def everything():
        generators = [layer.rng.bit_generator.state for layer in network.layers if layer.rng]
        return network.theta.tolist(), network.state.tolist(), generators

    before = everything()
    if last is Raises:
        with pytest.raises(RuntimeError, match="on purpose"):
            check_gradients(network, (5, 4))
    else:
        for training in (True, False, None):
            assert_gradients(network, (5, 4), training=training)
    assert everything() == before
