"""Theory against networks: mean squares, weight gradients, convolution, BatchNorm, shortcuts."""

from __future__ import annotations

import math
from itertools import chain, pairwise

import numpy as np
import pytest

from minidl import (
    ActivationLayer,
    BatchNorm,
    BinaryCrossEntropy,
    Conv2D,
    Dense,
    Flatten,
    MeanSquaredError,
    Network,
    Residual,
    SoftmaxCrossEntropy,
)
from minidl.propagation import (
    MeanField,
    batch_norm_factor,
    critical,
    measured,
    predicted,
    residual_growth,
)

N = 16
X = np.random.default_rng(0).random((N, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(N) % 10


def network(f, width=256, depth=4, weights="glorot_uniform", biases="zeros", rng=0, C=10):
    hidden = [Dense(width, width, f, weights, biases) for _ in range(depth - 1)]
    first, last = Dense(64, width, f, weights, biases), Dense(width, C)
    return Network([Flatten(), first, *hidden, last], (1, 8, 8), rng)


# -- χ ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "start", "sigma_w2"),
    [
        ("sigmoid", "glorot_uniform", 1),
        ("relu", "he_normal", 2),
        ("tanh", "lecun_normal", 1),
        ("gelu", "critical", None),
    ],
)
def test_the_measured_factor_is_chi(f, start, sigma_w2):
    """E dz² of a layer over that of the next one, and χ from theory at the measured E z²."""
    both = critical(f) if start == "critical" else (start, "zeros")
    logs = []
    for seed in range(4):
        net = network(f, 256, 6, *both, rng=seed)
        net.forward(X)
        layers = net.layers[1:-1]
        dy = np.random.default_rng(seed).standard_normal((N, 10)).astype(np.float32)
        net.backward(dy)
        for one, behind in pairwise(layers):
            field = MeanField(f, sigma_w2 or 256 * float((behind.W**2).mean()))
            expected = field.chis((one.z.astype(float) ** 2).mean(axis=1)).mean()
            logs.append(math.log((one.dz**2).mean() / (behind.dz**2).mean() / expected))
    assert abs(np.mean(logs)) < 0.03


@pytest.mark.parametrize(
    "sigma_w2", [1.76, *(pytest.param(s, marks=pytest.mark.slow) for s in (1.0, 4.0))]
)
def test_the_gradient_by_depth_is_that_of_the_paper(sigma_w2):
    """Schoenholz et al., figure 4: tanh, 300 units, σ_b² = 0.05; a straight line on a log scale.

    It falls below σ_w² = 1.76, is level there and rises beyond, with the slope log χ.
    """
    start = [lambda rng, shape, n_in, n_out: rng.normal(0, math.sqrt(sigma_w2 / 300), shape)]
    start.append(lambda rng, shape, n_in, n_out: rng.normal(0, math.sqrt(0.05), shape))
    net = Network([Dense(300, 300, "tanh", *start) for _ in range(60)], 300, rng=2)
    rng = np.random.default_rng(0)
    net.forward(rng.standard_normal((N, 300)).astype(np.float32))
    net.backward(rng.standard_normal((N, 300)).astype(np.float32))
    logs = [math.log((layer.dz.astype(float) ** 2).mean()) for layer in net.layers[10:]]
    slope = -np.polyfit(np.arange(50), logs, 1)[0]
    (point,) = MeanField("tanh", sigma_w2, 0.05).fixed_points()
    assert slope == pytest.approx(math.log(point.chi), abs=0.03)
    assert (abs(slope) < 0.03) == (sigma_w2 == 1.76)


def test_the_numbers_of_the_published_study():
    """With Glorot weights a sigmoid layer lets 5.6% of the squared gradient through, ReLU 50%."""
    assert MeanField("relu", 1.0).chi(1.0) == pytest.approx(0.5, rel=1e-12)
    (point,) = MeanField("sigmoid", 1.0).fixed_points()
    assert point.chi == pytest.approx(0.0557, abs=5e-5)


# -- layer by layer ---------------------------------------------------------------------------

CASES = {
    "tanh with biases": (
        lambda seed: network("tanh", weights="lecun_normal", biases="glorot_normal", rng=seed),
        SoftmaxCrossEntropy(),
        LABELS,
    ),
    "of unequal widths": (
        lambda seed: Network(
            [Flatten(), Dense(64, 300, "gelu"), Dense(300, 600, "tanh"), Dense(600, 20)],
            (1, 8, 8),
            seed,
        ),
        MeanSquaredError(),
        np.random.default_rng(1).standard_normal((N, 20)).astype(np.float32),
    ),
    "one layer, an activation at the end": (
        lambda seed: Network([Flatten(), Dense(64, 300, "tanh")], (1, 8, 8), seed),
        BinaryCrossEntropy(),
        np.random.default_rng(1).random((N, 300)).astype(np.float32),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_as_predicted(name):
    """The mean over six networks is within what their scatter and 5% allow."""
    make, loss, targets = CASES[name]
    reduction = "sum" if name == "tanh with biases" else "mean"
    ratios = []
    for seed in range(6):
        net = make(seed)
        theory = predicted(net, loss, X, targets, reduction, rng=seed)
        found = measured(net, loss, X, targets, reduction)
        assert [row.layer for row in theory] == [row.layer for row in found]
        ratios.append(
            [
                (m.z2 / p.z2, m.dz2 / p.dz2, m.mean_abs_dW / p.mean_abs_dW)
                for p, m in zip(theory, found, strict=True)
            ]
        )
    mean = np.mean(ratios, axis=0)
    error = np.std(ratios, axis=0, ddof=1) / math.sqrt(6)
    assert (np.abs(mean - 1) < 0.05 + 3.5 * error).all()
    assert np.median(np.abs(mean - 1)) < 0.06


def test_a_prediction_depends_only_on_the_mean_squares_of_the_network():
    """Shuffled weights change nothing; the same seed repeats its own draw."""
    net = network("tanh", width=128)
    before = predicted(net, SoftmaxCrossEntropy(), X, LABELS)
    rng = np.random.default_rng(5)
    for layer in net.layers[1:]:
        rng.shuffle(layer.W.reshape(-1))
    after = predicted(net, SoftmaxCrossEntropy(), X, LABELS)
    for a, b in zip(before, after, strict=True):
        assert (a.z2, a.dz2, a.mean_abs_dW) == pytest.approx((b.z2, b.dz2, b.mean_abs_dW), rel=1e-5)


def test_no_gradient_passes_a_binary_step():
    net = network("binary_step", width=32, depth=2)
    theory = predicted(net, SoftmaxCrossEntropy(), X, LABELS)
    found = measured(net, SoftmaxCrossEntropy(), X, LABELS)
    for row in (*theory[:2], *found[:2]):
        assert row.dz2 == row.mean_abs_dW == 0
    assert min(theory[2].dz2, found[2].dz2) > 0


def test_what_is_refused():
    for layers, message in (
        ([Flatten(), BatchNorm(64), Dense(64, 10)], "of Flatten and Dense layers, got BatchNorm"),
        ([Flatten(), Dense(64, 64, "softmax"), Dense(64, 10)], "a function of one number"),
    ):
        with pytest.raises(ValueError, match=message):
            predicted(Network(layers, (1, 8, 8)), SoftmaxCrossEntropy(), X, LABELS)
    with pytest.raises(ValueError, match="measured: expected network of the class Network"):
        measured(Dense(3, 2), SoftmaxCrossEntropy(), X, LABELS)
    with pytest.raises(ValueError, match="labels from 0 to 9, got 0 to 10"):
        predicted(network("relu", 8), SoftmaxCrossEntropy(), X, np.append(LABELS[:-1], 10))
    with pytest.raises(ValueError, match="predicted: expected rng"):
        predicted(network("relu", 8), SoftmaxCrossEntropy(), X, LABELS, rng=None)


# -- convolution ------------------------------------------------------------------------------


def test_a_convolution_is_a_layer_with_the_fan_in_of_its_kernel():
    """σ_w² = k² C Var W; a gradient that starts in the middle does not reach the edge."""
    for f, sigma_w2 in (("relu", 2.0), ("tanh", 1.0)):
        ratios = []
        for seed in range(6):
            conv = [
                Conv2D(48, 48, 3, padding=1, activation=f, weights=f"{start}_normal")
                for start in ["he" if f == "relu" else "lecun"] * 3
            ]
            net = Network(conv, (48, 9, 9), seed)
            rng = np.random.default_rng(seed)
            y = net.forward(rng.standard_normal((8, 48, 9, 9)).astype(np.float32))
            dy = np.zeros_like(y)
            dy[:, :, 4, 4] = rng.standard_normal((8, 48))
            net.backward(dy)
            middle = conv[1].z[:, :, 3:6, 3:6]
            chi = MeanField(f, sigma_w2).chi(float((middle**2).mean()))
            ratios.append((conv[1].dz ** 2).sum() / (conv[2].dz ** 2).sum() / chi)
        assert np.mean(ratios) == pytest.approx(1, abs=0.05)


# -- BatchNorm --------------------------------------------------------------------------------


def test_batch_norm_makes_every_gradient_grow_except_for_linear():
    """Poincaré's inequality."""
    assert batch_norm_factor("linear") == pytest.approx(1, rel=1e-12)
    assert batch_norm_factor("relu") == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)
    for f in ("tanh", "sigmoid", "gelu", "hard_swish"):
        assert batch_norm_factor(f) > 1.001, f


@pytest.mark.parametrize(("f", "weights"), [("relu", "he_normal"), ("tanh", "glorot_normal")])
def test_the_measured_growth_with_batch_norm_does_not_depend_on_the_weights(f, weights):
    width, batch, depth = 256, 256, 8
    growth = []
    for seed in range(2):
        rows = [
            [Dense(width, width, weights=weights), BatchNorm(width), ActivationLayer(f)]
            for _ in range(depth)
        ]
        net = Network(list(chain(*rows)), width, seed)
        rng = np.random.default_rng(seed)
        net.forward(rng.standard_normal((batch, width)).astype(np.float32), training=True)
        net.backward(rng.standard_normal((batch, width)).astype(np.float32))
        first, last = ((rows[i][0].dz ** 2).mean() for i in (2, -1))
        growth.append((first / last) ** (1 / (depth - 3)))
    assert np.mean(growth) == pytest.approx(batch_norm_factor(f), rel=0.03)


def test_with_shortcuts_the_growth_is_a_power_of_the_depth():
    width, blocks = 256, 24
    net = Network(
        [
            Residual(
                [
                    BatchNorm(width),
                    ActivationLayer("relu"),
                    Dense(width, width, weights="he_normal"),
                ]
            )
            for _ in range(blocks)
        ],
        width,
        rng=0,
    )
    rng = np.random.default_rng(0)
    # A block adds σ_w² Var f = 2 (½ − 1/2π) to the variance, which starts at the same value.
    x = rng.normal(0, math.sqrt(1 - 1 / math.pi), (256, width)).astype(np.float32)
    net.forward(x, training=True)
    dy = rng.standard_normal((256, width)).astype(np.float32)
    dx = net.backward(dy, input_gradient=True)
    theory = residual_growth("relu", blocks)
    assert (dx**2).mean() / (dy**2).mean() == pytest.approx(theory[0], rel=0.15)
    assert theory[-1] == 1
    assert theory[0] / residual_growth("relu", blocks // 2)[0] == pytest.approx(
        2 ** batch_norm_factor("relu"), rel=0.1
    )
    assert theory[0] < 200 < batch_norm_factor("relu") ** blocks


def test_what_the_batch_norm_functions_refuse():
    for call, message in (
        (lambda: batch_norm_factor("softmax"), "batch_norm_factor: expected a function of one"),
        (lambda: residual_growth("relu", 0), "residual_growth: expected blocks"),
        (lambda: residual_growth("relu", 3, start=0), "expected start above 0, got 0"),
        (lambda: batch_norm_factor((np.ones_like, np.zeros_like)), "got ones_like, a constant"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
