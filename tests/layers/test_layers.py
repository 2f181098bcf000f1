"""What every layer promises besides correct gradients; Dense, Flatten and Dropout by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pretended_cupy
import pytest

import minidl.layers
from minidl import (
    APL,
    GLU,
    ActivationLayer,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    FirstToken,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LayerNorm,
    MaxPool2D,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    SwiGLU,
)
from minidl.backend import namespace, to_numpy
from minidl.layers import Sequential

IMAGES, ROWS, SENTENCES = (4, 6, 6), (8,), (6, 8)  # the shape of an example
EACH = {
    "Dense": (lambda: Dense(8, 5, "tanh"), ROWS),
    "Dense, linear": (lambda: Dense(8, 5), ROWS),
    "Dense, softmax": (lambda: Dense(8, 5, "softmax"), ROWS),
    "Conv2D": (lambda: Conv2D(4, 3, 3, padding=1, activation="relu"), IMAGES),
    "Conv2D 1x1": (lambda: Conv2D(16, 3, 1), (16, 6, 6)),
    "Conv2D by shifts": (lambda: Conv2D(16, 3, (3, 2), (1, 2), (0, 1)), (16, 6, 6)),
    "MaxPool2D": (lambda: MaxPool2D(3, 2), IMAGES),
    "AveragePool2D": (lambda: AveragePool2D(2), IMAGES),
    "GlobalAveragePool2D": (GlobalAveragePool2D, IMAGES),
    "BatchNorm": (lambda: BatchNorm(4), IMAGES),
    "PReLU": (lambda: PReLU(4), IMAGES),
    "APL": (lambda: APL(4, 2), IMAGES),
    "GLU": (GLU, IMAGES),
    "SwiGLU": (SwiGLU, IMAGES),
    "ActivationLayer": (lambda: ActivationLayer("elu"), IMAGES),
    "Dropout": (lambda: Dropout(0.5), ROWS),
    "RReLU": (RReLU, ROWS),
    "Flatten": (Flatten, IMAGES),
    "Dense of sentences": (lambda: Dense(8, 5, "mish"), SENTENCES),
    "GLU of sentences": (GLU, SENTENCES),
    "LayerNorm": (lambda: LayerNorm(8), SENTENCES),
    "PositionEmbedding": (lambda: PositionEmbedding(64, 8), SENTENCES),
    "FirstToken": (FirstToken, SENTENCES),
    "SelfAttention": (lambda: SelfAttention(8, 2), SENTENCES),
    "EncoderBlock": (lambda: EncoderBlock(8, 2, 16), SENTENCES),
    "Residual": (lambda: Residual([Dense(8, 8, "relu"), Dense(8, 8)]), ROWS),
    "Sequential": (lambda: Sequential([Dense(8, 8, "relu"), Dense(8, 3)]), ROWS),
}
each = pytest.mark.parametrize(("make", "shape"), EACH.values(), ids=EACH)


# -- every layer ------------------------------------------------------------------------------


def test_every_layer_is_in_the_table():
    public = {getattr(minidl.layers, name) for name in minidl.layers.__all__}
    assert {type(make()) for make, _ in EACH.values()} == public - {Layer, Embedding}


def scatter(layer: Layer, seed: int) -> Layer:
    """Random parameters, state and noise: the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    for part in layer.walk():
        for value in (*part.parameters().values(), *part.state().values()):
            value[...] = namespace(value).asarray(rng.uniform(0.2, 1, value.shape), value.dtype)
        if hasattr(part, "rng"):
            part.rng = np.random.default_rng(seed)
    return layer


def gradients(layer: Layer) -> list[np.ndarray]:
    return [to_numpy(g).copy() for part in layer.walk() for g in part.gradients().values()]


