"""Pools: by hand, with ties, against their definition, and their messages."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minidl import AveragePool2D, GlobalAveragePool2D, MaxPool2D, Network
from minidl.backend import to_numpy

RNG = np.random.default_rng(0)


def run(layer, x, dy, device):
    y = to_numpy(layer.forward(device.asarray(np.array([[x]], float)))).tolist()
    dx = to_numpy(layer.backward(device.asarray(np.array([[dy]], float)))).tolist()
    return y[0][0], dx[0][0]


def test_maximum_by_hand(device):
    x = [[1, 2, 5, 0, 9], [4, 3, -1, 6, 9]]  # the last column is left over
    assert run(MaxPool2D(2), x, [[10, 20]], device) == (
        [[4, 6]],
        [[0, 0, 0, 0, 0], [10, 0, 0, 20, 0]],
    )


def test_gradients_of_overlapping_windows_add_up(device):
    x = [[1, 2, 9], [4, 3, 0], [5, 7, 8]]
    assert run(MaxPool2D(2, 1), x, [[1, 10], [100, 1000]], device) == (
        [[4, 9], [7, 8]],
        [[0, 0, 10], [1, 0, 0], [0, 100, 1000]],
    )
    x = [[0, 0, 0], [0, 5, 0], [0, 0, 0]]
    assert run(MaxPool2D(2, 1), x, [[1, 10], [100, 1000]], device)[1][1] == [0, 1111, 0]


def test_of_equal_pixels_the_first_gets_the_gradient(device):
    zeros = [[0, 0], [0, 0]]
    assert run(MaxPool2D(2), zeros, [[7]], device) == ([[0]], [[7, 0], [0, 0]])
    assert run(MaxPool2D(2), [[1, 3], [3, 3]], [[7]], device) == ([[3]], [[0, 7], [0, 0]])
    assert run(MaxPool2D(2), [[1, 2], [3, 3]], [[7]], device) == ([[3]], [[0, 0], [7, 0]])
    x, dy = [[2, 2, 2], [2, 2, 2]], [[1, 10]]
    assert run(MaxPool2D(2, 1), x, dy, device)[1] == [[1, 10, 0], [0, 0, 0]]


def test_the_padding_of_a_maximum_is_below_all_pixels(device):
    x = [[-3, -2], [-5, -4]]
    y, dx = run(MaxPool2D(2, 1, 1), x, [[1, 1, 1], [1, 1, 1], [1, 1, 1]], device)
    assert y == [[-3, -2, -2], [-3, -2, -2], [-5, -4, -4]]
    assert dx == [[2, 4], [1, 2]]


def test_mean_by_hand(device):
    x = [[1, 2, 5, 0, 9], [4, 3, -1, 6, 9]]
    assert run(AveragePool2D(2), x, [[8, 4]], device) == (
        [[2.5, 2.5]],
        [[2, 2, 1, 1, 0], [2, 2, 1, 1, 0]],
    )
    y, dx = run(AveragePool2D((1, 2), 1), [[1, 3, 5]], [[2, 10]], device)
    assert (y, dx) == ([[2, 4]], [[1, 6, 5]])


def test_mean_of_the_image_by_hand(device):
    layer = GlobalAveragePool2D()
    x = device.asarray(np.arange(12.0).reshape(1, 2, 2, 3))
    assert to_numpy(layer.forward(x)).tolist() == [[2.5, 8.5]]
    dx = to_numpy(layer.backward(device.asarray(np.array([[6.0, -12]]))))
    assert dx.shape == (1, 2, 2, 3)
    assert dx[0, 0].tolist() == [[1, 1, 1]] * 2
    assert dx[0, 1].tolist() == [[-2, -2, -2]] * 2


sizes = st.integers(1, 3)


@pytest.mark.parametrize("kind", [MaxPool2D, AveragePool2D])
@hypothesis.given(
    size=st.tuples(sizes, sizes),
    stride=st.tuples(sizes, sizes),
    more=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_is_its_definition(kind, size, stride, more):
    x = RNG.standard_normal((2, 3, size[0] + more[0], size[1] + more[1]))
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    layer = kind(size, stride)
    expected = {MaxPool2D: windows.max, AveragePool2D: windows.mean}[kind](axis=(4, 5))
    assert layer.output_shape(x.shape[1:]) == expected.shape[1:]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-13, atol=1e-15)
    dy = RNG.random(expected.shape)
    assert layer.backward(dy).sum() == pytest.approx(dy.sum(), rel=1e-12)  # nothing is lost


def test_nan_is_passed_on():
    x = np.full((1, 1, 2, 2), 1.0)
    x[0, 0, 1, 0] = math.nan
    assert np.isnan(MaxPool2D(2).forward(x)).all()


def test_repr_and_names():
    layers = [MaxPool2D(3, 2, 1), MaxPool2D(2), AveragePool2D((2, 1), 1), GlobalAveragePool2D()]
    assert [repr(layer) for layer in layers] == [
        "MaxPool2D(3x3, stride 2, padding 1)",
        "MaxPool2D(2x2)",
        "AveragePool2D(2x1, stride 1)",
        "GlobalAveragePool2D()",
    ]
    net = Network(layers, (3, 16, 16))
    assert net.shapes == [(3, 8, 8), (3, 4, 4), (3, 3, 4), (3,)]
    assert net.layers[-1].name == "globalaveragepool2d_1"
