"""RReLU: by hand, what it draws, and when."""

from __future__ import annotations

import numpy as np

from minidl import RReLU, get_activation
from minidl.backend import to_numpy


def given(layer, u):
    """The layer with these numbers in place of drawn ones."""
    layer.sample = lambda shape: np.broadcast_to(np.float32(u), shape).copy()
    return layer


X = np.array([[-2.0, 0.0], [3.0, -4.0]])


def test_by_hand(device):
    layer = given(RReLU(0.25, 0.75).build(device=device), [[0.5, 0], [1, 1]])
    x = device.asarray(X)
    y = to_numpy(layer.forward(x, training=True))
    np.testing.assert_array_equal(y, [[-2 * 0.5, 0], [3, -4 * 0.75]])
    dx = layer.backward(device.asarray(np.array([[1.0, 10.0], [5.0, 7.0]])))
    np.testing.assert_array_equal(to_numpy(dx), [[0.5, 2.5], [5, 5.25]])  # at the kink a, here l
    assert layer.backward(x, input_gradient=False) is None


def test_in_inference_it_uses_the_mean_slope():
    layer = RReLU().build(dtype="float64")
    f = get_activation("randomized_leaky_relu")
    layer.forward(X, training=True)
    np.testing.assert_array_equal(layer.forward(X), f(X))
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), f.derivative(X))


def test_the_slopes_are_uniform_from_l_to_u_and_new_each_time(device):
    layer = RReLU(0.2, 0.6).build(rng=0, device=device)
    x = device.asarray(np.full((300, 100), -1, np.float32))
    a = -to_numpy(layer.forward(x, training=True)).ravel()
    assert 0.2 <= a.min() < 0.201 and 0.599 < a.max() < 0.6000001
    shares = np.histogram(a, 8, (0.2, 0.6000001))[0] / a.size
    np.testing.assert_allclose(shares, 1 / 8, atol=5 * np.sqrt(1 / 8 / a.size))
    np.testing.assert_array_equal(to_numpy(layer.backward(x)).ravel(), -a)
    assert (to_numpy(layer.forward(x, training=True)).ravel() != -a).any()


def test_it_has_its_own_generator_and_both_types_draw_the_same():
    own = np.random.default_rng(4).spawn(1)[0]
    layers = [RReLU(0.2, 0.6).build(rng=4, dtype=dtype) for dtype in ("float32", "float64")]
    for _ in range(2):
        expected = 0.2 + 0.4 * own.random((8, 8), np.float32).astype(float)
        for layer, dtype in zip(layers, (np.float32, np.float64), strict=True):
            y = layer.forward(np.full((8, 8), -1, dtype), training=True)
            assert y.dtype == layer.backward(y).dtype == dtype
            np.testing.assert_allclose(-y, expected, rtol=1e-6)


def test_equal_bounds_draw_nothing():
    layer = RReLU(0.3, 0.3).build(rng=0)
    assert layer.rng is None
    np.testing.assert_array_equal(layer.forward(X, training=True), np.where(X > 0, X, 0.3 * X))
