"""Convolution: by hand, against its definition, its laws, memory and messages."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minidl import Conv2D, Dense, Flatten, MaxPool2D, Network
from minidl.activations import LeakyReLU
from minidl.backend import to_numpy
from minidl.backend.threads import using_threads
from minidl.fast.pool import one_pool

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
def test_is_its_definition_and_backward_is_its_adjoint(n, channels, size, more, stride, padding):
    """⟨dy, y − b⟩ = ⟨dx, x⟩ = ⟨dW, W⟩, since y − b is linear in x and in W."""
    layer = Conv2D(*channels, size, stride, padding, biases="he_normal").build(1, "float64")
    x = RNG.standard_normal((n, channels[0], size[0] + more[0], size[1] + more[1]))
    expected = by_definition(x, layer.W, layer.b, stride, padding)
    assert layer.output_shape(x.shape[1:]) == expected.shape[1:]
    y = layer.forward(x)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    dy = RNG.standard_normal(y.shape)
    dx = layer.backward(dy)
    np.testing.assert_allclose(layer.db, dy.sum(axis=(0, 2, 3)), rtol=1e-11, atol=1e-12)
    total = (dy * y).sum() - layer.db @ layer.b
    assert (dx * x).sum() == pytest.approx(total, rel=1e-10, abs=1e-10)
    assert (layer.dW * layer.W).sum() == pytest.approx(total, rel=1e-10, abs=1e-10)


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


def network(device="cpu", dtype="float32") -> Network:
    layers = [
        *[Conv2D(3, 4, 3, activation="relu"), MaxPool2D(2), Conv2D(4, 5, 3, activation="elu")],
        *[MaxPool2D(3, 1), Flatten(), Dense(20, 10)],
    ]
    return Network(layers, (3, 14, 14), 0, dtype, device)


def test_flatten_after_a_pool_copies_nothing_and_neither_does_the_next_window():
    net = network()
    net.forward(RNG.random((6, 3, 14, 14), np.float32))
    for before, after in (("maxpool2d_2", "dense_1"), ("conv2d_1", "maxpool2d_1")):
        assert np.shares_memory(net[after].x, net[before].y)
    for name, is_view in (("conv2d_1", False), ("conv2d_2", True), ("maxpool2d_2", True)):
        layer = net[name]
        assert np.shares_memory(layer.windows.padded(layer.x), layer.x) == is_view
    assert net["dense_1"].x.shape == (6, 20)


def test_repr():
    for layer, text in (
        (Conv2D(1, 6, (5, 3), activation="relu"), "1 -> 6, 5x3, relu"),
        (
            Conv2D(3, 64, 7, 2, 3, LeakyReLU()),
            "3 -> 64, 7x7, stride 2, padding 3, leaky_relu(0.01)",
        ),
        (Conv2D(1, 1, 2, (1, 2), (0, 1)), "1 -> 1, 2x2, stride 1x2, padding 0x1"),
        (Conv2D(3, 64, 1, 2, biases=None), "3 -> 64, 1x1, stride 2, no bias"),
    ):
        assert repr(layer) == f"Conv2D({text})"


@pytest.mark.parametrize("channels", [2, 20])
def test_in_a_pool_the_channels_of_dy_may_be_backwards_in_memory(channels):
    """BLAS gets addresses there."""
    x = np.random.default_rng(1).standard_normal((8, channels, 16, 16))
    dy = np.random.default_rng(2).standard_normal((8, 5, 16, 16))
    layer = Conv2D(channels, 5, 3, padding=1).build(dtype="float64")
    with using_threads(2), one_pool():
        layer(x)
        expected = layer.backward(dy), layer.dW.copy()
        backwards = np.ascontiguousarray(dy[:, ::-1].transpose(1, 2, 3, 0))  # (C, down, across, N)
        found = layer.backward(backwards[::-1].transpose(3, 0, 1, 2)), layer.dW
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