@each
def test_a_layer_keeps_its_promises_over_calls(make, shape, device):
    """Batches smaller and larger than the first; what was returned earlier stays as it was."""
    layer, rng = make().build(device=device), np.random.default_rng(2)
    kept = []
    for N in (4, 2, 6, 6):
        x = device.asarray(rng.standard_normal((N, *shape), np.float32))
        y = scatter(layer, N)(x, training=True)
        assert y.shape == (N, *layer.output_shape(shape))
        dy = device.asarray(rng.standard_normal(y.shape, np.float32))
        for part in layer.walk():
            for g in part.gradients().values():
                g.fill(np.nan)  # backward overwrites it
        dx = layer.backward(dy)
        assert (y.dtype, dx.dtype, dx.shape) == (x.dtype, x.dtype, x.shape)
        assert type(y) is type(dx) is type(x)
        kept += [(array, to_numpy(array).copy()) for array in (x, y, dy, dx)]

        first = [to_numpy(dx).copy(), *gradients(layer)]
        for a, again in zip(first, [to_numpy(layer.backward(dy)), *gradients(layer)], strict=True):
            assert a.any()
            np.testing.assert_array_equal(a, again)
        fresh = scatter(make().build(device=device), N)
        np.testing.assert_array_equal(to_numpy(fresh(x, training=True)), to_numpy(y))
        assert fresh.backward(dy, input_gradient=False) is None
        for a, alone in zip(first[1:], gradients(fresh), strict=True):
            np.testing.assert_array_equal(a, alone)
        assert not bool(layer.backward(dy * 0).any())
        assert not any(g.any() for g in gradients(layer))
    for array, copy in kept:
        np.testing.assert_array_equal(to_numpy(array), copy)


@each
def test_float32_agrees_with_float64(make, shape):
    x = np.random.default_rng(3).standard_normal((5, *shape))
    found = {}
    for dtype in (np.float32, np.float64):
        layer = scatter(make().build(dtype=dtype), 7)
        y = layer(x.astype(dtype), training=True)
        found[dtype] = [y, layer.backward(np.cos(np.arange(y.size, dtype=dtype)).reshape(y.shape))]
        found[dtype] += gradients(layer)
    for single, double in zip(*found.values(), strict=True):
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
        atol = 1e-5 * max(1, np.abs(double).max())  # the bias of the keys has no gradient
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=atol)


def last_first(a):
    """The same values with the batch last in memory, as images have it between layers."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0)


def in_a_larger_one(a):
    """The same values as every second one of a larger array, along the last axis and the batch."""
    larger = np.zeros((2 * len(a), *a.shape[1:-1], 2 * a.shape[-1]), a.dtype)
    larger[::2, ..., 1::2] = a
    return larger[::2, ..., 1::2]


LAYOUTS = {
    "batch last": last_first,
    "by columns": np.asfortranarray,
    "backwards": lambda a: np.ascontiguousarray(np.flip(a)).view()[
        tuple([slice(None, None, -1)] * a.ndim)
    ],
    "features first": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1),
    "part of a larger array": in_a_larger_one,
    "one example repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "one number repeated": lambda a: np.broadcast_to(a.ravel()[0], a.shape),
}


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_x_and_dy_may_have_any_memory_layout(make, shape, dtype):
    """A reshape of another layout may be a copy, and what is written into it is lost."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((4, *shape)).astype(dtype)
    tolerance = {"float32": 3e-5, "float64": 1e-12}[dtype]

    def run(x, dy):
        layer = scatter(make().build(dtype=dtype), 5)
        y = layer(x, training=True)
        dy = rng.standard_normal(y.shape).astype(dtype) if dy is None else dy
        return dy, [y, layer.backward(dy), *gradients(layer)]

    dy, _ = run(x, None)
    for name, lay in LAYOUTS.items():
        for a, b in ((lay(x), dy), (x, lay(dy)), (lay(x), lay(dy))):
            copies = [np.ascontiguousarray(one) for one in (a, b)]
            (_, found), (_, expected) = run(a, b), run(*copies)
            for f, e in zip(found, expected, strict=True):
                atol = tolerance * max(1, np.abs(e).max())
                np.testing.assert_allclose(f, e, rtol=tolerance, atol=atol, err_msg=name)
            for one, copy in zip((a, b), copies, strict=True):
                np.testing.assert_array_equal(one, copy, err_msg=f"{name}: overwritten")


def test_tokens_and_their_dy_may_have_any_memory_layout():
    layer = Embedding(9, 4).build(rng=1, dtype="float64")
    x = np.array([[3, 1, 4], [1, 5, 8]])
    dy = np.random.default_rng(7).standard_normal((2, 3, 4))
    for name, lay in LAYOUTS.items():
        found = []
        for a, b in ((lay(x), lay(dy)), (lay(x).copy(), lay(dy).copy())):
            found.append([layer(a), layer.backward(b), layer.dW.copy()])
        for mine, expected in zip(*found, strict=True):
            np.testing.assert_array_equal(mine, expected, err_msg=name)


