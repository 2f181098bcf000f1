"""Networks: two flat vectors, names, errors, and weights files, which are whole or refused."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pretended_cupy
import pytest

from minidl import (
    ActivationLayer,
    Dense,
    Dropout,
    Embedding,
    FirstToken,
    Flatten,
    Network,
    Residual,
    Sequential,
    WeightsError,
)
from minidl.backend import to_numpy


def small(rng=0, dtype="float32", device="cpu", n_out=3) -> Network:
    layers = [Flatten(), Dense(8, 5, "tanh"), Dropout(0.5), Dense(5, n_out)]
    return Network(layers, (2, 4), rng, dtype, device)


X = np.random.default_rng(0).standard_normal((7, 2, 4)).astype(np.float32)

# -- the flat vectors -------------------------------------------------------------------------


def test_parameters_and_gradients_are_views_into_two_flat_vectors(device):
    network = small(device=device)
    assert network.theta.shape == network.dtheta.shape == (8 * 5 + 5 + 5 * 3 + 3,)
    for vector in (network.theta, network.dtheta):
        assert vector.flags.c_contiguous
        vector[...] = device.asarray(np.arange(63, dtype=np.float32))
    where = {"dense_1": (0, 40, 45), "dense_2": (45, 60, 63)}
    for name, (W, b, end) in where.items():
        layer = network[name]
        for weight, bias in ((layer.W, layer.b), (layer.dW, layer.db)):
            assert to_numpy(weight).ravel().tolist() == list(range(W, b))
            assert to_numpy(bias).tolist() == list(range(b, end))
    network["dense_2"].b[2] = -1
    network["dense_1"].dW[0, 1] = -2
    assert float(network.theta[62]) == -1
    assert float(network.dtheta[1]) == -2


def test_the_same_seed_gives_the_same_bits_on_every_device_and_rounded_in_float32(device):
    double = small(rng=3, dtype="float64").theta
    assert (double != small(rng=4, dtype="float64").theta).any()
    for dtype in ("float32", "float64"):
        theta = to_numpy(small(rng=3, dtype=dtype, device=device).theta)
        np.testing.assert_array_equal(theta, double.astype(dtype))


# -- forward and backward ---------------------------------------------------------------------


def test_forward_is_the_layers_one_after_the_other(device):
    network = small(dtype="float64", device=device)
    W1, b1, W2, b2 = (to_numpy(value) for _, _, value, _ in network.parameters())
    x = X.astype(float)
    expected = np.tanh(x.reshape(7, 8) @ W1 + b1) @ W2 + b2
    got = to_numpy(network.forward(device.asarray(x)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_dropout_is_on_in_training_only():
    network = small()
    still = network.forward(X).copy()
    np.testing.assert_array_equal(network.forward(X), still)
    assert (network.forward(X, training=True) != still).any()
    mask = network["dropout_1"].mask
    assert set(np.unique(mask)) == {0, 2}


def test_the_input_gradient_is_computed_on_request_and_leaves_the_others_alone():
    network = small()
    dy = np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32)
    network.forward(X)
    assert network.backward(dy) is None
    dtheta = network.dtheta.copy()
    dx = network.backward(dy, input_gradient=True)
    assert dx.shape == X.shape
    assert dx.all()
    np.testing.assert_array_equal(network.dtheta, dtheta)


def test_a_network_without_parameters():
    network = Network([Flatten(), Flatten()], (2, 4))
    y = network.forward(X)
    assert network.theta.size == 0
    assert network.backward(y) is None
    np.testing.assert_array_equal(network.backward(y, input_gradient=True), X)


def test_predict_in_batches_equals_one_forward_pass(device):
    """Of other examples each time: y of the last call may still be in memory."""
    network = small(dtype="float64", device=device)
    for batch_size in (1, 3, 7, 1000):
        drawn = np.random.default_rng(batch_size).standard_normal(X.shape).astype(np.float32)
        whole = to_numpy(network.forward(device.asarray(drawn.astype(float)))).copy()
        for x in (drawn, drawn.astype(float), device.asarray(drawn)):
            y = network.predict(x, batch_size)
            assert type(y) is np.ndarray
            assert y.dtype == np.float64
            np.testing.assert_allclose(y, whole, rtol=1e-12, atol=1e-15)
            y[:] = np.nan


# -- names, summary, errors -------------------------------------------------------------------


def test_names_and_access():
    network = small()
    assert [layer.name for layer in network.layers] == [
        "flatten_1",
        "dense_1",
        "dropout_1",
        "dense_2",
    ]
    assert network["dense_2"] is network.layers[3]
    with pytest.raises(KeyError, match=r"one of flatten_1, dense_1, dropout_1, dense_2, got 'fc'"):
        network["fc"]
    assert repr(Network([Dense(2, 2)], 2)) == "Network(Dense(2 -> 2))"


def test_summary():
    assert small(dtype="float64").summary() == (
        "name       layer                output     parameters\n"
        "-----------------------------------------------------\n"
        "input                           (N, 2, 4)\n"
        "flatten_1  Flatten()            (N, 8)              0\n"
        "dense_1    Dense(8 -> 5, tanh)  (N, 5)             45\n"
        "dropout_1  Dropout(0.5)         (N, 5)              0\n"
        "dense_2    Dense(5 -> 3)        (N, 3)             18\n"
        "-----------------------------------------------------\n"
        "63 parameters, float64, on cpu"
    )
    assert "1,049,600" in Network([Dense(1024, 1024)], 1024).summary()


def test_layers_may_be_given_by_name():
    head = Dense(3, 2)
    inner = Sequential({"first": Dense(4, 3, "tanh"), "second": Dense(3, 3)})
    network = Network({"body": inner, "relu": ActivationLayer("relu"), "head": head}, 4)
    assert network["body.first"].W.shape == (4, 3)
    assert network["head"] is head
    names = [layer.name for layer in network.walk()]
    assert names == ["body.first", "body.second", "body", "relu", "head"]
    with pytest.raises(
        ValueError, match=r"Network: head, Dense\(3 -> 2\), already belongs to a network"
    ):
        Network({"last": head}, 3)
    assert head.name == "head"


def test_the_summary_goes_as_deep_as_asked():
    block = Residual({"dense": Dense(4, 4)})
    network = Network({"stage": Sequential({"block": block}), "head": Dense(4, 2)}, 4)

    def names(**options):
        return [line.split()[0] for line in network.summary(**options).splitlines()[3:-2]]

    assert names(depth=1) == ["stage", "head"]
    assert names(depth=2) == ["stage", "stage.block", "head"]
    assert names() == names(depth=3) == ["stage", "stage.block", "stage.block.dense", "head"]
    assert [layer.name for layer, _ in network.with_shapes(depth=1)] == ["stage", "head"]
    assert "stage              1 layer " in network.summary()


def test_with_many_layers_the_error_lists_the_closest_names():
    network = Network({f"layer_{i}": Dense(1, 1) for i in range(1, 100)}, 1)
    with pytest.raises(KeyError) as refused:
        network["layer_100"]
    message = refused.value.args[0]
    assert "layer_10, " in message
    assert message.count(",") == 10
    assert message.endswith("got 'layer_100'")


def namesakes():
    layers = [Dense(2, 2), Dense(2, 2)]
    for layer in layers:
        layer.name = "a"
    return layers


MISFITS = [  # what refusals.md does not show: layers, input shape, the error
    (namesakes(), 2, "different names, got 'a' twice"),
    ({1: Dense(2, 2)}, 2, "without a dot, got 1"),
    ({}, 2, "at least one layer, got none"),
    (
        [Dense(3072, 5)],
        (3, 32, 32),
        "layer dense_1 does not fit: Dense(3072 -> 5): expected input (N, 3072), "
        "got (N, 3, 32, 32); put a Flatten layer before it",
    ),
    ([Dense(4, 5), Dense(6, 2)], 4, "got (N, 5); is n_in that of the layer before?"),
]


def test_layers_that_do_not_fit_are_refused():
    for layers, shape, message in MISFITS:
        with pytest.raises(ValueError, match=re.escape(message)):
            Network(layers, shape)


def test_x_of_another_shape_type_or_device_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"\(N, 2, 4\) with N of at least 1, got \(7, 8\)"):
        small().forward(X.reshape(7, 8))
    with pytest.raises(TypeError, match="x of type float32, got float64"):
        small().forward(X.astype(float))
    pretended_cupy.install(monkeypatch)
    with pytest.raises(TypeError, match="expected x to be a cupy array"):
        small(device="cuda").forward(X)


# -- weights on disk --------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    network = small(rng=1)
    network.save(tmp_path / "weights.npz")
    return network, tmp_path / "weights.npz"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_round_trip_keeps_every_bit(dtype, device, tmp_path):
    network = small(rng=1, dtype=dtype, device=device)
    network.theta[0] = np.nextafter(np.dtype(dtype).type(1), np.dtype(dtype).type(2))
    network.save(tmp_path / "w.npz")
    other = small(rng=2, dtype=dtype)
    other.load(str(tmp_path / "w.npz"))
    assert to_numpy(network.theta).tobytes() == other.theta.tobytes()
    assert np.shares_memory(other["dense_1"].W, other.theta)
    network.theta[...] = 0
    network.load(tmp_path / "w.npz")
    assert to_numpy(network.theta).tobytes() == other.theta.tobytes()
    assert os.listdir(tmp_path) == ["w.npz"]


def test_a_file_is_read_in_another_type_and_without_minidl(saved):
    network, path = saved
    double = small(rng=2, dtype="float64")
    double.load(path)
    np.testing.assert_array_equal(double.theta, network.theta.astype(float))
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["dense_1.W"], network["dense_1"].W)
        manifest = json.loads(str(file["manifest"]))
    assert manifest["layers"][1] == ["dense_1", "Dense(8 -> 5, tanh)", {"W": [8, 5], "b": [5]}]


def refused(path, message=None, kind=WeightsError, network=None):
    """Loading raises an error that names the file, and changes nothing."""
    network = small(rng=2) if network is None else network
    before = network.theta.tobytes()
    with pytest.raises(kind, match=message) as caught:
        network.load(path)
    if kind is WeightsError:
        assert str(caught.value).startswith(f"{path}: ")
    assert network.theta.tobytes() == before


def test_weights_of_another_network_are_refused_and_both_are_shown(saved):
    _, path = saved
    refused(
        path,
        r"another network\n  expected .*dense_2: Dense\(5 -> 4\)\n  got .*dense_2: Dense\(5 -> 3\)",
        network=small(n_out=4),
    )
    refused(path, "another network", network=Network([Flatten(), Dense(8, 5, "tanh")], (2, 4)))
    relu = [Flatten(), Dense(8, 5, "relu"), Dropout(0.5), Dense(5, 3)]
    refused(path, r"Dense\(8 -> 5, relu\)", network=Network(relu, (2, 4)))


def test_a_damaged_file_is_refused(saved):
    """tests/storage flips and cuts every part of such a file; ``campaigns/fuzz.py`` every byte."""
    network, path = saved
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(network["dense_1"].W.tobytes())] ^= 1
    for damaged in (b"", b"hello\n", b"\x80\x04N.", whole[: len(whole) // 2], whole[:-1], flipped):
        path.write_bytes(damaged)
        refused(path, "expected a complete weights file, as Network.save writes it: ")


def npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def contents(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def manifest_with(arrays, **changes):
    return np.array(json.dumps(json.loads(str(arrays["manifest"])) | changes))


class Trap:
    """Unpickled, it would write a file."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


