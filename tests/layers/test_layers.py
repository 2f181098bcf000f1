"""What layers promise besides correct gradients (those are in test_gradients.py)."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pretended_cupy
import pytest

from minidl import (
    APL,
    GLU,
    Activate,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
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
)
from minidl.backend import namespace, to_numpy
from minidl.layers import Chain


def dense(**options) -> Dense:
    """A layer whose numbers fit on a sheet of paper."""
    layer = Dense(2, 3, "relu").build(**{"dtype": "float64", **options})
    layer.W[...] = _like(layer.W, [[1, 2, 3], [4, 5, 6]])
    layer.b[...] = _like(layer.b, [0, -20, 1])
    return layer


def _like(array, values):
    return namespace(array).asarray(np.array(values, array.dtype))


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


def test_zero_upstream_gives_zero_and_a_second_backward_the_same(device):
    for layer in (Dense(4, 3, "gelu"), Dense(4, 3, "softmax"), Flatten(), Dropout(0.5)):
        layer.build(device=device)
        rng = np.random.default_rng(0)
        x = device.asarray(rng.standard_normal((5, 4), np.float32))
        y = layer.forward(x, training=True)
        dy = device.asarray(rng.standard_normal(y.shape, np.float32))
        first = [to_numpy(layer.backward(dy)).copy()]
        first += [to_numpy(g).copy() for g in layer.gradients().values()]
        again = [to_numpy(layer.backward(dy)), *map(to_numpy, layer.gradients().values())]
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.any()
        dx = layer.backward(device.xp.zeros_like(y))
        for g in (dx, *layer.gradients().values()):
            assert not bool(g.any())


def test_no_input_gradient_is_computed_unless_asked_for():
    x, dy = np.ones((5, 2)), np.ones((5, 3))
    layer = dense()
    layer.forward(x)
    assert layer.backward(dy, input_gradient=False) is None
    assert layer.dW.any()
    for other in (Dropout(0.5).build(), Flatten()):
        other.forward(x, training=True)
        assert other.backward(x, input_gradient=False) is None


EACH = {  # with the shape of an example
    "Dense": (lambda: Dense(8, 5, "tanh"), (8,)),
    "Dense, linear": (lambda: Dense(8, 5), (8,)),
    "Dense, softmax": (lambda: Dense(8, 5, "softmax"), (8,)),
    "Conv2D": (lambda: Conv2D(4, 3, 3, padding=1, activation="relu"), (4, 6, 6)),
    "Conv2D 1x1": (lambda: Conv2D(4, 3, 1), (4, 6, 6)),
    "MaxPool2D": (lambda: MaxPool2D(3, 2), (4, 6, 6)),
    "AveragePool2D": (lambda: AveragePool2D(2), (4, 6, 6)),
    "GlobalAveragePool2D": (GlobalAveragePool2D, (4, 6, 6)),
    "BatchNorm": (lambda: BatchNorm(4), (4, 6, 6)),
    "PReLU": (lambda: PReLU(4), (4, 6, 6)),
    "APL": (lambda: APL(4, 2), (4, 6, 6)),
    "GLU": (GLU, (4, 6, 6)),
    "Activate": (lambda: Activate("elu"), (4, 6, 6)),
    "Dropout": (lambda: Dropout(0.5), (8,)),
    "RReLU": (RReLU, (8,)),
    "Flatten": (Flatten, (4, 6, 6)),
    "Dense of sentences": (lambda: Dense(8, 5, "mish"), (6, 8)),
    "GLU of sentences": (GLU, (6, 8)),
    "LayerNorm": (lambda: LayerNorm(8), (6, 8)),
    "PositionEmbedding": (lambda: PositionEmbedding(64, 8), (6, 8)),
    "FirstToken": (FirstToken, (6, 8)),
    "SelfAttention": (lambda: SelfAttention(8, 2), (6, 8)),
    "EncoderBlock": (lambda: EncoderBlock(8, 2, 16), (6, 8)),
    "Residual": (lambda: Residual([Dense(8, 8, "relu"), Dense(8, 8)]), (8,)),
    "Chain": (lambda: Chain([Dense(8, 8, "relu"), Dense(8, 3)]), (8,)),
}


@pytest.mark.parametrize(("make", "shape"), EACH.values(), ids=EACH)
def test_arrays_that_a_layer_returned_are_not_changed_by_the_next_call(make, shape, device):
    layer, rng = make().build(device=device), np.random.default_rng(2)
    kept, copies = [], []
    for _ in range(3):
        x = device.asarray(rng.standard_normal((5, *shape), np.float32))
        y = layer(x, training=True)
        dy = device.asarray(rng.standard_normal(y.shape, np.float32))
        dx = layer.backward(dy)
        assert (y.dtype, dx.dtype, dx.shape) == (x.dtype, x.dtype, x.shape)
        for array in (x, y, dy, dx):
            kept.append(array)
            copies.append(to_numpy(array).copy())
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(to_numpy(array), copy)


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
    if len(shape) == 3:
        shape = (shape[0], 64, 64)
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


def test_a_smaller_and_a_larger_batch_after_the_first():
    layer = dense()
    rng = np.random.default_rng(0)
    for N in (4, 2, 7, 1, 7):
        x, dy = rng.standard_normal((N, 2)), rng.standard_normal((N, 3))
        fresh = dense()
        for one in (layer, fresh):
            one.forward(x)
        np.testing.assert_array_equal(layer.y, fresh.y)
        np.testing.assert_array_equal(layer.backward(dy), fresh.backward(dy))
        np.testing.assert_array_equal(layer.dW, fresh.dW)


def test_flatten_keeps_the_order_of_the_values_and_gives_the_shape_back(device):
    layer = Flatten()
    x = device.asarray(np.arange(48.0).reshape(2, 2, 3, 4))
    y = layer.forward(x)
    np.testing.assert_array_equal(to_numpy(y), np.arange(48.0).reshape(2, 24))
    assert np.shares_memory(x, y)
    np.testing.assert_array_equal(to_numpy(layer.backward(y)), to_numpy(x))
    assert layer.output_shape((2, 3, 4)) == (24,)
    with pytest.raises(ValueError, match=r"Flatten\(\): expected input \(N, …\), got \(3,\)"):
        layer(np.zeros(3))


# -- dropout ----------------------------------------------------------------------------------


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


def test_dropout_is_the_identity_in_inference():
    layer = Dropout(0.5).build()
    x = np.ones((2, 3), np.float32)
    layer.forward(x, training=True)
    assert layer.forward(x) is x
    assert layer.backward(x) is x


def test_dropout_drops_the_same_units_in_float32_and_float64_and_anew_in_each_step():
    masks = {}
    for dtype in (np.float32, np.float64):
        layer = Dropout(0.5).build(rng=4)
        x = np.ones((8, 8), dtype)
        masks[dtype] = [layer.forward(x, training=True).copy() for _ in range(2)]
        assert layer.y.dtype == dtype
    for a, b in zip(*masks.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = masks[np.float32]
    assert (first != second).any()


def test_dropout_draws_one_float32_for_each_unit_from_its_own_generator():
    rng = np.random.default_rng(4)
    own = rng.spawn(1)[0]
    layer = Dropout(0.25)
    layer.initialize(np.random.default_rng(4))
    x = np.ones((8, 8))
    for _ in range(2):
        expected = (own.random((8, 8), np.float32) >= 0.25) / 0.75
        np.testing.assert_allclose(layer.forward(x, training=True), expected, rtol=1e-15)


def test_dropout_with_rate_0_drops_nothing():
    x = np.ones((50, 50), np.float32)
    np.testing.assert_array_equal(Dropout(0).build().forward(x, training=True), x)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_dropout_rate_out_of_range(rate):
    with pytest.raises(ValueError, match=f"expected rate >= 0 and < 1, got {rate}"):
        Dropout(rate)


# -- errors -----------------------------------------------------------------------------------


def forward_first(layer, x):
    layer.forward(x)
    return layer


X = np.ones((2, 2))
NOT_BUILT = r"Dense\(2 -> 3\): has no W yet; call build\(rng\), or make it part of a Network"
ERRORS = {
    "not built": (lambda: Dense(2, 3)(X), RuntimeError, NOT_BUILT),
    "no parameters yet": (lambda: Dense(2, 3).parameters(), RuntimeError, NOT_BUILT),
    "no gradients yet": (lambda: Dense(2, 3).gradients(), RuntimeError, "has no dW yet"),
    "dropout not built": (
        lambda: Dropout(0.5)(X, training=True),
        RuntimeError,
        r"Dropout\(0.5\): has no generator yet; call build\(rng\)",
    ),
    "backward first": (
        lambda: dense().expect_dy(X),
        RuntimeError,
        r"Dense\(2 -> 3, relu\): backward before forward; call forward\(x\) first",
    ),
    "width": (
        lambda: dense()(np.ones((64, 784))),
        ValueError,
        r"expected input \(N, 2\), got \(64, 784\); is n_in that of the layer before\?",
    ),
    "images": (
        lambda: dense()(np.ones((5, 1, 1, 2))),
        ValueError,
        r"expected input \(N, 2\), got \(5, 1, 1, 2\); put a Flatten layer before it",
    ),
    "no batch axis": (lambda: dense()(np.ones(2)), ValueError, r"got \(2,\)"),
    "float32 for float64": (
        lambda: dense()(X.astype(np.float32)),
        TypeError,
        r"expected x of type float64, got float32; .*x.astype\('float64'\).*dtype='float32'",
    ),
    "bytes": (lambda: dense()(X.astype(np.uint8)), ValueError, "got uint8"),
    "a list": (lambda: dense()([[1.0, 2.0]]), ValueError, "got list"),
    "dy of another shape": (
        lambda: forward_first(dense(), X).expect_dy(X),
        ValueError,
        r"expected dy \(2, 3\) like the last output, got \(2, 2\)",
    ),
    "dy of another type": (
        lambda: forward_first(dense(), X).expect_dy(np.ones((2, 3), np.float32)),
        TypeError,
        "expected dy of type float64, got float32",
    ),
    "dropout's dy": (
        lambda: forward_first(Dropout(0.5), X).expect_dy(X[:1]),
        ValueError,
        r"expected dy \(2, 2\)",
    ),
    "flatten's dy": (
        lambda: forward_first(Flatten(), X).expect_dy(X[:1]),
        ValueError,
        r"expected dy \(2, 2\)",
    ),
    "n_in 0": (lambda: Dense(0, 3), ValueError, "n_in to be an integer >= 1, got 0"),
    "n_out 2.5": (lambda: Dense(2, 2.5), ValueError, "n_out to be an integer >= 1, got 2.5"),
    "not written": (lambda: Layer().forward(X), NotImplementedError, "^$"),
    "backward not written": (lambda: Layer().backward(X), NotImplementedError, "^$"),
}


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS.values(), ids=ERRORS)
def test_each_error_says_what_was_expected_and_the_way_out(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_an_array_on_another_device_is_refused(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch)
    with pytest.raises(TypeError, match=r"to be a numpy array, got ndarray \(cupy\); move it with"):
        dense()(cupy.ones((2, 2)))
    layer = dense(device="cuda")
    with pytest.raises(TypeError, match="to be a cupy array"):
        layer(X)


def test_parameters_are_views_and_the_layer_has_a_repr():
    layer = dense()
    assert layer.size == 9
    assert layer.parameters()["W"] is layer.W
    assert layer.gradients()["b"] is layer.db
    theta, dtheta = np.arange(9.0), np.zeros(9)
    layer.bind(theta, dtheta, np.zeros(0))
    theta[8] = 7
    assert layer.b[2] == 7
    layer.dW[1, 2] = 3
    assert dtheta[5] == 3
    assert [repr(la) for la in (layer, Dense(4, 1), Dropout(0.5), Flatten())] == [
        "Dense(2 -> 3, relu)",
        "Dense(4 -> 1)",
        "Dropout(0.5)",
        "Flatten()",
    ]
    assert Layer().output_shape((3,)) == (3,)
    assert Dense(np.int64(2), 3).size == 9