def test_a_layer_called_alone_refuses_what_does_not_fit():
    for name, (make, shape) in EACH.items():
        layer, x = make(), np.ones((2, *shape), np.float32)
        with_parameters = layer.size > 0
        if with_parameters:
            with pytest.raises(RuntimeError, match=r"has no \w+ yet; call build\(rng\), or make"):
                layer(x)
        layer.build()
        with pytest.raises(
            RuntimeError, match="backward before forward, or after one that does not keep"
        ):
            layer.expect_dy(x)
        y = layer(x)
        if with_parameters:
            with pytest.raises(TypeError, match="expected x of type float32, got float64"):
                layer(x.astype(float))
        with pytest.raises(ValueError, match=r"expected dy \(2, .*like the last output, got \(1,"):
            layer.expect_dy(y[:1])
        with pytest.raises(TypeError, match="expected dy of type float32, got float64"):
            layer.expect_dy(y.astype(float))
        with pytest.raises(ValueError, match=r"an array of floating-point.* got uint8"):
            layer(x.astype(np.uint8))
        assert repr(layer).startswith(type(layer).__name__ + "("), name


def peaks(layer, x, dy):
    """The most memory that forward and backward take, in bytes."""
    layer.backward(0 * layer(x, training=True))  # compiles the loops
    found = []
    for call in (lambda: layer(x, training=True), lambda: layer.backward(dy)):
        tracemalloc.start()
        try:
            call()
            found.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return np.array(found)


@pytest.mark.parametrize("name", [name for name in EACH if name != "Flatten"])
def test_float32_takes_half_the_memory_of_float64(name):
    """So nothing is converted on the way.  Masks and argmaxes have the same size in both."""
    make, shape = EACH[name]
    shape = (shape[0], 32, 32) if len(shape) == 3 else shape
    rng = np.random.default_rng(0)
    found = {}
    for dtype in ("float32", "float64"):
        layer = make().build(dtype=dtype)
        x = rng.standard_normal((8192 if len(shape) == 1 else 64, *shape)).astype(dtype)
        dy = np.ones((len(x), *layer.output_shape(shape)), dtype)
        found[dtype] = peaks(layer, x, dy)
    # in an encoder block, GELU has a separate formula for float32
    larger = ("MaxPool2D", "AveragePool2D", "Dropout", "RReLU", "EncoderBlock")
    share = 0.62 if name in larger else 0.52
    assert (found["float32"] <= share * found["float64"] + 8192).all()


# -- Dense and Flatten ------------------------------------------------------------------------


def dense(**options) -> Dense:
    """A layer whose numbers fit on a sheet of paper."""
    layer = Dense(2, 3, "relu").build(**{"dtype": "float64", **options})
    for array, values in ((layer.W, [[1, 2, 3], [4, 5, 6]]), (layer.b, [0, -20, 1])):
        array[...] = namespace(array).asarray(np.array(values, array.dtype))
    return layer


def test_dense_by_hand(device):
    layer = dense(device=device)
    x = device.asarray(np.array([[1.0, 2.0], [3.0, -1.0]]))
    y = layer.forward(x)
    z = [[9, -8, 16], [-1, -19, 4]]  # x W + b
    np.testing.assert_array_equal(to_numpy(layer.z), z)
    np.testing.assert_array_equal(to_numpy(y), [[9, 0, 16], [0, 0, 4]])
    dx = layer.backward(device.asarray(np.array([[1.0, 10.0, 2.0], [5.0, 5.0, 3.0]])))
    np.testing.assert_array_equal(to_numpy(layer.dz), [[1, 0, 2], [0, 0, 3]])
    np.testing.assert_array_equal(to_numpy(layer.dW), [[1, 0, 11], [2, 0, 1]])
    np.testing.assert_array_equal(to_numpy(layer.db), [1, 0, 5])
    np.testing.assert_array_equal(to_numpy(dx), [[7, 16], [9, 18]])


def test_flatten_keeps_the_order_of_the_values_and_gives_the_shape_back(device):
    layer = Flatten()
    x = device.asarray(np.arange(48.0).reshape(2, 2, 3, 4))
    y = layer.forward(x)
    np.testing.assert_array_equal(to_numpy(y), np.arange(48.0).reshape(2, 24))
    assert np.shares_memory(x, y)
    np.testing.assert_array_equal(to_numpy(layer.backward(y)), to_numpy(x))
    assert layer.output_shape((2, 3, 4)) == (24,)


