"""GLU, SwiGLU and ActivationLayer: by hand, by their laws, and inside a network."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import GLU, ActivationLayer, Dense, Flatten, Network, SwiGLU, get_activation
from minidl.backend import to_numpy
from minidl.inspection import unit_stats

L3 = math.log(3)  # σ(ln 3) = ¾, σ'(ln 3) = 3/16


def test_glu_by_hand(device):
    layer = GLU()
    x = device.asarray(np.array([[8.0, -4.0, L3, 0.0]]))
    np.testing.assert_allclose(to_numpy(layer.forward(x)), [[6, -2]], rtol=1e-15)
    dx = layer.backward(device.asarray(np.array([[2.0, 3.0]])))
    np.testing.assert_allclose(to_numpy(dx), [[1.5, 1.5, 2 * 8 * 3 / 16, 3 * -4 / 4]], rtol=1e-15)


def test_swiglu_by_hand(device):
    layer = SwiGLU()
    x = device.asarray(np.array([[L3, 0.0, 8.0, -4.0]]))
    np.testing.assert_allclose(to_numpy(layer.forward(x)), [[6 * L3, 0]], rtol=1e-15)
    dx = layer.backward(device.asarray(np.array([[2.0, 3.0]])))
    slope = 0.75 + L3 * 3 / 16
    expected = [[2 * 8 * slope, 3 * -4 * 0.5, 2 * 0.75 * L3, 0]]
    np.testing.assert_allclose(to_numpy(dx), expected, rtol=1e-15)


@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 2, 4)])
def test_the_halves_are_those_of_axis_1_and_the_value_half_is_linear(shape):
    x, dy = np.random.default_rng(0).standard_normal((2, *shape))
    a, b = x[:, :3], x[:, 3:]
    sigmoid, swish = get_activation("sigmoid"), get_activation("swish")
    np.testing.assert_allclose(GLU().forward(x), a * sigmoid(b), rtol=1e-15)
    np.testing.assert_allclose(SwiGLU()(x), swish(a) * b, rtol=1e-15)
    for layer, value in ((GLU(), slice(0, 3)), (SwiGLU(), slice(3, 6))):
        y = layer.forward(x).copy()
        twice = x.copy()
        twice[:, value] *= 2
        np.testing.assert_allclose(layer.forward(twice), 2 * y, rtol=1e-15)
        # Euler: ⟨dy, y⟩ is ⟨d value, value⟩
        layer.forward(x)
        dx = layer.backward(np.ascontiguousarray(dy[:, :3]))
        products = (dx * x)[:, value].sum(axis=1), (dy[:, :3] * y).sum(axis=1)
        np.testing.assert_allclose(*products, rtol=1e-12)


def test_the_gate_keeps_its_precision_where_it_is_shut():
    """In float32 σ'(−40) is 4e-18; y (1 − y) of an open gate would be 0."""
    x = np.array([[1.0, -40.0], [1.0, 40.0]], np.float32)
    layer = GLU()
    layer.forward(x)
    dx = layer.backward(np.ones((2, 1), np.float32))
    np.testing.assert_allclose(dx[:, 1], [math.exp(-40)] * 2, rtol=1e-5)


def test_in_a_network_glu_halves_the_width():
    network = Network([Dense(4, 6), GLU(), Dense(3, 8), SwiGLU(), Dense(4, 2)], 4)
    assert network.shapes == [(6,), (3,), (8,), (4,), (2,)]
    assert [layer.name for layer in network.layers][1::2] == ["glu_1", "swiglu_1"]
    assert GLU().output_shape((6, 5, 5)) == (3, 5, 5)


def test_activate_equals_the_function_and_dense_with_it():
    one = Network([Dense(4, 3, "tanh"), Dense(3, 2)], 4, dtype="float64")
    two = Network([Dense(4, 3), ActivationLayer("tanh"), Dense(3, 2)], 4, dtype="float64")
    x = np.random.default_rng(2).standard_normal((5, 4))
    np.testing.assert_array_equal(one.forward(x), two.forward(x))
    dy = np.random.default_rng(3).standard_normal((5, 2))
    dx = [net.backward(dy, input_gradient=True) for net in (one, two)]
    np.testing.assert_array_equal(*dx)
    np.testing.assert_array_equal(one.dtheta, two.dtheta)
    assert two["activationlayer_1"].z is two["dense_1"].y
    np.testing.assert_array_equal(one["dense_1"].z, two["activationlayer_1"].z)


def test_unit_figures_include_activate():
    """z = −1, −2 and 0.5, −1: one of two ReLUs is dead, three of four slopes are flat."""
    network = Network([Flatten(), ActivationLayer("relu")], 2, dtype="float64")
    network.forward(np.array([[-1.0, 0.5], [-2.0, -1.0]]))
    assert [(u.layer, u.dead, u.saturated) for u in unit_stats(network)] == [
        ("activationlayer_1", 0.5, 0.75)
    ]


def test_flat_for_a_function_without_a_steepest_slope_is_below_one_hundredth():
    """squared_relu: f'(z) = 2z is 0.008 at 0.004 and 0.012 at 0.006."""
    network = Network([ActivationLayer("squared_relu")], 3, dtype="float64")
    network.forward(np.array([[-1.0, 0.004, 0.006], [-1.0, -5.0, 100.0]]))
    assert [(u.dead, u.saturated) for u in unit_stats(network)] == [
        (pytest.approx(2 / 3), pytest.approx(4 / 6))
    ]


def test_every_unit_of_a_function_without_any_slope_is_dead():
    network = Network([Dense(3, 4, "binary_step"), Dense(4, 2)], 3)
    network.forward(np.ones((2, 3), np.float32))
    assert [(u.dead, u.saturated) for u in unit_stats(network)] == [(1, 1), (0, 0)]