def _object_array():
    held = np.empty((8, 5), object)
    held[...] = Trap()
    return held


WRONG_ARRAYS = {
    "a missing array": lambda p: {"dense_2.b": None},
    "an array too many": lambda p: {"dense_3.b": np.zeros(3, np.float32)},
    "no manifest": lambda p: {"manifest": None},
    "another shape": lambda p: {"dense_1.W": np.zeros((5, 8), np.float32)},
    "integers": lambda p: {"dense_1.W": np.zeros((8, 5), int)},
    "complex numbers": lambda p: {"dense_1.W": np.zeros((8, 5), complex)},
    "pickled objects": lambda p: {"dense_1.W": _object_array()},
    "a pickled manifest": lambda p: {"manifest": _object_array()},
    "a manifest that is not JSON": lambda p: {"manifest": np.array("{")},
    "a manifest that is a list": lambda p: {"manifest": np.array("[]")},
    "another format": lambda p: {"manifest": manifest_with(p, format="keras")},
    "layers of another kind": lambda p: {"manifest": manifest_with(p, layers=7)},
    "layers without shapes": lambda p: {"manifest": manifest_with(p, layers=[["a"]])},
    "version 2": lambda p: {"manifest": manifest_with(p, version=2)},
    "version '1'": lambda p: {"manifest": manifest_with(p, version="1")},
    "deep nesting": lambda p: {"manifest": np.array("[" * 100_000 + "]" * 100_000)},
}
WRONG_ARRAYS_SAY = {
    "version 2": "expected format version 1, got 2; a newer minidl wrote it",
    "version '1'": "expected format version 1, got '1'",
    "deep nesting": "expected a manifest in JSON",
}


