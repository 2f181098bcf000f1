"""Every gradient of minidl in one table, against finite differences, and some against PyTorch.

The finite differences are minidl's own ``check_gradients`` (gradcheck/ plants errors to
show that it finds them).  As a check that does not depend on it, Dense is also differentiated
with 40-digit arithmetic, and whole networks with PyTorch's autograd.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from minidl import (
    ACTIVATIONS,
    APL,
    GLU,
    ActivationLayer,
    AveragePool2D,
    BatchNorm,
    BinaryCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    FirstToken,
    Flatten,
    GlobalAveragePool2D,
    LayerNorm,
    MaxPool2D,
    MeanSquaredError,
    Network,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    SoftmaxCrossEntropy,
    SwiGLU,
    assert_gradients,
)
from minidl.activations import CELU, ELU, LeakyReLU

SMOOTH, KINKED = 1e-9, 1e-6  # the largest relative error
FUNCTIONS = {
    **ACTIVATIONS,
    "leaky_relu(0.3)": lambda: LeakyReLU(0.3),
    "elu(0.5)": lambda: ELU(0.5),
    "elu(2)": lambda: ELU(2),
    "celu(2)": lambda: CELU(2),
}


def tolerance(name: str) -> float:
    return KINKED if FUNCTIONS[name]().kinks else SMOOTH


# -- the table --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activation(name, place):
    for shape in [(1,), (4, 3), (2, 3, 4)]:
        assert_gradients(FUNCTIONS[name](), shape, rng=1, tolerance=tolerance(name), device=place)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dense(name, place):
    """From one neuron to a square W, where a missing transpose keeps the shape."""
    for N, n_in, n_out in [(1, 1, 1), (6, 4, 4), (5, 1, 3)]:
        layer = Dense(n_in, n_out, FUNCTIONS[name](), biases="glorot_normal")
        check = assert_gradients(
            layer, (N, n_in), rng=2, directions=1, tolerance=tolerance(name), device=place
        )
        assert [row.name for row in check.rows] == ["x", "W", "b"]


LAYERS = [
    (Flatten(), (3, 4)),
    (Flatten(), (2, 3, 4, 5)),
    (Dropout(0.5), (6, 5)),
    (Dropout(0.9), (2, 3, 4)),
    (RReLU(0, 1), (2, 3, 4, 2)),
    (RReLU(0.25, 0.25), (3, 4)),
    (ActivationLayer("swish"), (2, 3, 2, 2)),
    (ActivationLayer("softmax"), (4, 5)),
    (GLU(), (1, 2)),
    (GLU(), (2, 4, 3, 2)),
    (SwiGLU(), (1, 2)),
    (SwiGLU(), (2, 4, 3, 2)),
    (Dense(4, 3, "swish"), (2, 5, 4)),
    (Dense(1, 1), (1, 1, 1)),
    (GLU(), (2, 3, 4)),
    (SwiGLU(), (1, 1, 2)),
    (LayerNorm(2), (1, 2)),
    (LayerNorm(5), (3, 5)),
    (LayerNorm(4, epsilon=0.1), (2, 3, 4)),
    (PositionEmbedding(6, 4), (3, 5, 4)),
    (PositionEmbedding(1, 2), (2, 1, 2)),
    (FirstToken(), (3, 4, 2)),
    (BatchNorm(1), (2, 1)),
    (BatchNorm(4), (7, 4)),
    (BatchNorm(3, epsilon=0.1), (1, 3, 2, 2)),
    (BatchNorm(3), (4, 3, 2, 5)),
    (Residual([Dense(4, 4, "tanh")]), (3, 4)),
    (Residual([Dense(4, 3), BatchNorm(3), Dense(3, 4)]), (5, 4)),
    (Residual([Dense(4, 3, "swish")], [Dense(4, 3)]), (5, 4)),
    (Residual([Dropout(0.5), Residual([Dense(4, 4)])], [Dropout(0.5)]), (5, 4)),
    (Residual([Dense(4, 3, "swish")], [Dense(4, 3)], "swish"), (5, 4)),
    (MaxPool2D(1), (2, 3, 4, 5)),
    (MaxPool2D(2), (2, 2, 5, 7)),
    (MaxPool2D(3, 2, 1), (2, 3, 6, 7)),
    (MaxPool2D((2, 3), (1, 2)), (2, 1, 4, 7)),
    (MaxPool2D(2, 3), (1, 2, 8, 5)),
    (AveragePool2D(2), (3, 2, 4, 6)),
    (AveragePool2D(3, 2), (2, 3, 8, 7)),
    (AveragePool2D((1, 4), 1), (2, 1, 2, 6)),
    (GlobalAveragePool2D(), (3, 4, 5, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=repr)
def test_layer(layer, shape, place):
    scatter(layer, place)
    assert_gradients(layer, shape, rng=3, tolerance=SMOOTH, device=place)


def scatter(layer, place):
    """Random parameters and state: the initial γ = 1 and β = 0 would hide errors."""
    rng = np.random.default_rng(12)
    layer.build(dtype="float64", device=place)
    for part in layer.walk():
        for value in part.parameters().values():
            value += place.asarray(rng.normal(0, 0.5, value.shape))
        for value in part.state().values():
            value += place.asarray(rng.random(value.shape))


@pytest.mark.parametrize("hinges", [0, 1, 5], ids=["prelu", "apl 1", "apl 5"])
def test_learned_activation(hinges, place):
    for shape in [(1, 1), (5, 4), (2, 4, 3, 2)]:
        layer = APL(shape[1], hinges) if hinges else PReLU(shape[1])
        scatter(layer, place)
        check = assert_gradients(layer, shape, rng=13, tolerance=KINKED, device=place)
        assert [row.name for row in check.rows] == ["x", *layer.parameter_shapes()]


TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0], [5, 3, 5, 0, 6]])  # 0 is padding


class Mask:
    """Which of five keys are tokens, the same in every sentence."""

    def __init__(self, place):
        self.mask = place.asarray(np.array([[True, True, False, True, False]]))


@pytest.mark.parametrize(
    ("T", "heads", "masked", "dropout"),
    [(5, 1, True, 0.4), (5, 3, True, 0.0), (5, 2, False, 0.4), (1, 2, False, 0.0)],
)
def test_self_attention(T, heads, masked, dropout, place):
    layer = SelfAttention(6, heads, dropout, Mask(place) if masked else None)
    scatter(layer, place)
    check = assert_gradients(layer, (3, T, 6), rng=17, tolerance=SMOOTH, device=place)
    maps = ("query", "key", "value", "output")
    assert [row.name for row in check.rows] == ["x", *(f"{m}.{p}" for m in maps for p in "Wb")]


@pytest.mark.parametrize(
    ("activation", "pre_norm"),
    [("gelu", False), ("square", True), ("glu", False), ("swiglu", True)],
)
def test_encoder_block(activation, pre_norm, place):
    layer = EncoderBlock(6, 2, 8, activation, 0.3, Mask(place), pre_norm=pre_norm)
    scatter(layer, place)
    assert_gradients(layer, (3, 5, 6), rng=18, directions=1, tolerance=SMOOTH, device=place)


@pytest.mark.parametrize("padding", [None, 0, 5])
def test_embedding(padding, place):
    layer = Embedding(8, 4, padding).build(rng=1, dtype="float64", device=place)
    tokens = place.asarray(TOKENS)
    check = assert_gradients(layer, tokens, rng=19, tolerance=SMOOTH, elementwise=True)
    assert [row.name for row in check.rows] == ["W"]


CONVOLUTIONS = {  # kernel_size, stride, padding, shape of x, channels_out
    "one pixel": (1, 1, 0, (1, 1, 1, 1), 1),
    "1x1": (1, 1, 0, (3, 4, 3, 2), 2),
    "3x3": (3, 1, 0, (2, 3, 5, 4), 4),
    "3x3 of the same size": (3, 1, 1, (2, 2, 4, 5), 3),
    "even kernel": (2, 1, 0, (2, 2, 5, 5), 3),
    "even kernel, stride 2": (4, 2, 1, (2, 1, 8, 6), 2),
    "stride 2": (3, 2, 0, (3, 2, 7, 5), 3),
    "rows and columns left over": (3, 2, 0, (2, 2, 8, 6), 2),
    "stride 3 over a kernel of 2": (2, 3, 0, (2, 2, 8, 9), 2),
    "nothing alike": ((2, 3), (2, 1), (0, 2), (3, 2, 6, 3), 5),
    "as large as the image": ((4, 5), 1, 0, (2, 3, 4, 5), 3),
    "padding beyond the kernel": (2, 1, 3, (1, 1, 2, 1), 1),
}


@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution(case, place):
    size, stride, padding, shape, channels_out = case
    for biases in ("glorot_normal", None):
        layer = Conv2D(shape[1], channels_out, size, stride, padding, "tanh", biases=biases)
        check = assert_gradients(layer, shape, rng=12, tolerance=SMOOTH, device=place)
        assert [row.name for row in check.rows] == ["x", "W", "b"][: 3 if biases else 2]


@pytest.mark.parametrize("name", ["relu", "swish", "randomized_leaky_relu"])
def test_convolution_with(name, place):
    layer = Conv2D(2, 3, 3, padding=1, activation=name, biases="glorot_normal")
    assert_gradients(layer, (2, 2, 4, 3), rng=13, tolerance=tolerance(name), device=place)


LOSSES = {
    SoftmaxCrossEntropy(): [(1, 2), (5, 7), (3, 100)],
    MeanSquaredError(): [(1, 1), (5,), (2, 3, 4)],
    BinaryCrossEntropy(): [(1, 1), (5,), (2, 3, 4)],
}


@pytest.mark.parametrize(
    ("loss", "shape"), [(loss, s) for loss, shapes in LOSSES.items() for s in shapes], ids=str
)
def test_loss(loss, shape, place):
    rng = np.random.default_rng(4)
    labels = isinstance(loss, SoftmaxCrossEntropy)
    targets = rng.integers(0, shape[1], shape[0]) if labels else rng.random(shape)
    targets = place.asarray(targets)

    def total(logits, targets):
        return loss(logits, targets, "sum")

    for reduced in (loss, total):
        assert_gradients(reduced, shape, targets, rng=5, tolerance=SMOOTH, device=place)


def test_at_every_entry():
    conv = Conv2D(2, 2, 2, activation="swish", biases="he_normal")
    assert_gradients(conv, (2, 2, 3, 3), elementwise=True, tolerance=SMOOTH)
    layer = Dense(3, 2, "swish", biases="he_normal")
    assert_gradients(layer, (4, 3), elementwise=True, tolerance=SMOOTH)
    assert_gradients(SoftmaxCrossEntropy(), (3, 4), np.array([0, 0, 2]), elementwise=True)


# -- networks ---------------------------------------------------------------------------------


def deep(name: str, dropout: bool = False) -> Network:
    """Images in, four Dense layers, with dropout between them if asked for."""
    layers = [
        *[Flatten(), Dense(12, 9, FUNCTIONS[name]()), *[Dropout(0.3)] * dropout],
        *[
            Dense(9, 8, FUNCTIONS[name]()),
            Dense(8, 7, FUNCTIONS[name]()),
            *[Dropout(0.5)] * dropout,
        ],
        Dense(7, 5, biases="glorot_normal"),
    ]
    return Network(layers, (3, 2, 2), rng=6, dtype="float64")


X = np.random.default_rng(7).standard_normal((4, 3, 2, 2))
LABELS = np.array([0, 4, 2, 2])


@pytest.mark.parametrize("name", ["sigmoid", "relu", "gelu", "softmax"])
def test_network_of_depth_4(name):
    for dropout in (False, True):
        network = deep(name, dropout)
        check = assert_gradients(network, X, rng=8, directions=2, tolerance=tolerance(name))
        names = [f"dense_{i}.{p}" for i in (1, 2, 3, 4) for p in "Wb"]
        assert [row.name for row in check.rows] == ["x", *names]


def test_network_with_its_loss():
    targets = {
        SoftmaxCrossEntropy(): LABELS,
        MeanSquaredError(): np.ones((4, 5)),
        BinaryCrossEntropy(): np.full((4, 5), 0.75),
    }
    for loss, t in targets.items():
        assert_gradients(deep("tanh", True), X, t, loss=loss, rng=9, tolerance=SMOOTH)


def test_network_of_blocks():
    """The names of their gradients, too, which lead into the blocks."""
    blocks = [
        Residual([BatchNorm(6), ActivationLayer("tanh"), Dense(6, 6)]),
        Residual([Dense(6, 8), SwiGLU(), BatchNorm(4)], [Dense(6, 4)]),
        ActivationLayer("gelu"),
    ]
    network = Network([Dense(5, 6), *blocks, Dense(4, 3)], 5, rng=6, dtype="float64")
    x = np.random.default_rng(14).standard_normal((7, 5))
    check = assert_gradients(network, x, np.arange(7) % 3, loss=SoftmaxCrossEntropy())
    names = [row.name for row in check.rows]
    assert names[3:7] == [
        *("residual_1.branch.batchnorm_1.gamma", "residual_1.branch.batchnorm_1.beta"),
        *("residual_1.branch.dense_1.W", "residual_1.branch.dense_1.b"),
    ]
    assert "residual_2.shortcut.dense_1.W" in names


def test_convolutional_network(device):
    """Overlapping windows with padding, Dropout, and both ends that such a network may have."""
    x = device.asarray(np.random.default_rng(1).standard_normal((5, 2, 5, 5)))
    t = device.asarray(np.arange(5) % 3)
    for end in ([Flatten(), Dense(12, 3)], [Conv2D(3, 3, 1), GlobalAveragePool2D()]):
        images = [Conv2D(2, 3, 3, 1, 1, "selu"), MaxPool2D(3, 2, 1), Dropout(0.3)]
        layers = [*images, AveragePool2D(2, 1), *end]
        network = Network(layers, (2, 5, 5), 0, "float64", device)
        assert_gradients(network, x, t, loss=SoftmaxCrossEntropy(), directions=1, tolerance=KINKED)


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 2, 2)])
def test_learned_and_gated_network(shape, device):
    layers = [
        Residual([BatchNorm(4), PReLU(4)], [APL(4, 2)]),
        *[ActivationLayer("selu"), GLU(), BatchNorm(2), SwiGLU()],
    ]
    network = Network(layers, shape[1:], 0, "float64", device)
    x = device.asarray(np.random.default_rng(0).standard_normal(shape))
    assert_gradients(network, x, directions=1, tolerance=KINKED)


@pytest.mark.parametrize("pre_norm", [False, True], ids=["post-norm", "pre-norm"])
def test_encoder(pre_norm, device):
    """From tokens to logits, through two blocks that share the padding of one Embedding."""
    tokens = Embedding(7, 6, padding=0)
    layers = [
        *[tokens, PositionEmbedding(5, 6), LayerNorm(6), Dropout(0.2)],
        *[EncoderBlock(6, n, 8, dropout=0.2, tokens=tokens, pre_norm=pre_norm) for n in (2, 3)],
        *[FirstToken(), Dense(6, 6, "tanh"), Dense(6, 3)],
    ]
    network = Network(layers, (5,), rng=20, dtype="float64", device=device)
    x, targets = device.asarray(TOKENS), device.asarray(np.arange(3))
    check = assert_gradients(
        network, x, targets, loss=SoftmaxCrossEntropy(), training=pre_norm, rng=21, directions=1
    )
    assert "x" not in {row.name for row in check.rows}
    assert "encoderblock_2.attention.key.b" in {row.name for row in check.rows}


# -- independent checks -----------------------------------------------------------------------


def test_dense_against_40_digits():
    """∂/∂v ⟨dy, tanh(x W + b)⟩ by differences too accurate to hide an error in the formula."""
    rng = np.random.default_rng(10)
    x, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 2))
    layer = Dense(4, 2, "tanh", biases="he_normal").build(rng=11, dtype="float64")
    layer.forward(x)
    dx = layer.backward(dy)

    def phi(v):
        total = mpf(0)
        for n in range(3):
            for j in range(2):
                z = v["b"][j] + mpmath.fsum(v["x"][n, i] * v["W"][i, j] for i in range(4))
                total += mpf(dy[n, j]) * mpmath.tanh(z)
        return total

    exact = np.vectorize(mpf, otypes=[object])
    v = {"x": exact(x), "W": exact(layer.W), "b": exact(layer.b)}
    h = mpf(10) ** -12
    with mpmath.workdps(40):
        for name, gradient in (("x", dx), ("W", layer.dW), ("b", layer.db)):
            for index in np.ndindex(gradient.shape):
                kept = v[name][index]
                v[name][index] = kept + h
                up = phi(v)
                v[name][index] = kept - h
                slope = (up - phi(v)) / (2 * h)
                v[name][index] = kept
                assert gradient[index] == pytest.approx(float(slope), rel=1e-12, abs=1e-14)


def in_torch(torch, name):
    F = torch.nn.functional
    return {
        "linear": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "penalized_tanh": lambda z: torch.where(z > 0, torch.tanh(z), 0.25 * torch.tanh(z)),
        "relu": torch.relu,
        "squared_relu": lambda z: torch.relu(z).square(),
        "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
        "leaky_relu(0.3)": lambda z: F.leaky_relu(z, 0.3),
        "elu": F.elu,
        "elu(0.5)": lambda z: F.elu(z, 0.5),
        "elu(2)": lambda z: F.elu(z, 2.0),
        "selu": F.selu,
        "square": torch.square,
        "gelu": F.gelu,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "mish": F.mish,
        "swish": F.silu,
        "softplus": F.softplus,
        "celu": F.celu,
        "celu(2)": lambda z: F.celu(z, 2.0),
        "softsign": F.softsign,
        "binary_step": lambda z: torch.where(z > 0, 1.0, 0.0) + 0 * z,
        "relu6": F.relu6,
        # F.hardsigmoid's gradient has 1/6 in single precision, whatever the type.
        "hard_sigmoid": lambda z: F.relu6(z + 3) / 6,
        "hard_swish": F.hardswish,
        "randomized_leaky_relu": lambda z: F.rrelu(z, training=False),
        "softmax": lambda z: torch.softmax(z, dim=-1),
    }[name]


@pytest.mark.peer
@pytest.mark.parametrize("name", FUNCTIONS)
def test_network_agrees_with_autograd(name):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    network = deep(name)
    f = in_torch(torch, name)
    x = torch.tensor(X, requires_grad=True)
    parameters = [torch.tensor(v, requires_grad=True) for _, _, v, _ in network.parameters()]
    y = x.reshape(4, -1)
    for i in range(4):
        W, b = parameters[2 * i : 2 * i + 2]
        y = y @ W + b
        y = f(y) if i < 3 else y
    loss = torch.nn.functional.cross_entropy(y, torch.tensor(LABELS))
    loss.backward()

    logits = network.forward(X)
    value, dlogits = SoftmaxCrossEntropy()(logits, LABELS)
    dx = network.backward(dlogits, input_gradient=True)
    assert float(value) == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(logits, y.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dx, x.grad.numpy(), rtol=1e-12, atol=1e-14)
    for (layer, parameter, _, g), theirs in zip(network.parameters(), parameters, strict=True):
        scale = np.abs(g).max()
        np.testing.assert_allclose(
            g, theirs.grad.numpy(), rtol=1e-12, atol=1e-13 * scale, err_msg=layer.name + parameter
        )


@pytest.mark.peer
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "softmax"])
def test_derivative_agrees_with_autograd_at_and_around_the_kink(name):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    # At −3 and 3 PyTorch's hard sigmoid and swish take f' from one side or the other.
    z = torch.tensor([-3.1, -1e-8, 0.0, 1e-8, 3.1], dtype=torch.float64, requires_grad=True)
    in_torch(torch, name)(z).sum().backward()
    ours = FUNCTIONS[name]().derivative(z.detach().numpy())
    np.testing.assert_allclose(ours, z.grad.numpy(), rtol=1e-12)
