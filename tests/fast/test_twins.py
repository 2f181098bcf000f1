"""Each compiled twin gives what its text gives, but for the rounding of sums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import numpy as np
import pytest

from minidl import APL, BatchNorm, Conv2D, Dense, Examples, SoftmaxCrossEntropy, fast
from minidl.activations import ReLU, Sigmoid
from minidl.backend.threads import using_threads
from minidl.fast import pool
from minidl.fast.pool import one_pool
from minidl.kernel import register

pytestmark = pytest.mark.skipif(
    fast.engine() == "numpy", reason="Numba is not installed, or switched off"
)

# Short and long ones; of units the batch, of images the channels come first, or are last.
SHAPES = [(40, 12), (3000, 12), (1, 3, 4, 2), (5, 4, 6, 7), (16, 8, 18, 18)]
LAYOUTS = [lambda a: a, lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0)]


def random(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def channelwise(make):
    """What a layer computes in training and in inference, with and without dx."""

    def results(dtype):
        for shape, layout in product(SHAPES, LAYOUTS):
            layer = make(shape[1]).build(dtype=dtype)
            for i, value in enumerate(layer.parameters().values()):
                value[...] = random(value.shape, dtype, i) + 0.3
            x, dy = (layout(random(shape, dtype, seed)) for seed in (3, 4))
            for training in (True, False):
                yield layer.forward(x, training)
                yield from (array.copy() for array in layer.state().values())
                if isinstance(layer, BatchNorm):
                    yield from (layer.x_hat, layer.s)
                for input_gradient in (True, False):
                    for gradient in layer.gradients().values():
                        gradient.fill(np.nan)
                    dx = layer.backward(dy, input_gradient)
                    yield dx if input_gradient else np.zeros(1, dtype)
                    yield from (gradient.copy() for gradient in layer.gradients().values())

    return results


def shared(channels):
    """As if another process had the same examples."""
    layer = BatchNorm(channels)
    layer.sum_over_batch = lambda *sums: tuple(2 * one for one in sums)
    return layer


def convolutions(dtype):
    """Every form: few channels and many, that threads can share or not; few rows and many."""
    for channels, outputs in ((3, 5), (20, 6), (21, 5)):
        for options in ((3, 1, 1), (3, 2, 1), (1, 1, 0), ((3, 2), (1, 3), (0, 2)), ((7, 3), 1, 0)):
            for layout in LAYOUTS:
                layer = Conv2D(channels, outputs, *options).build(3, dtype)
                y = layer(layout(random((4, channels, 7, 8), dtype)))
                yield from (y, layer.backward(layout(random(y.shape, dtype))), layer.dW.copy())


def relu(dtype):
    for layout in LAYOUTS:
        dy, z = random((2, 300, 1000), dtype)
        z[0, :9] = [0, -0.0, np.inf, -np.inf, np.nan, 1e-38, -1e-38, 1, -1]
        z, f = layout(z), ReLU()
        y = f(z)
        yield from (y, f.backward(layout(dy), z, y))


def sigmoid(dtype):
    for layout in LAYOUTS:
        dy, z = 4 * random((2, 300, 1000), dtype)
        z[0, :5] = [0, -0.0, np.inf, -np.inf, np.nan]
        z, f = layout(z), Sigmoid()
        y = f(z)
        yield from (y, f.backward(layout(dy), z, y))


def dense(dtype):
    """With and without dx; sentences, whose tokens are rows; a function without a compiled form."""
    for f, shape in product(("linear", "relu", "sigmoid", "tanh"), ((1000, 90), (15, 60, 90))):
        layer = Dense(90, 40, f).build(1, dtype)
        layer.b[...] = random(40, dtype, 2)
        x, dy = random(shape, dtype, 3), random((*shape[:-1], 40), dtype, 4)
        yield layer.forward(x)
        yield from (layer.z, layer.backward(dy), layer.dz, layer.dW.copy(), layer.db.copy())
        layer.dW.fill(np.nan)
        assert layer.backward(dy, input_gradient=False) is None
        yield layer.dW.copy()


def drawn(dtype):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 3, 20, 20), dtype=np.uint8)
    rows = rng.permutation(50)[:20]
    for inputs in (images, images.transpose(0, 3, 2, 1), images / 255):
        for divisor in (255, 1):
            yield Examples(inputs, np.arange(50), divisor).draw(rows, np.dtype(dtype))[0]


def cross_entropies(dtype):
    for N, C in ((1, 2), (64, 10), (4000, 10)):
        t = np.arange(N) % C
        for scale in (1, 30):
            yield from SoftmaxCrossEntropy().per_example(scale * random((N, C), dtype), t)


# What calls marked functions, by how many roundings the results differ, and the functions.
NORM = ("BatchNorm.forward_rows", "BatchNorm.backward_rows")
CASES = {
    "BatchNorm": (channelwise(BatchNorm), 100, NORM),
    "BatchNorm, shared": (channelwise(shared), 100, (*NORM, "BatchNorm.moments")),
    "APL": (channelwise(lambda C: APL(C, 3)), 100, ("APL.forward_rows", "APL.backward_rows")),
    "Conv2D": (convolutions, 200, ("patches",)),
    "ReLU": (relu, 0, ("Activation.__call__", "Activation.backward")),
    "Sigmoid": (sigmoid, 8, ("Activation.__call__", "Activation.backward")),
    "Dense": (dense, 100, ("Dense.forward", "Dense.backward")),
    "Examples": (drawn, 0, ("take_numbers",)),
    "softmax": (cross_entropies, 20, ("softmax_cross_entropy",)),
}


@contextmanager
def engine(find) -> Iterator[None]:
    """A context in which marked functions run as ``find`` says."""
    register("numpy", find)
    try:
        yield
    finally:
        register("numpy", fast.find, fast.engine, pool.full_speed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_twin_gives_what_its_text_gives(name, dtype):
    """On one thread and on several: sums may be added in another order."""
    results, roundings, twins = CASES[name]
    called = set()

    def find(text, is_long):
        if twin := fast.find(text, is_long):
            return lambda *given, **named: called.add(text.__qualname__) or twin(*given, **named)
        return None

    with engine(lambda text, is_long: None):
        expected = list(results(dtype))
    for threads in (1, 2):
        called.clear()
        with using_threads(threads), one_pool(), engine(find):
            for a, b in zip(results(dtype), expected, strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                off = roundings * np.finfo(dtype).eps
                largest = np.abs(b[np.isfinite(b)]).max()
                np.testing.assert_allclose(a, b, rtol=off, atol=off * largest)
        assert called >= set(twins)


def test_every_twin_is_compared_here():
    compared = {twin for _, _, twins in CASES.values() for twin in twins}
    assert compared == fast.TWINS.keys() | fast.LONG.keys() | fast.COMPILED.keys()


def test_the_compiled_exponential_has_all_its_digits():
    """In each of the places where it is used: reordered additions would take half of them.

    Beside float64, within two units in the last place, also where the result is small.
    """
    z = np.linspace(-87, 88, 200_003, dtype=np.float32)
    y = Sigmoid()(z)
    exact = 1 / (1 + np.exp(-z.astype(np.float64)))
    np.testing.assert_allclose(y, exact, rtol=3e-7)
    slope = Sigmoid().backward(np.ones_like(z), z, y)
    np.testing.assert_allclose(slope, exact / (1 + np.exp(z.astype(np.float64))), rtol=6e-7)
    logits = np.stack([z, np.zeros_like(z)], axis=1)
    _, dz = SoftmaxCrossEntropy().per_example(logits, np.ones(len(z), int))
    np.testing.assert_allclose(dz[:, 0], exact, rtol=6e-7)


def test_the_compiled_exponential_ends_where_float32_does():
    z = np.tile(np.float32([-np.inf, -200, -104, 89, 200, np.inf, np.nan, 0]), 5000)
    y = Sigmoid()(z)[:8]
    np.testing.assert_array_equal(y, np.float32([0, 0, 0, 1, 1, 1, np.nan, 0.5]))