def test_a_file_with_other_arrays_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, path = saved
    whole = contents(path)
    for name, change in WRONG_ARRAYS.items():
        npz(path, **{key: a for key, a in (whole | change(whole)).items() if a is not None})
        refused(path, WRONG_ARRAYS_SAY.get(name))
        assert not (tmp_path / "unpickled").exists(), name


def test_no_file_and_a_folder(tmp_path):
    refused(tmp_path / "none.npz", "none.npz", FileNotFoundError)
    refused(tmp_path, "expected a plain file, got a folder")


def test_a_hostile_manifest_cannot_control_the_terminal(saved):
    _, path = saved
    layers = [["a", "\x1b]0;x\x07\u202e\n" * 10_000, {}]]
    whole = contents(path)
    npz(path, **(whole | {"manifest": manifest_with(whole, layers=layers)}))
    with pytest.raises(WeightsError, match="holds the weights of another network") as caught:
        small().load(path)
    *_, line = str(caught.value).split("\n")
    assert line.startswith(r"  got      a: \x1b]0;x\x07\u202e\n")
    assert line.isprintable()
    assert len(line) < 10_000


def test_numbers_are_no_tokens_even_in_the_type_of_the_network():
    network = Network([Embedding(5, 4), FirstToken(), Dense(4, 3)], (3,))
    with pytest.raises(ValueError, match="expected x to be an array of integers, got float32"):
        network.forward(np.ones((2, 3), np.float32))


def test_a_single_number_is_no_batch():
    for network in (Network([Dense(3, 2)], 3), Network([Embedding(5, 4), FirstToken()], (3,))):
        with pytest.raises(ValueError, match=r"Network: expected input \(N, 3\).*, got \(\)"):
            network.forward(np.ones((), np.float32))
