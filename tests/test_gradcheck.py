"""The gradient checker must fail where a gradient is wrong: one planted error after another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import (
    ACTIVATIONS,
    APL,
    GLU,
    Activate,
    AveragePool2D,
    BatchNorm,
    BinaryCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    MeanSquaredError,
    Network,
    PReLU,
    Residual,
    SoftmaxCrossEntropy,
    SwiGLU,
    assert_gradients,
    check_gradients,
    get_activation,
)
from minidl.activations import Activation
from minidl.gradcheck import GradientError

LABELS = np.array([0, 3, 1, 1, 2])

# -- planted errors ---------------------------------------------------------------------------


def after(cls, change):
    """The class with ``change(layer, dy, dx)`` after its backward; what it returns is the dx."""

    class Mutant(cls):
        def backward(self, dy, input_gradient=True):
            return change(self, dy, super().backward(dy, True))

    Mutant.__name__ = cls.__name__
    return Mutant


def scale(attribute, factor):
    """Multiply a gradient after the right backward."""

    def change(layer, dy, dx):
        getattr(layer, attribute)[...] *= factor
        return dx

    return change


def set_to(attribute, value):
    """Overwrite a gradient after the right backward."""

    def change(layer, dy, dx):
        getattr(layer, attribute)[...] = value(layer, dy)
        return dx

    return change


def change_dy(layer, dy, dx):
    dy *= 2
    return dx


class Accumulating(Dense):
    def backward(self, dy, input_gradient=True):
        before = self.dW.copy()
        dx = super().backward(dy, input_gradient)
        self.dW += before
        return dx


class DropsAnew(Dropout):
    def backward(self, dy, input_gradient=True):
        return dy * (self.rng.random(dy.shape) >= self.rate) / (1 - self.rate)


DENSE = {
    "nothing is wrong": lambda layer, dy, dx: dx,
    "dW transposed": set_to("dW", lambda la, dy: la.dz.T @ la.x),
    "dW without f'(z)": set_to("dW", lambda la, dy: la.x.T @ dy),
    "dW scaled by 1 + 1e-4": scale("dW", 1 + 1e-4),
    "dW averaged": set_to("dW", lambda la, dy: la.dW / len(dy)),
    "dW of the last example": set_to("dW", lambda la, dy: np.outer(la.x[-1], la.dz[-1])),
    "dW all zeros": scale("dW", 0),
    "db averaged": set_to("db", lambda la, dy: la.dz.mean(axis=0)),
    "db without f'(z)": set_to("db", lambda la, dy: dy.sum(axis=0)),
    "db summed over the units": set_to("db", lambda la, dy: la.dz.sum()),
    "db of the wrong sign": scale("db", -1),
    "dx without the transpose": lambda la, dy, dx: la.dz @ la.W,
    "dx without f'(z)": lambda la, dy, dx: dy @ la.W.T,
    "dx zero": lambda la, dy, dx: dx * 0,
    "dx scaled by 1 + 1e-4": lambda la, dy, dx: dx * (1 + 1e-4),
    "f' of y in the place of z": lambda la, dy, dx: (dy * la.activation.derivative(la.y)) @ la.W.T,
    "dy changed": change_dy,
}
ARGUMENTS = {
    f"Dense: {name}": lambda c=change: (after(Dense, c)(4, 4, "tanh"), (5, 4))
    for name, change in DENSE.items()
}
ARGUMENTS["Dense: accumulates"] = lambda: (Accumulating(4, 4, "tanh"), (5, 4))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "mask ignored": lambda la, dy, dx: dy.copy(),
    "mask not scaled": lambda la, dy, dx: dy * (la.mask > 0),
    "mask of the others": lambda la, dy, dx: dy * (la.mask == 0),
    "mask twice": lambda la, dy, dx: dx * la.mask,
}.items():
    ARGUMENTS[f"Dropout: {name}"] = lambda c=change: (after(Dropout, c)(0.5), (6, 5))
ARGUMENTS["Dropout: another mask"] = lambda: (DropsAnew(0.5), (6, 5))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "another order": lambda la, dy, dx: dy.reshape(la.x.shape, order="F"),
    "axes exchanged": lambda la, dy, dx: dx.swapaxes(1, 2),
    "examples exchanged": lambda la, dy, dx: dx[::-1],
}.items():
    ARGUMENTS[f"Flatten: {name}"] = lambda c=change: (after(Flatten, c)(), (2, 3, 3))


def scattered(layer):
    """Built, with parameters that are all different: at γ = 1, β = 0, b = 0 errors hide."""
    layer.build(dtype="float64")
    rng = np.random.default_rng(3)
    for part in layer.walk():
        for value in part.parameters().values():
            value[...] = rng.normal(0.3, 0.7, value.shape)
    return layer


def per_channel(v):
    return v.sum(axis=(0, *range(2, v.ndim)))


def spread(p, like):
    return p.reshape(-1, *(1,) * (like.ndim - 2))


def slope(layer, dy):
    """γ / √(v + ε) of BatchNorm in training, from its input."""
    s = np.sqrt(layer.x.var(axis=(0, *range(2, dy.ndim))) + layer.epsilon)
    return spread(layer.gamma / s, dy)


def batch_norm_without(layer, dy, mean=1, variance=1):
    """dx with the way through the mean or the variance left out."""
    m = dy.size // layer.channels
    through_mean = mean * spread(layer.dbeta / m, dy)
    through_variance = variance * layer.x_hat * spread(layer.dgamma / m, dy)
    return slope(layer, dy) * (dy - through_mean - through_variance)


for name, change in {
    "nothing is wrong": lambda la, dy, dx: batch_norm_without(la, dy),
    "mean held constant": lambda la, dy, dx: batch_norm_without(la, dy, mean=0),
    "variance held constant": lambda la, dy, dx: batch_norm_without(la, dy, variance=0),
    "both, as in inference": lambda la, dy, dx: batch_norm_without(la, dy, mean=0, variance=0),
    "divided by N, not by m": lambda la, dy, dx: batch_norm_without(la, dy, 6, 6),
    "variance unbiased": lambda la, dy, dx: dx * np.sqrt(29 / 30),
    "γ left out": lambda la, dy, dx: dx / spread(la.gamma, dy),
    "dγ from x in the place of x̂": set_to("dgamma", lambda la, dy: per_channel(dy * la.x)),
    "dγ from y": set_to("dgamma", lambda la, dy: per_channel(dy * la.y)),
    "dγ averaged": set_to("dgamma", lambda la, dy: per_channel(dy * la.x_hat) / len(dy)),
    "dβ of one position": set_to("dbeta", lambda la, dy: dy[:, :, 0, 0].sum(axis=0)),
    "dβ scaled by γ": set_to("dbeta", lambda la, dy: la.dbeta * la.gamma),
    "dβ exchanged with dγ": set_to("dbeta", lambda la, dy: la.dgamma),
    "dy changed": change_dy,
}.items():
    ARGUMENTS[f"BatchNorm: {name}"] = lambda c=change: (
        scattered(after(BatchNorm, c)(4)),
        (5, 4, 2, 3),
    )

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dα on the right side": set_to("dalpha", lambda la, dy: per_channel(dy * np.maximum(la.x, 0))),
    "dα without dy": set_to("dalpha", lambda la, dy: per_channel(np.minimum(la.x, 0))),
    "dα counts the left side": set_to("dalpha", lambda la, dy: per_channel(dy * (la.x < 0))),
    "dα shared by all": set_to("dalpha", lambda la, dy: la.dalpha.sum()),
    "α left out": lambda la, dy, dx: dy * (la.x > 0),
    "α of another channel": lambda la, dy, dx: np.where(
        la.x > 0, dy, spread(la.alpha[::-1], dy) * dy
    ),
    "sides exchanged": lambda la, dy, dx: np.where(la.x > 0, spread(la.alpha, dy), 1) * dy,
}.items():
    ARGUMENTS[f"PReLU: {name}"] = lambda c=change: (scattered(after(PReLU, c)(4)), (5, 4, 2, 2))


def gaps(layer):
    """b_s − x of every hinge, (S, N, C)."""
    return layer.b[:, None, :] - layer.x


for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "da of the first hinge in all": set_to("da", lambda la, dy: la.da[:1]),
    "da on the other side": set_to("da", lambda la, dy: (dy * np.maximum(-gaps(la), 0)).sum(1)),
    "da counts": set_to("da", lambda la, dy: (dy * (gaps(la) > 0)).sum(1)),
    "db without a": set_to("db", lambda la, dy: (dy * (gaps(la) > 0)).sum(1)),
    "db of the wrong sign": scale("db", -1),
    "db everywhere": set_to("db", lambda la, dy: la.a * dy.sum(0)),
    "dx of the hinges with +": lambda la, dy, dx: 2 * dy * (la.x > 0) - dx,
    "dx without the hinges": lambda la, dy, dx: dy * (la.x > 0),
    "dx without the last hinge": lambda la, dy, dx: dx + dy * la.a[-1] * (gaps(la)[-1] > 0),
    "dx without max(0, x)": lambda la, dy, dx: dx - dy * (la.x > 0),
}.items():
    ARGUMENTS[f"APL: {name}"] = lambda c=change: (scattered(after(APL, c)(4, 3)), (9, 4))


def glue(layer, dvalue, dz):
    """dx from the gradients of the half that passes and of the half that gates."""
    return np.concatenate([dz, dvalue] if layer.gate_first else [dvalue, dz], axis=1)


for cls in (GLU, SwiGLU):
    for name, change in {
        "nothing is wrong": lambda la, dy, dx: dx,
        "halves exchanged": lambda la, dy, dx: np.roll(dx, 3, axis=1),
        "gate held constant": lambda la, dy, dx: glue(la, dy * la.gate, dy * 0),
        "f' left out": lambda la, dy, dx: glue(la, dy * la.gate, dy * la._halves(la.x)[0]),
        "gate of y": lambda la, dy, dx: glue(la, dy * la.y, la._halves(dx)[1]),
        "scaled by 1 + 1e-4": lambda la, dy, dx: dx * (1 + 1e-4),
    }.items():
        ARGUMENTS[f"{cls.__name__}: {name}"] = lambda c=change, k=cls: (after(k, c)(), (5, 6))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "f' left out": lambda la, dy, dx: dy.copy(),
    "f' of y in the place of z": lambda la, dy, dx: dy * la.activation.derivative(la.y),
}.items():
    ARGUMENTS[f"Activate: {name}"] = lambda c=change: (after(Activate, c)("tanh"), (5, 4))


def block(change):
    return after(Residual, change)([Dense(4, 4, "tanh"), Dense(4, 4)], [Dense(4, 4)])


for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "shortcut left out": lambda la, dy, dx: la.branch.backward(dy).copy(),
    "branch left out": lambda la, dy, dx: la.shortcut.backward(dy).copy(),
    "identity in the place of the shortcut": lambda la, dy, dx: la.branch.backward(dy) + dy,
    "averaged": lambda la, dy, dx: dx / 2,
    "shortcut with the dx of the branch": lambda la, dy, dx: (
        la.branch.backward(dy) + la.shortcut.backward(la.branch.backward(dy))
    ),
}.items():
    ARGUMENTS[f"Residual: {name}"] = lambda c=change: (block(c), (5, 4))


def columns(layer, dy):
    """The pixels under a 3x3 kernel (N, C, down, across, 3, 3), and dz."""
    x = np.lib.stride_tricks.sliding_window_view(layer.x, (3, 3), axis=(2, 3))
    return x, layer.dz


CONV = {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dW computed anew, nothing is wrong": set_to(
        "dW", lambda la, dy: np.einsum("ncrsij,nors->ocij", *columns(la, dy))
    ),
    "dW without f'(z)": set_to(
        "dW", lambda la, dy: np.einsum("ncrsij,nors->ocij", columns(la, dy)[0], dy)
    ),
    "dW with the kernel turned": set_to("dW", lambda la, dy: la.dW[:, :, ::-1, ::-1].copy()),
    "dW with rows and columns exchanged": set_to("dW", lambda la, dy: la.dW.swapaxes(2, 3).copy()),
    "dW with the channels exchanged": set_to("dW", lambda la, dy: la.dW[:, ::-1].copy()),
    "dW of the last row of places": set_to(
        "dW",
        lambda la, dy: np.einsum("ncsij,nos->ocij", *(a[:, :, -1] for a in columns(la, dy))),
    ),
    "dW averaged over the places": scale("dW", 1 / 9),
    "dW of the last example": set_to(
        "dW", lambda la, dy: np.einsum("crsij,ors->ocij", *(a[-1] for a in columns(la, dy)))
    ),
    "dW scaled by 1 + 1e-4": scale("dW", 1 + 1e-4),
    "db of the first place": set_to("db", lambda la, dy: la.dz[:, :, 0, 0].sum(axis=0)),
    "db without f'(z)": set_to("db", lambda la, dy: dy.sum(axis=(0, 2, 3))),
    "db averaged over the places": scale("db", 1 / 9),
    "dx with the kernel turned": lambda la, dy, dx: dx[:, :, ::-1, ::-1],
    "dx with rows and columns exchanged": lambda la, dy, dx: dx.swapaxes(2, 3),
    "dx with the channels exchanged": lambda la, dy, dx: dx[:, ::-1],
    "dx shifted by a pixel": lambda la, dy, dx: np.roll(dx, 1, axis=3),
    "dx zero at the edge": lambda la, dy, dx: dx * (np.arange(5) > 0),
    "dx with every window alone": lambda la, dy, dx: dx / 2,
    "dy changed": change_dy,
}
for name, change in CONV.items():
    ARGUMENTS[f"Conv2D: {name}"] = lambda c=change: (
        after(Conv2D, c)(2, 3, 3, activation="tanh"),
        (3, 2, 5, 5),
    )
for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dx shifted by the padding": lambda la, dy, dx: np.roll(dx, 1, axis=2),
    "dx zero beside the border": lambda la, dy, dx: dx * (np.arange(5) < 4),
    "dW zero where the kernel is on the border": scale("dW", np.arange(3) > 0),
}.items():
    ARGUMENTS[f"Conv2D with stride and padding: {name}"] = lambda c=change: (
        after(Conv2D, c)(2, 3, 3, 2, 1, "tanh"),
        (3, 2, 5, 5),
    )


class ForgetsAPiece(Conv2D):
    """Its dW is that of all rows of places but the first."""

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        x, dz = (a[:, :, :1] for a in columns(self, dy))
        self.dW -= np.einsum("ncrsij,nors->ocij", x, dz)
        return dx


ARGUMENTS["Conv2D: a row of places forgotten"] = lambda: (ForgetsAPiece(2, 3, 3), (3, 2, 5, 5))


def windows(layer, *arrays):
    """Views of the arrays under each window of a pool with its place: (r, s), (N, C, h, w) each."""
    (height, width), (down, across) = layer.windows.size, layer.windows.stride
    for r, s in np.ndindex(layer.y.shape[2:]):
        rows = slice(down * r, down * r + height)
        yield (r, s), *(a[:, :, rows, across * s : across * s + width] for a in arrays)


def overlaps_overwritten(layer, dy, dx):
    """A pixel under several windows keeps what the last of them gives it."""
    dx = np.zeros_like(layer.x)
    for (r, s), x, dx_k in windows(layer, layer.x, dx):
        largest = x == layer.y[:, :, r : r + 1, s : s + 1]
        np.copyto(dx_k, dy[:, :, r : r + 1, s : s + 1], where=largest)
    return dx


def spread_evenly(layer, dy, dx):
    dx = np.zeros_like(layer.x)
    for (r, s), dx_k in windows(layer, dx):
        dx_k += dy[:, :, r : r + 1, s : s + 1] / dx_k[0, 0].size
    return dx


for name, make in {
    "nothing is wrong": lambda: after(MaxPool2D, lambda la, dy, dx: dx)(3, 2),
    "overlaps overwritten": lambda: after(MaxPool2D, overlaps_overwritten)(3, 1),
    "spread evenly": lambda: after(MaxPool2D, spread_evenly)(3, 2),
    "to the mirrored pixel": lambda: after(MaxPool2D, lambda la, dy, dx: dx[:, :, ::-1])(3, 2),
    "rows and columns exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx.swapaxes(2, 3))(
        3, 2
    ),
    "examples exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx[::-1])(3, 2),
    "channels exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx[:, ::-1])(3, 2),
    "dy changed": lambda: after(MaxPool2D, change_dy)(3, 2),
}.items():
    ARGUMENTS[f"MaxPool2D: {name}"] = lambda m=make: (m(), (3, 2, 7, 7))

for make in (
    lambda change: after(AveragePool2D, change)(3, 2),
    lambda change: after(GlobalAveragePool2D, change)(),
):
    for name, change in {
        "nothing is wrong": lambda la, dy, dx: dx,
        "sum in the place of the mean": lambda la, dy, dx: dx * 9,
        "zero at the edge": lambda la, dy, dx: dx * (np.arange(7) > 0),
        "channels exchanged": lambda la, dy, dx: dx[:, ::-1],
        "examples exchanged": lambda la, dy, dx: dx[::-1],
        "dy changed": change_dy,
    }.items():
        kind = type(make(change)).__name__
        ARGUMENTS[f"{kind}: {name}"] = lambda c=change, m=make: (m(c), (3, 2, 7, 7))
ARGUMENTS["AveragePool2D: overlaps counted once"] = lambda: (
    after(AveragePool2D, lambda la, dy, dx: np.minimum(dx, dx[:, :, :1, :1]))(3, 2),
    (3, 2, 7, 7),
)


def perturbed(cls, change):
    """The function with ``change(z, d)`` in the place of its derivative d."""

    class Mutant(cls):
        backward = Activation.backward  # linear's own does not need its slope

        def slope(self, z, y):
            return change(z, super().slope(z, y).astype(z.dtype))

    return Mutant()


for name, cls in ACTIVATIONS.items():
    if cls.elementwise:
        for wrong, change in {
            "nothing is wrong": lambda z, d: d,
            "f' scaled by 1 + 1e-5": lambda z, d: d * (1 + 1e-5),
            "f' less 1e-5": lambda z, d: d - 1e-5,
            "f' = 1": lambda z, d: d * 0 + (0.5 if d.min() == 1 else 1),
            "f' wrong in the right tail": lambda z, d: d + 1e-3 * (z > 1),
        }.items():
            ARGUMENTS[f"{name}: {wrong}"] = lambda c=cls, w=change: (perturbed(c, w), (6, 5))


def softmax(backward):
    mutant = type("Mutant", (ACTIVATIONS["softmax"],), {"backward": staticmethod(backward)})
    return mutant()


for name, backward in {
    "nothing is wrong": lambda dy, z, y: get_activation("softmax").backward(dy, z, y),
    "zeros": lambda dy, z, y: y * 0,
    "only the diagonal": lambda dy, z, y: dy * y * (1 - y),
    "⟨dy, y⟩ left out": lambda dy, z, y: dy * y,
    "⟨dy, y⟩ averaged": lambda dy, z, y: y * (dy - (dy * y).mean(-1, keepdims=True)),
    "summed over the batch": lambda dy, z, y: y * (dy - (dy * y).sum(0)),
}.items():
    ARGUMENTS[f"softmax: {name}"] = lambda b=backward: (softmax(b), (4, 5))


def loss_with(loss_class, change):
    """The loss with ``change(dlogits, logits, targets)`` in the place of its gradient."""

    def loss(logits, targets):
        value, dlogits = loss_class()(logits, targets)
        return value, change(dlogits, logits, targets)

    return loss


ONE_HOT = np.eye(4)[LABELS]
FLOATS = np.random.default_rng(0).random((5, 4))
for cls, targets in (
    (SoftmaxCrossEntropy, LABELS),
    (MeanSquaredError, FLOATS),
    (BinaryCrossEntropy, FLOATS),
):
    for name, change in {
        "nothing is wrong": lambda d, z, t: d,
        "1/N left out": lambda d, z, t: d * len(z),
        "1/N twice": lambda d, z, t: d / len(z),
        "sign": lambda d, z, t: -d,
        "zeros": lambda d, z, t: d * 0,
        "targets left out": lambda d, z, t: d + (ONE_HOT if t.ndim == 1 else t) / t.size,
        "scaled by 1 + 1e-5": lambda d, z, t: d * (1 + 1e-5),
        "of another example": lambda d, z, t: d[::-1],
    }.items():
        ARGUMENTS[f"{cls.name}: {name}"] = lambda c=cls, w=change, t=targets: (
            loss_with(c, w),
            (5, 4),
            t,
        )

RIGHT = [name for name in ARGUMENTS if name.endswith("nothing is wrong")]
WRONG = [name for name in ARGUMENTS if name not in RIGHT]


@pytest.mark.parametrize("name", RIGHT)
def test_passes_where(name):
    check = assert_gradients(*ARGUMENTS[name](), rng=1)
    assert check.passed
    assert check.worst <= 1e-7


@pytest.mark.parametrize("name", WRONG)
def test_fails_for(name):
    with pytest.raises(GradientError, match="FAILED"):
        assert_gradients(*ARGUMENTS[name](), rng=1)


@pytest.mark.parametrize("name", ["Dense: dW transposed", "Dense: db averaged", "relu: f' = 1"])
@pytest.mark.parametrize("depth", [0, 2])
def test_fails_for_a_planted_error_anywhere_in_a_network(name, depth):
    mutant = ARGUMENTS[name]()[0]
    mutant = mutant if isinstance(mutant, Layer) else Dense(4, 4, mutant)
    layers = [Dense(4, 4, "tanh") for _ in range(3)]
    layers[depth] = mutant
    network = Network(layers, 4, dtype="float64")
    check = check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy())
    assert not check.passed
    wrong = {row.name for row in check.rows if row.error > check.tolerance}
    if name.startswith("Dense"):
        assert wrong == {f"dense_{depth + 1}.W" if "dW" in name else f"dense_{depth + 1}.b"}
    else:  # everything up to there
        assert f"dense_{depth + 1}.W" in wrong
        assert "x" in wrong


# -- what it says -----------------------------------------------------------------------------


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


def test_a_changed_dy_is_named_and_the_rest_checked_all_the_same():
    check = check_gradients(after(Dense, change_dy)(3, 2), (4, 3))
    assert check.problems == ["backward changed dy, which belongs to the caller"]
    assert check.worst < 1e-9


def test_a_backward_that_cannot_be_repeated_is_named():
    class Halves(Dense):
        def backward(self, dy, input_gradient=True):
            dx = super().backward(dy, input_gradient)
            self.x = self.x / 2
            return dx

    check = check_gradients(Halves(3, 2), (4, 3))
    assert check.problems == ["a second backward gave another gradient of W"]


def test_a_layer_that_is_random_in_each_forward_is_named():
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


def test_a_discontinuous_function_is_named():
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


def test_black_images_into_relu_are_all_kink_and_pass():
    network = Network([Flatten(), Dense(4, 3, "relu"), Dense(3, 4)], (2, 2), dtype="float64")
    x = np.zeros((5, 2, 2))
    assert assert_gradients(network, x, LABELS, loss=SoftmaxCrossEntropy()).moved >= 1


def test_a_wrong_gradient_of_a_smooth_function_is_no_kink():
    for factor in (2, 1 + 1e-6):
        check = check_gradients(after(Dense, scale("dW", factor))(4, 4, "tanh"), (5, 4))
        assert not check.passed
        assert (check.moved, check.problems) == (0, [])


def test_the_parameters_are_left_as_they_were():
    network = Network([Dense(4, 3, "tanh"), Dense(3, 4)], 4, dtype="float64")
    before = network.theta.copy()
    check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy())
    np.testing.assert_array_equal(network.theta, before)


def test_the_state_is_left_as_it_was():
    """Running values follow each of the many forwards, and end where they began."""
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


def test_the_error_of_one_entry_in_ten_thousand_shows():
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
    """y = x ∘ s: as the docstring of Layer says to write one."""

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


def test_a_layer_of_ones_own_in_one_call():
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
        "x as a float64 array or a shape, got float32; float32 has too few digits",
    ),
    "a list": (lambda: check_gradients(Dense(3, 2), [[1.0, 2, 3]]), TypeError, "got list"),
    "float32 layer": (
        lambda: check_gradients(Dense(3, 2).build(), (4, 3)),
        TypeError,
        "expected x of type float32, got float64",
    ),
    "float32 layer that takes anything": (
        lambda: check_gradients(Scale(3).build(), (4, 3)),
        TypeError,
        r"Scale\(\): expected x of type float32, got float64; .* build with dtype='float64'",
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
