"""PReLU and APL: by hand, against the functions they contain, and how they start."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import APL, PReLU, get_activation
from minidl.activations import LeakyReLU
from minidl.backend import namespace, to_numpy


def build(layer, device="cpu", **values):
    layer.build(dtype="float64", device=device)
    for name, value in values.items():
        array = getattr(layer, name)
        array[...] = namespace(array).asarray(np.array(value, float))
    return layer


X = np.array([[-2.0, -2.0], [0.0, 0.0], [3.0, 3.0]])


def test_prelu_by_hand(device):
    layer = build(PReLU(2), device, alpha=[0.5, -1])
    x = device.asarray(X)
    np.testing.assert_array_equal(to_numpy(layer.forward(x)), [[-1, 2], [0, 0], [3, 3]])
    dx = layer.backward(device.asarray(np.array([[1.0, 2.0], [10.0, 20.0], [5.0, 7.0]])))
    np.testing.assert_array_equal(to_numpy(layer.dalpha), [-2, -4])
    np.testing.assert_array_equal(to_numpy(dx), [[0.5, -2], [5, -20], [5, 7]])


def test_apl_by_hand(device):
    """y = max(0, x) + 2 max(0, 1 − x) − max(0, −1 − x), and ½ max(0, 1 − x) for the second unit."""
    layer = build(APL(2, 2), device, a=[[2, 0.5], [-1, 0]], b=[[1, 1], [-1, 0]])
    x = device.asarray(X)
    y = to_numpy(layer.forward(x))
    np.testing.assert_array_equal(y, [[6 - 1, 1.5], [2, 0.5], [3, 3]])
    dx = layer.backward(device.asarray(np.array([[1.0, 1.0], [10.0, 10.0], [5.0, 7.0]])))
    # open at x = −2: both hinges; at 0: the first one; at 3: none
    np.testing.assert_array_equal(to_numpy(layer.da), [[3 + 10, 3 + 10], [1, 2]])
    np.testing.assert_array_equal(to_numpy(layer.db), [[2 * 11, 0.5 * 11], [-1, 0]])
    np.testing.assert_array_equal(to_numpy(dx), [[-2 + 1, -0.5], [-20, -5], [5, 7]])


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_prelu_and_apl_contain_leaky_relu(shape):
    """max(0, x) − α max(0, −x) is leaky ReLU: at the kink, too."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape))
    x[0] = 0
    f = LeakyReLU(0.3)
    y, dx = f(x), f.backward(dy, x, f(x))
    for layer in (build(PReLU(3), alpha=0.3), build(APL(3, 1), a=-0.3, b=0)):
        np.testing.assert_allclose(layer.forward(x), y, rtol=1e-15)
        x_right = dx if isinstance(layer, PReLU) else np.where(x == 0, 0, dx)
        np.testing.assert_allclose(layer.backward(dy), x_right, rtol=1e-15)
    relu = build(APL(3, 4), a=0)
    np.testing.assert_array_equal(relu.forward(x), get_activation("relu")(x))


def test_how_they_start():
    np.testing.assert_array_equal(PReLU(3).build().alpha, 0.25)
    layer = APL(500, 4).build(rng=1, dtype="float64")
    assert layer.a.shape == layer.b.shape == (4, 500)
    assert not layer.b.any()
    expected = np.random.default_rng(1).uniform(-0.5, 0.5, (4, 500))  # 1/√4
    np.testing.assert_array_equal(layer.a, expected)
    single = APL(500, 4).build(rng=1, dtype="float32")
    np.testing.assert_array_equal(single.a, expected.astype(np.float32))
    assert (APL(3, 5).size, PReLU(3).size) == (2 * 5 * 3, 3)  # 2 S M parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("input_gradient", [True, False])
def test_apl_has_the_same_values_in_images_as_in_units(dtype, input_gradient):
    """Images stored channel first are what the compiled loop runs on; S = C = m on purpose."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 1, 1, 3)).astype(dtype).transpose(0, 4, 1, 2, 3)
    images, units = (APL(3, 3).build(dtype=dtype) for _ in range(2))
    for layer in (images, units):
        layer.a[...], layer.b[...] = np.random.default_rng(1).standard_normal((2, 3, 3))
    y = units.forward(x[..., 0, 0])
    np.testing.assert_allclose(images.forward(x)[..., 0, 0], y, rtol=1e-6)
    dx = units.backward(dy[..., 0, 0], input_gradient)
    mine = images.backward(dy, input_gradient)
    if input_gradient:
        np.testing.assert_allclose(mine[..., 0, 0], dx, rtol=1e-5, atol=1e-6)
    else:
        assert mine is None
    for name in ("da", "db"):
        np.testing.assert_allclose(getattr(images, name), getattr(units, name), rtol=1e-5)