def test_the_repr():
    assert [repr(la) for la in (dense(), Dense(4, 1), Dropout(0.5), Flatten())] == [
        *("Dense(2 -> 3, relu)", "Dense(4 -> 1)", "Dropout(0.5)", "Flatten()")
    ]
    assert Layer().output_shape((3,)) == (3,)
    assert Dense(np.int64(2), 3).size == 9


# -- Dropout ----------------------------------------------------------------------------------


def test_dropout_drops_its_share_and_scales_the_rest(device):
    layer = Dropout(0.25).build(rng=0, device=device)
    x = device.asarray(np.full((200, 100), 3, np.float32))
    y = to_numpy(layer.forward(x, training=True)).copy()
    dx = to_numpy(layer.backward(x))
    assert set(np.unique(y)) == {0, 4}  # 3 / (1 − ¼)
    assert (y == 0).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / y.size))
    np.testing.assert_array_equal(dx, y)
    again = to_numpy(layer.forward(x, training=True))
    assert (again != y).any()


def test_dropout_is_the_identity_in_inference_and_with_rate_0():
    x = np.ones((50, 50), np.float32)
    layer = Dropout(0.5).build()
    layer.forward(x, training=True)
    assert layer.forward(x) is x
    assert layer.backward(x) is x
    np.testing.assert_array_equal(Dropout(0).build().forward(x, training=True), x)


def test_dropout_draws_one_float32_for_each_unit_from_its_own_generator():
    """So float32 and float64 drop the same units, anew in each step."""
    own = np.random.default_rng(4).spawn(1)[0]
    layers = [Dropout(0.25).build(rng=4) for _ in range(2)]
    for _ in range(2):
        expected = (own.random((8, 8), np.float32) >= 0.25) / 0.75
        for layer, dtype in zip(layers, (np.float32, np.float64), strict=True):
            y = layer.forward(np.ones((8, 8), dtype), training=True)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, expected, rtol=1e-7)


# -- errors -----------------------------------------------------------------------------------

X = np.ones((2, 2))
NOT_BUILT = r"Dense\(2 -> 3\): has no W yet; call build\(rng\), or make it part of a Network"
ERRORS = [
    (lambda: Dense(2, 3).parameters(), RuntimeError, NOT_BUILT),
    (lambda: Dense(2, 3).gradients(), RuntimeError, "has no dW yet"),
    (
        lambda: Dropout(0.5)(X, training=True),
        RuntimeError,
        r"Dropout\(0.5\): has no generator yet; call build\(rng\)",
    ),
    (
        lambda: dense()(np.ones((64, 784))),
        ValueError,
        r"expected input \(N, 2\), got \(N, 784\); is n_in that of the layer before\?",
    ),
    (
        lambda: dense()(np.ones((5, 1, 1, 2))),
        ValueError,
        r"expected input \(N, 2\), got \(N, 1, 1, 2\); put a Flatten layer before it",
    ),
    (lambda: dense()(np.ones(2)), ValueError, r"got \(N,\)"),
    (lambda: Flatten()(np.zeros(3)), ValueError, r"Flatten\(\): .*input \(N, …\), got \(N,\)"),
    (
        lambda: dense()(X.astype(np.float32)),
        TypeError,
        r"expected x of type float64, got float32; .*x.astype\('float64'\).*dtype='float32'",
    ),
    (lambda: dense()([[1.0, 2.0]]), ValueError, "got list"),
    (lambda: Dense(0, 3), ValueError, "n_in to be an integer >= 1, got 0"),
    (lambda: Dense(2, 2.5), ValueError, "n_out to be an integer >= 1, got 2.5"),
    *[
        (lambda rate=rate: Dropout(rate), ValueError, f"expected rate >= 0 and < 1, got {rate}")
        for rate in (-0.1, 1, 1.5, float("nan"))
    ],
    (lambda: Layer().forward(X), NotImplementedError, "^$"),
    (lambda: Layer().backward(X), NotImplementedError, "^$"),
]


def test_each_error_says_what_was_expected_and_the_way_out():
    for call, kind, message in ERRORS:
        with pytest.raises(kind, match=message):
            call()


def test_an_array_on_another_device_is_refused(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch)
    with pytest.raises(TypeError, match=r"to be a numpy array, got ndarray \(cupy\); move it with"):
        dense()(cupy.ones((2, 2)))
    layer = dense(device="cuda")
    with pytest.raises(TypeError, match="to be a cupy array"):
        layer(X)
