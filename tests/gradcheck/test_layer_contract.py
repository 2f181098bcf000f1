"""Mistakes that a layer can make although its formulas look right at first.

Each kind of mistake is planted here, and the same layer is checked without it.
"""

from __future__ import annotations

import numpy as np
import pytest
from planted import after, set_to, windows

import minidl as ml
from minidl import Layer, MaxPool2D, assert_gradients, check_gradients
from minidl.losses import Loss


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


def sums_as_many_rows_as_the_smallest_batch_had(layer, dy, dx):
    layer.least = min(getattr(layer, "least", len(dy)), len(dy))
    layer.db[...] = dy[: layer.least].sum(axis=0)
    return dx


def frees_x(layer, dy, dx):
    del layer.x
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


# -- what a network and its training rely on --------------------------------------------------


class ForgetsY(Affine):
    def forward(self, x, training=False):
        self.x = x
        return x**2 * self.s + self.b


class WrongShape(Affine):
    def output_shape(self, input_shape):
        return (7,)


class Rebinds(Affine):
    def initialize(self, rng):
        self.s = rng.standard_normal(self.n).reshape(self.n)
        self.b[...] = 0


class DoublePrecision(Affine):
    def forward(self, x, training=False):
        self.y = super().forward(x, training) * np.float64(1)
        return self.y


class OneLossForAll(Loss):
    def per_example(self, z, t):
        return ((z - t) ** 2).mean(), 2 * (z - t) / z.size


# -- what a piece keeps from call to call, or assumes of its input ----------------------------


class MaximumOfAll(Layer):
    """Its dx is zero where reshape makes a copy, as with the batch last in memory."""

    def output_shape(self, input_shape):
        return input_shape[:1]

    def forward(self, x, training=False):
        self.x, self.y = x, x.max(axis=(2, 3))
        return self.y

    def backward(self, dy, input_gradient=True):
        dx = np.zeros_like(self.x)
        largest = self.x.reshape(dy.size, -1).argmax(axis=1)
        dx.reshape(dy.size, -1)[np.arange(dy.size), largest] = dy.ravel()
        return dx


class KeepsItsTranspose(ml.Dense):
    WT = None

    def backward(self, dy, input_gradient=True):
        super().backward(dy)
        self.WT = self.W.T.copy() if self.WT is None else self.WT
        return self.dz @ self.WT


class OneBuffer(Affine):
    """Returns the same array in every call."""

    def buffered(self, name, a):
        if getattr(self, name, np.zeros(0)).shape != a.shape:
            setattr(self, name, np.empty_like(a))
        getattr(self, name)[...] = a
        return getattr(self, name)


class BufferOfY(OneBuffer):
    def forward(self, x, training=False):
        self.y = self.buffered("Y", super().forward(x, training))
        return self.y


class BufferOfDx(OneBuffer):
    def backward(self, dy, input_gradient=True):
        return self.buffered("dx", super().backward(dy))


class DoublesWithoutStrides(Affine):
    def forward(self, x, training=False):
        self.y = super().forward(x, training) * (1 + (0 in x.strides))
        return self.y


def at_most_64_rows(layer, dy, dx):
    layer.db[...] = dy[:64].sum(axis=0)
    return dx


def none_above_64(layer, dy, dx):
    if len(dy) > 64:
        layer.db[...] = np.nan  # as the check leaves what is not written
    return dx


