"""Each compiled twin gives what its text gives, but for the rounding of sums."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from minidl import APL, BatchNorm, Conv2D, ReLU, SoftmaxCrossEntropy, fast
from minidl.backend.threads import using_threads
from minidl.fast.pool import one_pool
from minidl.kernel import SHARED, register

pytestmark = pytest.mark.skipif(
    fast.engine() == "numpy", reason="Numba is not installed, or switched off"
)

UNITS = {"short": (40, 12), "long": (3000, 12)}
IMAGES = {"short": (5, 4, 6, 7), "long": (16, 8, 18, 18)}
MANY_CHANNELS = {"short": (5, 16, 6, 7), "long": (16, 16, 12, 12)}
LAYOUTS = {"batch first": lambda a: a, "batch last": lambda a: np.moveaxis(as_last(a), -1, 0)}
ROUNDING = {"float32": 1e-5, "float64": 1e-13}


def as_last(a):
    return np.ascontiguousarray(np.moveaxis(a, 0, -1))


def of_layer(make, *names):
    """What a layer computes in training and in inference, with and without dx; the twins' names."""

    def found(draw):
        x, dy = draw(), draw()
        layer = make(x.shape[1]).build(dtype=x.dtype)
        rng = np.random.default_rng(1)
        for value in layer.parameters().values():
            value[...] = rng.normal(0.3, 0.7, value.shape)
        for training in (True, False):
            y = layer.forward(x, training)
            yield from (y, getattr(layer, "x_hat", y), getattr(layer, "s", y))
            yield from layer.state().values()
            dy_ = np.resize(dy, y.shape) if y.shape != dy.shape else dy
            yield layer.backward(dy_)
            yield from (gradient.copy() for gradient in layer.gradients().values())
            for value in layer.gradients().values():
                value.fill(np.nan)
            assert layer.backward(dy_, input_gradient=False) is None
            yield from layer.gradients().values()

    return found, names


def shared(channels):
    """As if another process had the same examples."""
    layer = BatchNorm(channels)
    layer.sum_over_batch = lambda *sums: tuple(2 * one for one in sums)
    return layer


def relu(draw):
    f, dy, z = ReLU(), draw(), draw()
    z.flat[:5] = [0, -0.0, np.inf, -np.inf, 1e-38]
    y = f(z)
    yield from (y, f.backward(dy, z, y))


def softmax(draw):
    z = 4 * draw()
    yield from SoftmaxCrossEntropy().per_example(z, np.arange(len(z)) % z.shape[1])


NORM = ("BatchNorm.forward_rows", "BatchNorm.backward_rows")
APLS = ("APL.forward_rows", "APL.backward_rows")
CASES = {  # what is computed and by which twins; for which shapes
    "BatchNorm": (of_layer(BatchNorm, *NORM), (UNITS, IMAGES)),
    "BatchNorm, shared": (of_layer(shared, *NORM, "BatchNorm.moments"), (UNITS, IMAGES)),
    "APL": (of_layer(lambda C: APL(C, 3), *APLS), (UNITS, IMAGES)),
    "ReLU": ((relu, ("Activation.__call__", "Activation.backward")), (UNITS, IMAGES)),
    "softmax": ((softmax, ("SoftmaxCrossEntropy.per_example",)), (UNITS,)),
    "Conv2D": (of_layer(lambda C: Conv2D(C, 6, 3), "patches"), (IMAGES, MANY_CHANNELS)),
}
TWINS = fast.TWINS | fast.LONG
EACH = [
    (name, shapes[size]) for name, (_, all) in CASES.items() for shapes in all for size in shapes
]


@contextmanager
def engine(find):
    register("numpy", find, fast.full_speed)
    try:
        yield
    finally:
        register("numpy", fast.find, fast.full_speed)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("name", "shape"), EACH)
def test_a_twin_gives_what_its_text_gives(name, shape, dtype, layout, threads):
    (compute, twins), _ = CASES[name]
    called = set()

    def find(text, is_long):
        twin = fast.find(text, is_long)
        if twin is None or text.__qualname__ not in TWINS:
            return twin
        return lambda *given: called.add(text.__qualname__) or twin(*given)

    def results():
        rng = np.random.default_rng(0)
        draw = lambda: LAYOUTS[layout](rng.standard_normal(shape).astype(dtype))  # noqa: E731
        with using_threads(2), one_pool() if threads == 2 else nullcontext():
            return [np.array(a) for a in compute(draw)]

    with engine(find):
        found = results()
    with engine(lambda text, is_long: None):
        expected = results()
    assert called == {one for one in twins if one not in fast.LONG or np.prod(shape) >= SHARED}
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape) == (np.dtype(dtype), b.shape)
        finite = b[np.isfinite(b)]
        atol = ROUNDING[dtype] * abs(finite).max(initial=0)
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def test_every_twin_is_compared_here():
    assert set(TWINS) <= {twin for (_, twins), _ in CASES.values() for twin in twins}
