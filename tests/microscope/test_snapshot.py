"""What a snapshot holds, compared with the arrays themselves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minidl import (
    Adam,
    Conv2D,
    Dense,
    Examples,
    Flatten,
    MaxPool2D,
    Network,
    Residual,
    SoftmaxCrossEntropy,
    probe,
    train,
)
from minidl.layers import Layer
from minidl.microscope.snapshot import (
    CURVE,
    GRADIENT_EDGES,
    UNITS,
    WEIGHTS,
    Z_EDGES,
    LayerSnapshot,
    Snapshot,
    counts,
    picture,
    spread_out,
    take_snapshot,
    value_edges,
)
from minidl.propagation import layer_factors

RNG = np.random.default_rng(5)
X = RNG.random((10, 3, 6, 6))
LABELS = RNG.integers(0, 4, 10)


def images(*layers: Layer, device="cpu", dtype="float64") -> Network:
    return Network([*layers], (3, 6, 6), dtype=dtype, device=device)


def dense(device="cpu", activation="sigmoid", dtype="float64") -> Network:
    hidden = Dense(108, 20, activation)
    return images(Flatten(), hidden, Dense(20, 4), device=device, dtype=dtype)


def convolution(device="cpu") -> Network:
    conv = Conv2D(3, 5, 3, activation="relu")
    return images(conv, MaxPool2D(2), Flatten(), Dense(20, 4), device=device)


def seen(network: Network) -> Snapshot:
    device = network.device
    x = device.asarray(X, network.dtype)
    return take_snapshot(network, SoftmaxCrossEntropy(), x, device.asarray(LABELS), epoch=3)


def test_loss_and_gradients_are_those_of_a_probe_of_the_summed_loss():
    network = dense()
    snapshot = seen(network)
    probed = probe(network, SoftmaxCrossEntropy(), X, LABELS, "sum")
    assert (snapshot.epoch, snapshot.examples, snapshot.loss) == (3, 10, probed.loss)
    assert [layer.name for layer in snapshot.layers] == ["dense_1", "dense_2"]
    means = [layer.gradient.mean() for layer in snapshot.layers]
    assert means == pytest.approx(probed.mean_abs(), rel=1e-6)


def test_the_signal_has_the_factors_that_theory_says():
    network = dense()
    known = layer_factors(network, X)
    assert [stop.predicted for stop in seen(network).signal] == [
        *(None, known["dense_2"].slope, known["dense_2"].weights, known["dense_1"].slope)
    ]
    said = [stop.predicted is not None for stop in seen(convolution()).signal]
    assert said == [False, False, True, False, False, False]  # of the weights of dense_1


def test_a_dense_layer_on_images_has_pictures_of_their_shape():
    network = dense()
    layer = seen(network).layers[0]
    assert (layer.units, layer.shape) == (20, (3, 6, 6))
    assert layer.text == "Dense(108 -> 20, sigmoid)"
    assert layer.shown.tolist() == np.linspace(0, 19, 16).round().tolist()
    for row, unit in enumerate(layer.shown):
        for levels, scale, v in (
            (layer.W, layer.W_scale, network["dense_1"].W),
            (layer.dW, layer.dW_scale, network["dense_1"].dW),
        ):
            v = v[:, unit].reshape(3, 6, 6)
            assert np.abs(levels[row] * scale[row] - v).max() <= scale[row] * 0.5001
            assert np.abs(levels[row]).max() == 127
            assert np.abs(v).max() == pytest.approx(127 * scale[row], rel=1e-6)


def test_a_convolution_has_its_kernels_and_the_layer_after_flatten_maps():
    network = convolution()
    conv, out = seen(network).layers
    assert (conv.units, conv.shape) == (5, (3, 3, 3))
    assert (out.units, out.shape) == (4, (5, 2, 2))
    kernels = network["conv2d_1"].W
    assert np.abs(conv.W * conv.W_scale[:, None, None, None] - kernels).max() < 0.005
    assert conv.b.tolist() == network["conv2d_1"].b.tolist()
    assert conv.db == pytest.approx(network["conv2d_1"].db, rel=1e-6)
    maps = network["dense_1"].W.T.reshape(4, 5, 2, 2)
    assert np.abs(out.W * out.W_scale[:, None, None, None] - maps).max() < 0.01


@pytest.mark.parametrize("build", [dense, convolution])
def test_counts_are_how_many_values_lie_between_the_edges(build):
    network = build()
    snapshot = seen(network)
    for kept, layer in zip(snapshot.layers, [n for n in network.layers if n.size], strict=True):
        z, y = np.moveaxis(layer.z, 1, 0), np.moveaxis(layer.y, 1, 0)
        dW = np.abs(layer.dW if isinstance(layer, Conv2D) else layer.dW.T)
        for found, values, edges in (
            (kept.z_counts, z, Z_EDGES),
            (kept.y_counts, y, kept.y_edges),
            (kept.dW_counts, dW, GRADIENT_EDGES),
        ):
            assert found[0].sum() == values.size
            for row, unit in zip(found[1:], kept.shown, strict=True):
                v, pairs = values[unit], list(itertools.pairwise(edges))
                assert row.tolist() == [((low <= v) & (v < high)).sum() for low, high in pairs]


def test_edges_are_those_of_the_functions_range():
    assert value_edges(0, 1)[[0, 1, -2, -1]].tolist() == [-math.inf, 0, 1, math.inf]
    assert value_edges(0, math.inf)[[1, 2, -2]].tolist() == [0, 0.25, 10]
    assert Z_EDGES[[0, 1, 2, -2, -1]].tolist() == [-math.inf, -10, -9.5, 10, math.inf]
    assert GRADIENT_EDGES[[0, 1, -2, -1]] == pytest.approx([0, 1e-10, 100, math.inf])
    assert len(Z_EDGES) == len(GRADIENT_EDGES) == 43


def test_slopes_and_curves_are_those_of_the_function():
    layer = seen(dense()).layers[0]
    y, slope = layer.curve
    assert y == pytest.approx(1 / (1 + np.exp(-CURVE)), rel=1e-6)
    assert slope[1:-1] == pytest.approx(np.gradient(y.astype(float), CURVE)[1:-1], abs=1e-3)
    network = dense()
    kept = seen(network).layers[0]
    y = network["dense_1"].y
    assert kept.slope == pytest.approx((y * (1 - y)).mean(axis=0), rel=1e-6)


def test_softmax_inside_the_network_has_neither_slopes_nor_a_curve():
    layer = seen(images(Flatten(), Dense(108, 4, "softmax"))).layers[0]
    assert np.isnan(layer.slope).all()
    assert np.isnan(layer.curve).all()
    assert layer.z_counts[0].sum() == 40


def test_layers_inside_of_layers_are_seen():
    layers = [Flatten(), Dense(108, 6), Residual([Dense(6, 6, "tanh")]), Dense(6, 4)]
    names = [layer.name for layer in seen(images(*layers)).layers]
    assert names == ["dense_1", "residual_1.branch.dense_1", "dense_2"]


def test_a_convolution_without_bias_is_seen_with_a_bias_of_zero():
    layer = seen(images(Conv2D(3, 5, 3, biases=None), Flatten(), Dense(80, 4))).layers[0]
    assert layer.W.any()
    assert layer.b.tolist() == layer.db.tolist() == [0] * 5


def test_pictures_are_bounded():
    for units, weights, shown in (
        *((512, 3072, 8), (512, 512, 16), (32, 27, 16)),
        *((5, 27, 5), (128, 7200, 3), (2, 10**6, 1)),
    ):
        found = spread_out(units, weights)
        assert len(found) == shown == len(set(found))
        assert (found[0], found[-1]) == (0, units - 1 if shown > 1 else 0)
        assert shown <= UNITS and shown * weights <= max(WEIGHTS, weights)


def test_pictures_of_zeros_and_of_what_is_not_finite():
    levels, scale = picture(np.array([[0.0, 0.0], [1.0, -2.0], [math.inf, 1.0], [math.nan, 1.0]]))
    assert levels.tolist() == [[0, 0], [64, -127], [0, 0], [0, 0]]
    assert scale[:3].tolist() == [0, np.float32(2 / 127), math.inf]
    assert math.isnan(scale[3])


def test_a_network_that_is_not_finite_can_be_recorded():
    network = dense(activation="relu", dtype="float32")
    network["dense_1"].W[0, 0] = math.inf
    network["dense_1"].W[0, 1] = math.nan
    with np.errstate(all="ignore"):
        snapshot = seen(network)
    assert math.isnan(snapshot.loss)


def test_counts_of_all_units_take_those_in_that_are_not_shown():
    found = counts(np.array([[0.1], [0.2], [20.0]]), np.array([2]), Z_EDGES)
    assert found.sum(axis=1).tolist() == [3, 1]
    assert found[0, -1] == found[1, -1] == 1


def test_a_training_run_that_is_recorded_gives_the_same_bits():
    def weights(recorded: bool) -> np.ndarray:
        examples = Examples((X * 255).astype(np.uint8), LABELS)
        network, loss = dense(dtype="float32"), SoftmaxCrossEntropy()
        for epoch in train(network, examples, loss, Adam(), epochs=3, batch_size=4, progress=False):
            if recorded:
                x, labels = examples.batch(0, 10, network.dtype)
                take_snapshot(network, loss, x, labels, epoch.number)
        return network.theta

    assert np.array_equal(weights(recorded=True), weights(recorded=False))


def test_on_every_device_the_same(device):
    for build in (dense, convolution):
        ours, theirs = seen(build(device)), seen(build())
        for a, b in zip(ours.layers, theirs.layers, strict=True):
            for name in LayerSnapshot.__dataclass_fields__:
                one, other = getattr(a, name), getattr(b, name)
                if isinstance(one, np.ndarray):
                    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-12, err_msg=name)
                else:
                    assert one == other