ANOTHER = "gave another gradient of"
TIES = "at a point with ties the gradient of x says"
BROKEN = [  # the problem reported, a layer or loss, and its input
    (
        "expected dx as float64 (5, 4) like x, got float64 (5, 1)",
        after(Affine, lambda la, dy, dx: dx.sum(axis=1, keepdims=True))(),
    ),
    (
        "expected dx as float64 (5, 4) like x, got float32 (5, 4)",
        after(Affine, lambda la, dy, dx: dx.astype("float32"))(),
    ),
    (
        "expected dx as float64 (5, 4) like x, got None",
        after(Affine, lambda la, dy, dx: None)(),
    ),
    ("expected db as float64 (4,) like b, got float64 (1,)", OneForAll()),
    (
        "expected dlogits as float64 (5, 4) like logits, got float64 (5, 1)",
        *(mean_of_squares_summed, (5, 4), np.zeros(5)),
    ),
    ("the gradient of s is not written, or not finite by backward(dy, input_gra", ReturnsEarly()),
    (f"backward(dy, input_gradient=False) {ANOTHER} b", KeepsItsSum()),
    ("a second backward: expected dx as float64 (5, 4) like x, got None", WithoutByDefault()),
    (f"a second backward {ANOTHER} s", after(Affine, halves_x)()),
    ("a second backward raised AttributeError", after(Affine, frees_x)()),
    (f"backward after a larger batch {ANOTHER} b", after(Affine, sums_all_rows)()),
    (
        f"backward after a smaller batch {ANOTHER} b",
        after(Affine, sums_as_many_rows_as_the_smallest_batch_had)(),
    ),
    (
        "backward after a larger batch raised ValueError: matmul",
        after(Affine, keeps_the_first_batch_size)(),
    ),
    (
        "backward after a larger batch raised ValueError: operands could not be broadcast",
        KeepsInTrainingOnly(),
    ),
    (
        "a forward in inference and a backward after it raised NotImplementedError: train me; "
        "training=True leaves inference out",
        NotForInference(),
    ),
    ("forward changed the state in inference", CountsInInference()),
    ("forward changed x, which belongs to the caller", SquaresInPlace()),
    ("the numeric derivative did not settle at 11 points: is the function dis", Noisy()),
    (TIES, after(MaxPool2D, to_every_largest)(2), (2, 3, 6, 6)),
    (TIES, after(MaxPool2D, to_none_of_equals)(3, 2), (2, 3, 7, 7)),
    (TIES, TwoAtZero()),
    ("forward does not keep what it returns in self.y", ForgetsY()),
    ("output_shape((4,)) says (7,), but forward returns (4,)", WrongShape()),
    (
        "wrongshape_1: output_shape((4,)) says (7,), but forward returns (4,)",
        ml.Network([ml.Dense(4, 4), WrongShape()], 4, dtype="float64"),
    ),
    ("in a float32 network, y is float64: use the type of x", DoublePrecision()),
    (
        "expected per_example(z, t) to return one loss per example (5,), got ()",
        *(OneLossForAll(), (5, 4), np.zeros((5, 4))),
    ),
    (
        f"a call with arrays that are batch last in memory {ANOTHER} x",
        *(MaximumOfAll(), (3, 2, 4, 4)),
    ),
    ("a call with x of stride 0 gave another output", DoublesWithoutStrides()),
    ("a later call changed the y that an earlier one had returned", BufferOfY()),
    ("a later call changed the dx that an earlier one had returned", BufferOfDx()),
    ("with 129 examples the gradient of x is wrong", KeepsItsTranspose(4, 4, "tanh")),
    ("with 129 examples the gradient of b is wrong", after(Affine, at_most_64_rows)()),
    ("with 129 examples the gradient of b is wrong", after(Affine, none_above_64)()),
    (
        "the gradient of s has only the digits of float32, φ has those of float64",
        after(Affine, set_to("ds", lambda la, dy: la.ds.astype("float32")))(),
    ),
]


@pytest.mark.parametrize(("said", "arguments"), [(said, rest) for said, *rest in BROKEN])
def test_a_broken_rule_is_reported(said, arguments):
    check = check_gradients(*arguments, *[(5, 4)] * (len(arguments) == 1))
    assert any(problem.startswith(said) for problem in check.problems), check.problems
    assert check.verdict == "FAILED"


def test_a_parameter_that_is_not_declared_is_named():
    class Undeclared(Affine):
        def parameter_shapes(self):
            return {"s": (self.n,)}

    said = (
        r"Undeclared\(\) has no attribute 'b'; the arrays that exist .* state_shapes\(\) name: s$"
    )
    with pytest.raises(AttributeError, match=said):
        check_gradients(Undeclared(), (5, 4))


def test_a_parameter_assigned_in_initialize_stays_a_view():
    network = ml.Network([Rebinds(), ml.Dense(4, 2)], 4, dtype="float64")
    assert np.shares_memory(network["rebinds_1"].s, network.theta)
    assert_gradients(network, (5, 4))
    (problem,) = check_gradients(Rebinds(), (5, 4)).problems
    assert problem.startswith("in a float32 network it raised TypeError: Rebinds(): expected s of")


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
