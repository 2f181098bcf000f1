"""Convolution: by hand, against its definition, its laws, memory and messages."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minidl import Conv2D, Dense, Flatten, MaxPool2D, Network, SoftmaxCrossEntropy
from minidl.activations import LeakyReLU
from minidl.backend import to_numpy

RNG = np.random.default_rng(0)


def by_definition(x, W, b, stride, padding):
    """z[n, o, r, s] as the docstring defines it, one number at a time."""
    (s, t), (p, q) = stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    kh, kw = W.shape[2:]
    down, across = (x.shape[2] - kh) // s + 1, (x.shape[3] - kw) // t + 1
    z = np.empty((len(x), len(W), down, across))
    for n, o, r, c in np.ndindex(z.shape):
        z[n, o, r, c] = (W[o] * x[n, :, s * r : s * r + kh, t * c : t * c + kw]).sum() + b[o]
    return z


def test_by_hand(device):
    layer = Conv2D(1, 2, 2, activation="relu").build(dtype="float64", device=device)
    layer.W[...] = device.asarray(np.array([[[[1.0, 2], [3, 4]]], [[[0, 1], [-1, 0]]]]))
    layer.b[...] = device.asarray(np.array([0.5, -1]))
    x = device.asarray(np.array([[[[1.0, 2, 0], [0, 1, 3]]]]))
    y = layer.forward(x)
    # position 1: 1 + 4 + 0 + 4 = 9 and 2 - 0 = 2; position 2: 2 + 0 + 3 + 12 = 17 and 0 - 1 = -1
    assert to_numpy(layer.z).tolist() == [[[[9.5, 17.5]], [[1.0, -2.0]]]]
    assert to_numpy(y).tolist() == [[[[9.5, 17.5]], [[1.0, 0.0]]]]
    dx = layer.backward(device.asarray(np.array([[[[1.0, 10]], [[100, 1000]]]])))
    assert to_numpy(layer.dz).tolist() == [[[[1.0, 10]], [[100, 0]]]]
    assert to_numpy(layer.db).tolist() == [11, 100]
    # dW₁ = 1 · (1 2 / 0 1) + 10 · (2 0 / 1 3),  dW₂ = 100 · (1 2 / 0 1)
    assert to_numpy(layer.dW).tolist() == [[[[21, 2], [10, 31]]], [[[100, 200], [0, 100]]]]
    # dx = 1 · W₁ at position 1 + 10 · W₁ at position 2 + 100 · W₂ at position 1
    assert to_numpy(dx).tolist() == [[[[1, 2 + 10 + 100, 20], [3 - 100, 4 + 30, 40]]]]


sizes = st.integers(1, 4)


@hypothesis.given(
    n=st.integers(1, 3),
    channels=st.tuples(sizes, sizes),
    size=st.tuples(sizes, sizes),
    more=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_is_its_definition(n, channels, size, more, stride, padding):
    layer = Conv2D(*channels, size, stride, padding, biases="he_normal").build(1, "float64")
    x = RNG.standard_normal((n, channels[0], size[0] + more[0], size[1] + more[1]))
    expected = by_definition(x, layer.W, layer.b, stride, padding)
    assert layer.output_shape(x.shape[1:]) == expected.shape[1:]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-12)


# -- laws -------------------------------------------------------------------------------------


def test_a_kernel_of_one_pixel_is_a_dense_layer_for_each_pixel():
    conv = Conv2D(3, 4, 1, activation="tanh", biases="he_normal").build(2, "float64")
    dense = Dense(3, 4, "tanh").build(dtype="float64")
    dense.W[...], dense.b[...] = conv.W[:, :, 0, 0].T, conv.b
    x = RNG.standard_normal((2, 3, 4, 5))
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 3)
    y = conv.forward(x)
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1).reshape(-1, 4), dense.forward(pixels))
    dy = RNG.standard_normal(y.shape)
    dx = conv.backward(dy)
    d_pixels = dense.backward(dy.transpose(0, 2, 3, 1).reshape(-1, 4))
    np.testing.assert_allclose(dx.transpose(0, 2, 3, 1).reshape(-1, 3), d_pixels)
    np.testing.assert_allclose(conv.dW[:, :, 0, 0].T, dense.dW)
    np.testing.assert_allclose(conv.db, dense.db)


def test_a_kernel_as_large_as_the_image_is_a_dense_layer():
    conv = Conv2D(3, 4, (4, 5)).build(3, "float64")
    dense = Dense(60, 4).build(dtype="float64")
    dense.W[...] = conv.W.reshape(4, 60).T
    x = RNG.standard_normal((6, 3, 4, 5))
    np.testing.assert_allclose(conv.forward(x)[:, :, 0, 0], dense.forward(x.reshape(6, 60)))


def test_a_shifted_image_gives_shifted_maps():
    layer = Conv2D(2, 3, 3, activation="sigmoid").build(4, "float64")
    x = RNG.standard_normal((2, 2, 8, 8))
    shifted = np.roll(x, (1, 2), axis=(2, 3))
    y = layer.forward(x).copy()
    np.testing.assert_allclose(layer.forward(shifted)[:, :, 1:, 2:], y[:, :, :-1, :-2])


def test_backward_is_the_adjoint_of_forward():
    """⟨dy, conv(x)⟩ = ⟨dx, x⟩ without bias and activation function."""
    layer = Conv2D(2, 3, 3, 2, 1).build(5, "float64")
    x = RNG.standard_normal((2, 2, 7, 6))
    y = layer.forward(x)
    dy = RNG.standard_normal(y.shape)
    dx = layer.backward(dy)
    assert (dy * y).sum() == pytest.approx((dx * x).sum(), rel=1e-12)
    assert (dy * y).sum() == pytest.approx((layer.dW * layer.W).sum(), rel=1e-12)
    assert not layer.backward(dy * 0).any()
    assert not layer.dW.any()


# -- weights, types, memory -------------------------------------------------------------------


def test_without_bias_it_equals_one_with_a_bias_of_zero(device):
    x = device.asarray(RNG.standard_normal((4, 3, 5, 5)))
    with_b, without = (
        Conv2D(3, 2, 3, 2, 1, "tanh", biases=biases).build(1, "float64", device)
        for biases in ("zeros", None)
    )
    assert (with_b.size, without.size) == (54 + 2, 54)
    assert list(without.parameters()) == list(without.gradients()) == ["W"]
    y = without.forward(x)
    np.testing.assert_array_equal(to_numpy(y), to_numpy(with_b.forward(x)))
    np.testing.assert_array_equal(to_numpy(without.backward(y)), to_numpy(with_b.backward(y)))
    np.testing.assert_array_equal(to_numpy(without.dW), to_numpy(with_b.dW))


def test_connections_count_the_kernel():
    """As Keras counts them: 2 · 15 and 3 · 15 for a kernel of 3x5."""
    layer = Conv2D(2, 3, (3, 5), biases=lambda rng, shape, n_in, n_out: np.full(shape, n_in))
    layer.build(7, "float64")
    limit = math.sqrt(6 / (30 + 45))
    drawn = np.random.default_rng(7).uniform(-limit, limit, (3, 2, 3, 5))
    np.testing.assert_array_equal(layer.W, drawn)
    assert layer.b.tolist() == [30, 30, 30]


@pytest.mark.parametrize("f", ["relu", "sigmoid", "elu", "selu", "gelu", "swish"])
def test_float32_stays_float32_and_agrees_with_float64(f, device):
    x = RNG.standard_normal((4, 3, 9, 8))
    found = []
    for dtype in ("float32", "float64"):
        layer = Conv2D(3, 5, 3, 1, 1, f).build(8, dtype, device)
        y = layer.forward(device.asarray(x, dtype))
        dx = layer.backward(y)
        found.append([to_numpy(a).copy() for a in (y, layer.dz, layer.dW, layer.db, dx)])
    for single, double in zip(*found, strict=True):
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
        scale = np.abs(double).max()
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5 * scale)


def network(device="cpu", dtype="float32") -> Network:
    layers = [
        *[Conv2D(3, 4, 3, activation="relu"), MaxPool2D(2), Conv2D(4, 5, 3, activation="elu")],
        *[MaxPool2D(3, 1), Flatten(), Dense(20, 10)],
    ]
    return Network(layers, (3, 14, 14), 0, dtype, device)


def step(net, x, labels, loss):
    _, dlogits = loss(net.forward(x, training=True), labels)
    net.backward(dlogits)


def test_flatten_after_a_pool_copies_nothing_and_neither_does_the_next_window():
    net = network()
    net.forward(RNG.random((6, 3, 14, 14), np.float32))
    for before, after in (("maxpool2d_2", "dense_1"), ("conv2d_1", "maxpool2d_1")):
        assert np.shares_memory(net[after].x, net[before].y)
    for name, is_view in (("conv2d_1", False), ("conv2d_2", True), ("maxpool2d_2", True)):
        layer = net[name]
        assert np.shares_memory(layer.windows.frame(layer.x), layer.x) == is_view
    assert net["dense_1"].x.shape == (6, 20)


def test_the_gradient_of_the_images_is_not_computed(monkeypatch):
    net, found = network(), []
    backward = Conv2D.backward

    def spy(layer, dy, input_gradient=True):
        found.append(backward(layer, dy, input_gradient))
        return found[-1]

    monkeypatch.setattr(Conv2D, "backward", spy)
    step(net, RNG.random((6, 3, 14, 14), np.float32), np.arange(6), SoftmaxCrossEntropy())
    assert [dx is None for dx in found] == [False, True]


def test_a_smaller_batch_gives_the_same_after_a_larger_one_as_alone(device):
    net, loss = network(device, "float64"), SoftmaxCrossEntropy()
    x, labels = RNG.random((7, 3, 14, 14)), np.arange(7)
    step(net, device.asarray(x), device.asarray(labels), loss)
    step(net, device.asarray(x[:3]), device.asarray(labels[:3]), loss)
    fresh = network(device, "float64")
    step(fresh, device.asarray(x[:3]), device.asarray(labels[:3]), SoftmaxCrossEntropy())
    np.testing.assert_array_equal(to_numpy(net.dtheta), to_numpy(fresh.dtheta))


def test_weights_survive_saving_and_loading(tmp_path):
    net, other = network(), network()
    net.theta[...] = RNG.random(net.theta.size)
    net.save(tmp_path / "weights.npz")
    other.load(tmp_path / "weights.npz")
    np.testing.assert_array_equal(other["conv2d_2"].W, net["conv2d_2"].W)
    assert other["conv2d_2"].W.shape == (5, 4, 3, 3)


def test_predict_and_summary(device):
    net = network(device)
    x = RNG.random((5, 3, 14, 14), np.float32)
    np.testing.assert_allclose(
        net.predict(x, batch_size=2), to_numpy(net.forward(device.asarray(x))), rtol=1e-4, atol=1e-5
    )
    assert [line.split("  ")[0] for line in net.summary().splitlines()[3:-2]] == [
        *("conv2d_1", "maxpool2d_1", "conv2d_2", "maxpool2d_2", "flatten_1", "dense_1")
    ]
    assert "Conv2D(4 -> 5, 3x3, elu(1))  (N, 5, 4, 4)           185" in net.summary()


# -- repr and messages ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv2D(3, 32, 3), "Conv2D(3 -> 32, 3x3)"),
        (Conv2D(1, 6, (5, 3), activation="relu"), "Conv2D(1 -> 6, 5x3, relu)"),
        (
            Conv2D(3, 64, 7, 2, 3, LeakyReLU()),
            "Conv2D(3 -> 64, 7x7, stride 2, padding 3, leaky_relu(0.01))",
        ),
        (Conv2D(1, 1, 2, (1, 2), (0, 1)), "Conv2D(1 -> 1, 2x2, stride 1x2, padding 0x1)"),
        (Conv2D(3, 64, 1, 2, biases=None), "Conv2D(3 -> 64, 1x1, stride 2, no bias)"),
    ],
    ids=repr,
)
def test_repr(layer, text):
    assert repr(layer) == text


BUILT = Conv2D(3, 8, 3).build()
ERRORS = {
    "channels": (
        lambda: Conv2D(0, 8, 3),
        ValueError,
        "Conv2D: expected channels_in to be an integer >= 1, got 0",
    ),
    "kernel": (
        lambda: Conv2D(3, 8, 2.5),
        ValueError,
        "the size of its windows, one number .* to be an integer >= 1, got 2.5",
    ),
    "kernel of three": (lambda: Conv2D(3, 8, (3, 3, 3)), ValueError, r"got \(3, 3, 3\)"),
    "stride": (lambda: Conv2D(3, 8, 3, 0), ValueError, "expected stride, .* >= 1, got 0"),
    "padding": (lambda: Conv2D(3, 8, 3, 1, -1), ValueError, "expected padding, .* >= 0, got -1"),
    "padding by name": (lambda: Conv2D(3, 8, 3, 1, "same"), ValueError, "padding, .* got 'same'"),
    "softmax": (
        lambda: Conv2D(3, 8, 3, activation="softmax"),
        ValueError,
        "Conv2D: expected an element-wise activation, got softmax; put it into a Dense layer",
    ),
    "vectors": (
        lambda: Network([Flatten(), Conv2D(3, 8, 3)], (3, 32, 32)),
        ValueError,
        r"Network: layer conv2d_1 does not fit: Conv2D\(3 -> 8, 3x3\): expected input "
        r"\(N, 3, height, width\), got \(N, 3072\); put no Flatten before it, and reshape",
    ),
    "channels last": (
        lambda: Network([Conv2D(3, 8, 3)], (32, 32, 3)),
        ValueError,
        r"got \(N, 32, 32, 3\); the channels come first: images.transpose\(0, 3, 1, 2\)",
    ),
    "other channels": (
        lambda: Network([Conv2D(3, 8, 3), Conv2D(6, 8, 3)], (3, 9, 9)),
        ValueError,
        r"conv2d_2 does not fit: .* expected input \(N, 6, height, width\), got \(N, 8, 7, 7\); "
        r"is channels_in that of the layer before\?",
    ),
    "too small": (
        lambda: Network([Conv2D(3, 8, 5, padding=1)], (3, 2, 9)),
        ValueError,
        "expected images of at least 5x5 with their padding, got 2x9; use a smaller window, or",
    ),
    "too small in forward": (
        lambda: BUILT(np.ones((1, 3, 2, 9), np.float32)),
        ValueError,
        "expected images of at least 3x3 with their padding, got 2x9",
    ),
    "flat in forward": (lambda: BUILT(np.ones(5)), ValueError, r"got \(5,\); put no Flat"),
    "type": (lambda: BUILT(np.ones((1, 3, 4, 4))), TypeError, "x of type float32"),
    "not built": (
        lambda: Conv2D(3, 8, 3)(np.ones((1, 3, 4, 4))),
        RuntimeError,
        "has no W yet",
    ),
    "backward first": (
        lambda: Conv2D(3, 8, 3).build().expect_dy(np.ones(1)),
        RuntimeError,
        "backward before forward",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_was_expected(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_a_dy_of_the_wrong_shape():
    layer = Conv2D(3, 8, 3).build()
    layer.forward(np.ones((1, 3, 5, 4), np.float32))
    with pytest.raises(ValueError, match=r"expected dy \(1, 8, 3, 2\) .*, got \(1, 8, 2, 3\)"):
        layer.expect_dy(np.ones((1, 8, 2, 3), np.float32))


# -- memory layouts of the pixels ---------------------------------------------------------------


def batch_last(a):
    """The same values with the batch last in memory."""
    return np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)


def rows_of_larger(a):
    """The same values as part of a larger array."""
    return batch_last(np.pad(a, ((0, 0), (0, 0), (1, 1), (0, 0))))[:, :, 1:-1]


LAID_OUT = {
    "batch last": batch_last,
    "rows of a larger array": rows_of_larger,
    "channels backwards": lambda a: batch_last(a[:, ::-1])[:, ::-1],
    "images backwards": lambda a: batch_last(a[::-1])[::-1],
    "by columns": np.asfortranarray,
}


@pytest.mark.parametrize("lay", LAID_OUT.values(), ids=LAID_OUT)
@pytest.mark.parametrize("channels", [2, 20])
@pytest.mark.parametrize("options", [(3, 1, 1), (3, 2, 1), (1, 1, 0), ((3, 2), (1, 3), (0, 2))])
def test_x_and_dy_may_have_any_memory_layout(options, channels, lay):
    layer = Conv2D(channels, 5, *options).build(dtype="float64")
    x = np.random.default_rng(1).standard_normal((4, channels, 7, 8))
    dy = np.random.default_rng(2).standard_normal(layer(x).shape)
    expected = [layer.y, layer.backward(dy), layer.dW.copy(), layer.db.copy()]
    y, dx = layer(lay(x)), layer.backward(lay(dy))
    for a, b in zip((y, dx, layer.dW, layer.db), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    one = np.broadcast_to(dy[:1, :1, :1, :1], dy.shape)
    dx, dW = layer.backward(one), layer.dW.copy()
    np.testing.assert_allclose(dx, layer.backward(one.copy()), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dW, layer.dW, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [(3, 1, 1), (3, 2, 1), (1, 1, 0), ((3, 2), (1, 3), (0, 2))])
def test_without_openblas_the_results_are_the_same(options, dtype, monkeypatch):
    """If NumPy uses another BLAS than OpenBLAS, the columns are copied out."""
    x = np.random.default_rng(1).standard_normal((4, 20, 7, 8)).astype(dtype)
    found = []
    for there in (True, False):
        if not there:
            monkeypatch.setattr("minidl.layers._columns.gemm", lambda array: None)
        layer = Conv2D(20, 5, *options, activation="tanh").build(rng=3, dtype=dtype)
        y = layer(x)
        found.append([y, layer.backward(y), layer.dW.copy(), layer.db.copy()])
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype == dtype
        rtol = {"float32": 1e-4, "float64": 1e-11}[dtype]
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())
