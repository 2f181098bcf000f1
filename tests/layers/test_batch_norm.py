"""Batch normalization: by hand, its laws, and its running values, which are saved with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import BatchNorm, Dense, Network, SoftmaxCrossEntropy, fast, probe
from minidl.backend import to_numpy
from minidl.fast.batch_norm import normalize

RNG = np.random.default_rng(0)


def maps(*shape, dtype=np.float64):
    return (RNG.standard_normal(shape) * 3 + 5).astype(dtype)


def test_by_hand(device):
    """x = 1, 3, 5, 7: μ = 4, v = 5, and with ε = 4 the divisor is 3."""
    layer = BatchNorm(1, momentum=0.75, epsilon=4).build(dtype="float64", device=device)
    layer.gamma[...] = 6
    layer.beta[...] = 10
    x = device.asarray(np.array([[1.0], [3.0], [5.0], [7.0]]))
    y = layer.forward(x, training=True)
    np.testing.assert_allclose(to_numpy(layer.x_hat)[:, 0], np.array([-3, -1, 1, 3]) / 3)
    np.testing.assert_allclose(to_numpy(y)[:, 0], [4, 8, 12, 16], rtol=1e-15)
    # ¾ · 0 + ¼ · 4, and ¾ · 1 + ¼ · 20/3 with the unbiased variance
    np.testing.assert_allclose(to_numpy(layer.running_mean), [1], rtol=1e-15)
    np.testing.assert_allclose(to_numpy(layer.running_variance), [0.75 + 5 / 3], rtol=1e-15)
    # dβ = 4, dγ = −1 + 3 = 2 (thirds: −3, 0, 0, 9); dx = 2 (dy − 1 − x̂ / 2)
    dx = layer.backward(device.asarray(np.array([[1.0], [0.0], [0.0], [3.0]])))
    np.testing.assert_allclose(to_numpy(layer.dbeta), [4])
    np.testing.assert_allclose(to_numpy(layer.dgamma), [2], rtol=1e-15)
    expected = [2 * (0 + 1 / 2), 2 * (-1 + 1 / 6), 2 * (-1 - 1 / 6), 2 * (2 - 1 / 2)]
    np.testing.assert_allclose(to_numpy(dx)[:, 0], expected, rtol=1e-14)
    # in inference with μ = 1 and v = 5: y = 2 (x − 1) + 10, dx = 2 dy
    layer.running_variance[...] = 5
    np.testing.assert_allclose(to_numpy(layer.forward(x))[:, 0], [10, 14, 18, 22], rtol=1e-15)
    np.testing.assert_allclose(to_numpy(layer.backward(x)), 2 * to_numpy(x), rtol=1e-15)
    assert float(layer.running_mean[0]) == 1


@pytest.mark.parametrize("shape", [(50, 3), (6, 3, 4, 5)])
def test_each_channel_has_mean_0_and_variance_1(shape):
    layer = BatchNorm(3).build(dtype="float64")
    y = layer.forward(maps(*shape), training=True)
    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-4)  # 1 − ε/v


@given(st.floats(-5, 5), st.floats(0.5, 5))
def test_a_shift_and_a_scale_of_the_batch_change_nothing(shift, scale):
    """y is the same, and so dx has mean 0 and is orthogonal to x̂."""
    layer = BatchNorm(2, epsilon=1e-12).build(dtype="float64")
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 9, 2))
    y = layer.forward(x, training=True).copy()
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose((dx * layer.x_hat).sum(axis=0), 0, atol=1e-10)
    moved = layer.forward(scale * x + shift, training=True)
    np.testing.assert_allclose(moved, y, rtol=1e-9, atol=1e-9)


def test_a_constant_channel_gives_beta_and_no_infinity():
    layer = BatchNorm(2).build(dtype="float32")
    layer.beta[...] = 0.5
    x = np.full((8, 2), 1e4, np.float32)
    np.testing.assert_array_equal(layer.forward(x, training=True), 0.5)
    assert np.isfinite(layer.backward(x)).all()


def test_float32_is_kept_and_a_large_mean_does_not_swamp_the_variance():
    layer = BatchNorm(1).build(dtype="float32")
    x = (1000 + np.random.default_rng(2).standard_normal((4096, 1))).astype(np.float32)
    y = layer.forward(x, training=True)
    assert y.dtype == layer.backward(y.copy()).dtype == np.float32
    exact = (x.astype(float) - x.mean(dtype=float)) / np.sqrt(x.var(dtype=float) + 1e-5)
    np.testing.assert_allclose(y, exact, atol=1e-3)
    for array in (layer.gamma, layer.running_mean, layer.running_variance):
        assert array.dtype == np.float32


def test_inference_keeps_the_state_and_takes_a_batch_of_one():
    layer = BatchNorm(3).build(dtype="float64")
    layer.forward(maps(5, 3), training=True)
    kept = {name: array.copy() for name, array in layer.state().items()}
    x = maps(6, 3)
    y = layer.forward(x).copy()
    assert layer.backward(x[:6]).shape == x.shape
    np.testing.assert_allclose(layer.forward(x[:1]), y[:1], rtol=1e-15)
    for name, array in layer.state().items():
        np.testing.assert_array_equal(array, kept[name])


# -- the state of a network -------------------------------------------------------------------


def network(rng=0, dtype="float32", device="cpu", momentum=0.9) -> Network:
    layers = [BatchNorm(4), Dense(4, 5, "relu"), BatchNorm(5, momentum), Dense(5, 3)]
    return Network(layers, 4, rng, dtype, device)


def trained(**options) -> Network:
    net = network(**options)
    x = net.device.asarray(maps(16, 4, dtype=net.dtype))
    net.forward(x, training=True)
    return net


def test_the_state_is_saved_and_loaded(device, tmp_path):
    net = trained(device=device)
    path = tmp_path / "w.npz"
    net.save(path)
    other = network(rng=1)
    other.load(path)
    assert other.state.tobytes() == to_numpy(net.state).tobytes()
    assert other.theta.tobytes() == to_numpy(net.theta).tobytes()
    assert np.shares_memory(other["batchnorm_1"].running_mean, other.state)
    with np.load(path, allow_pickle=False) as file:
        mean = file["batchnorm_2.running_mean"]
        manifest = json.loads(str(file["manifest"]))
    np.testing.assert_array_equal(mean, to_numpy(net["batchnorm_2"].running_mean))
    assert manifest["version"] == 1
    assert manifest["layers"][0] == [
        "batchnorm_1",
        "BatchNorm(4)",
        {"gamma": [4], "beta": [4], "running_mean": [4], "running_variance": [4]},
    ]


# -- errors -----------------------------------------------------------------------------------


def test_a_probe_keeps_the_state():
    net = trained()
    state = net.state.copy()
    found = probe(net, SoftmaxCrossEntropy(), maps(8, 4, dtype=np.float32), np.arange(8) % 3)
    np.testing.assert_array_equal(net.state, state)
    assert "batchnorm_1.gamma" in str(found)


def test_a_method_of_ones_own_is_used():
    """A twin stands for BatchNorm's own moments and sums, not for those of a class made of it."""

    class Doubled(BatchNorm):
        def moments(self, x):
            mu, v = super().moments(x)
            return 2 * mu, v

    x = maps(6, 3, 4, 5)
    norm = Doubled(3).build(dtype="float64")
    norm.forward(x, training=True)
    mu = x.mean(axis=(0, 2, 3), keepdims=True)
    expected = (x - 2 * mu) / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + norm.epsilon)
    np.testing.assert_allclose(norm.x_hat, expected, rtol=1e-12)


@pytest.mark.skipif(fast.engine() == "numpy", reason="Numba is not installed, or switched off")
def test_a_channel_may_have_more_values_than_float32_can_count():
    """2^24 + 3 is 2^24 + 4 in float32: one entry too many would be written."""
    m = 2**24 + 3
    beyond = np.zeros((3, m + 1), np.float32)
    beyond[:, m] = 7
    numbers = np.ones((5, 1), np.float32)  # gamma, beta, mu, v, s
    normalize(*beyond[:, None, :m], *numbers, m, 1e-5, True)
    assert list(beyond[:, m]) == [7, 7, 7]
