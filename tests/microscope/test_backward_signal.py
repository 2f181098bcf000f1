"""The norms of the backward signal, compared with PyTorch's, and the factors between them."""

from __future__ import annotations

import json
import math

import make_microscope
import numpy as np
import pytest

from minidl import (
    ActivationLayer,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Network,
    Residual,
    SoftmaxCrossEntropy,
)
from minidl.microscope.backward_signal import SignalNorm, backward_signal, factors

ARRAYS = make_microscope.arrays()
GOLDEN = json.loads(make_microscope.PLACE.read_text("utf-8"))


def dense() -> Network:
    layers = [Dense(12, 8, "sigmoid"), Dense(8, 8, "sigmoid"), Dense(8, 5)]
    network = Network(layers, 12, dtype="float64")
    for i, layer in enumerate(network.layers):
        layer.W[...], layer.b[...] = ARRAYS[f"W{i}"], ARRAYS[f"b{i}"]
    return network


def convolution() -> Network:
    layers = [Conv2D(2, 3, 3, activation="tanh"), MaxPool2D(2), Flatten(), Dense(12, 5)]
    network = Network(layers, (2, 6, 6), dtype="float64")
    kernel, out = network["conv2d_1"], network["dense_1"]
    kernel.W[...], kernel.b[...] = ARRAYS["kernel"], ARRAYS["kernel b"]
    out.W[...], out.b[...] = ARRAYS["out"], ARRAYS["out b"]
    return network


NETWORKS = {"dense": (dense, "x"), "convolution": (convolution, "images")}


def signal_of(network: Network, x: np.ndarray) -> list[SignalNorm]:
    labels = ARRAYS["labels"] % network.shapes[-1][0]
    _, dlogits = SoftmaxCrossEntropy()(network.forward(x), labels, "sum")
    return backward_signal(network, dlogits)


@pytest.mark.parametrize("name", NETWORKS)
def test_norms_are_those_of_pytorch_and_their_ratios_the_factors(name):
    build, x = NETWORKS[name]
    stops = signal_of(build(), ARRAYS[x])
    assert math.prod(factors(stops)) == pytest.approx(stops[-1].norm / stops[0].norm, rel=1e-14)
    norms = {stop.array: stop.norm for stop in stops}
    last = next(iter(norms))  # y of the last layer, which is linear: its z, too
    assert norms.pop(last) == pytest.approx(GOLDEN[name][last.replace(".y", ".z")], rel=1e-12)
    assert norms == pytest.approx(GOLDEN[name], rel=1e-12)


def test_each_factor_is_what_its_layer_multiplies_the_signal_by():
    """f': the slopes' root mean square, weighted with the signal; W: between its singular values.

    Both are worked out from z and W alone, and their product is the signal that is left.
    """
    network = dense()
    stops = signal_of(network, ARRAYS["x"])
    found = dict(zip([(s.through, s.layer) for s in stops[1:]], factors(stops), strict=True))
    _, dy = SoftmaxCrossEntropy()(network.forward(ARRAYS["x"]), ARRAYS["labels"], "sum")
    product, start = 1.0, np.linalg.norm(dy)
    for layer in reversed(network.layers):
        y = 1 / (1 + np.exp(-layer.z))
        slopes = np.ones_like(y) if layer.activation.name == "linear" else y * (1 - y)
        by_slopes = math.sqrt(np.average(slopes**2, weights=dy**2))
        assert found["slope", layer.name] == pytest.approx(by_slopes, rel=1e-12)
        assert by_slopes <= layer.activation.max_slope
        dz = dy * slopes
        product *= by_slopes
        if layer is not network.layers[0]:
            dy = dz @ layer.W.T
            by_weights = np.linalg.norm(dy) / np.linalg.norm(dz)
            assert found["weights", layer.name] == pytest.approx(by_weights, rel=1e-12)
            assert by_weights <= np.linalg.norm(layer.W, 2) * (1 + 1e-12)
            product *= by_weights
    assert stops[0].norm == pytest.approx(start, rel=1e-14)
    assert stops[-1].norm == pytest.approx(start * product, rel=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradients_are_those_of_an_ordinary_backward(name):
    build, x = NETWORKS[name]
    network = build()
    signal_of(network, ARRAYS[x])
    looked = network.dtheta.copy()
    _, dlogits = SoftmaxCrossEntropy()(network.forward(ARRAYS[x]), ARRAYS["labels"], "sum")
    network.dtheta.fill(math.nan)
    network.backward(dlogits)
    assert np.array_equal(looked, network.dtheta)


def test_stops_of_layers_that_cannot_be_taken_apart():
    layers = [
        Flatten(),
        Dropout(0.5),
        Dense(12, 8),
        BatchNorm(8),
        ActivationLayer("relu"),
        Residual([Dense(8, 8, "tanh")]),
        Dense(8, 5, "softmax"),
    ]
    stops = signal_of(Network(layers, (3, 2, 2), dtype="float64"), ARRAYS["x"].reshape(6, 3, 2, 2))
    assert [(stop.array, stop.through, stop.layer) for stop in stops] == [
        ("dense_2.y", "loss", ""),
        ("dense_2.z", "slope", "dense_2"),
        ("residual_1.y", "weights", "dense_2"),
        ("activationlayer_1.y", "layer", "residual_1"),
        ("batchnorm_1.y", "slope", "activationlayer_1"),
        ("dense_1.y", "layer", "batchnorm_1"),
        ("dense_1.z", "slope", "dense_1"),  # where its dW is made; further down nothing learns
    ]


def test_a_signal_that_has_died_out_has_no_factors():
    network = Network([Dense(12, 8, "relu"), Dense(8, 8, "relu"), Dense(8, 5)], 12, dtype="float64")
    network["dense_2"].b[...] = -100
    stops = signal_of(network, ARRAYS["x"])
    assert [stop.norm > 0 for stop in stops] == [True, True, True, False, False, False]
    assert factors(stops)[2] == 0
    assert all(map(math.isnan, factors(stops)[3:]))


def test_on_every_device_the_same(device):
    def stops_on(place):
        network = Network([Dense(12, 8, "sigmoid"), Dense(8, 5)], 12, dtype="float64", device=place)
        x, labels = (network.device.asarray(ARRAYS[name]) for name in ("x", "labels"))
        _, dlogits = SoftmaxCrossEntropy()(network.forward(x), labels, "sum")
        return [(stop.array, stop.norm) for stop in backward_signal(network, dlogits)]

    assert dict(stops_on(device)) == pytest.approx(dict(stops_on("cpu")), rel=1e-12)
