"""Initial weights: limits, variances, and the same draw for every type and device."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from minidl import Conv2D, Dense, Embedding, PositionEmbedding
from minidl.backend import to_numpy
from minidl.initializers import INITIALIZERS, constant
from minidl.propagation import critical

N_IN, N_OUT = 300, 200
VARIANCES = {  # of the papers named in the docstrings, with their limits
    "glorot_uniform": (2 / 500, math.sqrt(6 / 500)),
    "glorot_normal": (2 / 500, math.inf),
    "he_uniform": (2 / 300, math.sqrt(6 / 300)),
    "he_normal": (2 / 300, math.inf),
    "he_normal_out": (2 / 200, math.inf),
    "lecun_normal": (1 / 300, math.inf),
    "fan_in_uniform": (1 / 900, math.sqrt(1 / 300)),
    "zeros": (0, 0),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_mean_variance_and_limit(name):
    variance, limit = VARIANCES[name]
    W = INITIALIZERS[name](np.random.default_rng(0), (N_IN, N_OUT), N_IN, N_OUT)
    assert (W.shape, W.dtype) == ((N_IN, N_OUT), np.float64)
    # 60 000 draws: four standard deviations of their mean and of their variance
    assert abs(W.mean()) <= 4 * math.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / W.size))
    assert np.abs(W).max() <= limit
    if 0 < limit < math.inf:
        assert np.abs(W).max() > 0.999 * limit
    elif limit:
        assert np.abs(W).max() > 3.5 * math.sqrt(variance)  # a normal draw has tails


def test_float32_is_the_float64_draw_rounded(device):
    single, double = (
        Dense(5, 4, weights="he_normal").build(rng=3, dtype=dtype, device=device)
        for dtype in ("float32", "float64")
    )
    drawn = np.random.default_rng(3).normal(0, math.sqrt(2 / 5), (5, 4))
    np.testing.assert_array_equal(to_numpy(double.W), drawn)
    np.testing.assert_array_equal(to_numpy(single.W), drawn.astype(np.float32))
    assert not to_numpy(single.b).any()


def test_a_custom_function_and_a_constant():
    layer = Dense(2, 3, biases=lambda rng, shape, n_in, n_out: np.full(shape, n_in + 10 * n_out))
    np.testing.assert_array_equal(layer.build().b, [32, 32, 32])
    np.testing.assert_array_equal(Dense(2, 1, biases=constant(0.01)).build().b, np.float32([0.01]))


def test_fan_in_uniform_has_the_bounds_of_pytorch():
    """Its kaiming_uniform_(W, a=√5): gain √(2 / (1 + 5)) times √(3 / fan_in); the same for b."""
    start = {"weights": "fan_in_uniform", "biases": "fan_in_uniform"}
    conv, dense = Conv2D(3, 64, 5, **start).build(), Dense(75, 1000, **start).build()
    bound = math.sqrt(2 / 6) * math.sqrt(3 / 75)
    for array in (conv.W, conv.b, dense.W, dense.b):
        assert 0.95 * bound < np.abs(array).max() <= bound


def test_an_initializer_can_be_pickled_and_is_no_array():
    """A network is sent to another process with those of its layers."""
    for weights in (*INITIALIZERS, constant(0.5), *critical("gelu")):
        layer = Dense(3, 2, weights=weights)
        twin = pickle.loads(pickle.dumps(layer)).build()
        np.testing.assert_array_equal(twin.W, layer.build().W)
    for layer in (Dense(3, 2), Embedding(3, 2), PositionEmbedding(3, 2)):
        with pytest.raises(ValueError, match=r"initializer: expected one of .* got an array float"):
            layer.build().weights = np.zeros((3, 2))
