"""Residual networks: sizes, names, and every gradient against torchvision's, to ten digits."""

from __future__ import annotations

import json
from itertools import islice

import make_resnet
import numpy as np
import pytest
from make_resnet import (
    MODES,
    PLACE,
    RULES,
    STEPS,
    WHOLE,
    batch,
    batches,
    figures,
    narrow,
    scattered,
)

from minidl import (
    Adam,
    Conv2D,
    Examples,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    assert_gradients,
    train,
)
from minidl.backend import CPU, Device, to_numpy
from minidl.models import resnet18, resnet34, resnet50
from minidl.models.resnet import basic, bottleneck, resnet
from minidl.models.torchvision import torchvision_arrays

GOLDEN = json.loads(PLACE.read_text("utf-8"))
CASES = pytest.mark.parametrize(("name", "mode"), [(n, m) for n in WHOLE for m in MODES])


# -- sizes and names --------------------------------------------------------------------------


PUBLISHED = [
    (lambda: resnet50(1000), 25_557_032),
    (lambda: resnet50(10, **WHOLE["CIFAR-10"]), 23_520_842),
    (lambda: resnet50(10, **WHOLE["MNIST"]), 23_522_250),
    (lambda: resnet34(1000), 21_797_672),
    (lambda: resnet18(1000), 11_689_512),
]


def test_as_many_parameters_as_torchvision_has(monkeypatch):
    monkeypatch.setattr(Sequential, "initialize", lambda chain, rng: None)  # no number is drawn
    for make, size in PUBLISHED:
        network = make()
        assert network.theta.size == size
        if any("conv_3" in layer.name for layer in network.walk()):
            assert len(list(network.parameters())) == 161
            assert sum(len(layer.state_shapes()) for layer in network.walk()) == 106


def small(make=resnet50, **options):
    return make(10, **{"width": 1 / 64, "size": 16, **options})


def test_layers_are_found_by_name():
    network = small()
    assert network["stage_3.block_2.conv_1"].dW.shape == (4, 16, 1, 1)
    assert network["stage_3.block_1.conv_2"].windows.stride == (2, 2)
    assert network["stage_3.block_1.shortcut.conv"].W.shape == (16, 8, 1, 1)
    assert network["stage_1.block_1.shortcut.conv"].windows.stride == (1, 1)
    assert network["stage_3.block_2"].shortcut is None
    assert network["stage_3"].layers[1] is network["stage_3.block_2"]
    assert network["stem.conv"].W.shape == (1, 3, 7, 7)
    assert network["head"].W.shape == (32, 10)
    assert not any(isinstance(layer, Conv2D) and layer.has_bias for layer in network.walk())
    with pytest.raises(
        KeyError, match=r"expected one of .*stage_3\.block_6.*, got 'stage_3.block_7'"
    ):
        network["stage_3.block_7"]


def test_it_is_trained_saved_and_loaded_like_any_network(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), np.uint8)
    network, examples = small(resnet18), Examples(images, np.arange(20) % 10)
    before = network.state.copy()
    epochs = train(
        network, examples, SoftmaxCrossEntropy(), Adam(), epochs=2, batch_size=10, progress=False
    )
    assert all(np.isfinite(epoch.train_loss) for epoch in epochs)
    assert (network.state != before).all()
    network.save(tmp_path / "w.npz")
    other = small(resnet18, rng=1)
    other.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(other.predict(images / 255), network.predict(images / 255))
    with np.load(tmp_path / "w.npz") as file:
        assert file["stage_2.block_1.shortcut.norm.running_mean"].shape == (2,)


def test_the_summary_fits_on_a_screen():
    lines = small().summary(depth=2).splitlines()
    assert len(lines) <= 36
    assert max(map(len, lines)) <= 110
    names = [line.split()[0] for line in lines[3:-2]]
    assert names[:5] == ["stem", "stem.conv", "stem.norm", "stem.activation", "stem.pool"]
    assert names[5:9] == ["stage_1", *(f"stage_1.block_{i}" for i in (1, 2, 3))]
    assert names[-2:] == ["pool", "head"]


@pytest.mark.parametrize("make", [resnet18, resnet50])
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_activation_is_exchanged_everywhere_or_in_the_stem(make, everywhere):
    network = small(make, activation="elu", everywhere=everywhere)
    found = {
        layer.name: layer.activation.name
        for layer in network.walk()
        if isinstance(layer, Residual) or layer.name.rpartition(".")[2].startswith("activation")
    }
    assert found.pop("stem.activation") == "elu"
    assert len(found) == (16 if make is resnet18 else 48)
    assert set(found.values()) == {"elu" if everywhere else "relu"}


def test_weights_start_as_in_torchvision():
    network = resnet50(10, size=32, width=0.25, rng=1)
    W = network["stage_4.block_2.conv_2"].W  # (128, 128, 3, 3)
    assert W.std() == pytest.approx(np.sqrt(2 / (128 * 9)), rel=0.01)
    wide = network["stage_4.block_1.conv_3"].W  # (512, 128, 1, 1): fan-out, not fan-in
    assert wide.std() == pytest.approx(np.sqrt(2 / 512), rel=0.02)
    head = network["head"]
    assert np.abs(head.W).max() == pytest.approx(1 / np.sqrt(512), rel=0.01)
    assert head.b.any()
    assert (network["stage_2.block_1.norm_3"].gamma == 1).all()


REFUSED = [
    ({"width": 0.3}, "makes 64 channels an integer, got 0.3, which makes them 19.2"),
    ({"width": -1}, "resnet: expected width above 0, got -1"),
    ({"width": "half"}, "resnet: expected width above 0, got 'half'"),
    ({"everywhere": "no"}, "resnet: expected everywhere to be True or False, got 'no'"),
    ({"stem_kernel": 2.5}, "resnet: expected stem_kernel to be an integer >= 1, got 2.5"),
    ({"size": 0}, "each size of input_shape to be an integer >= 1, got 0"),
    ({"activation": "softmax"}, "Residual: expected an element-wise activation, got softmax"),
]


def test_what_is_refused():
    for options, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            small(resnet18, **options)


# -- the same numbers as torchvision ----------------------------------------------------------


def ours(name: str, mode: str, place: Device = CPU) -> dict[str, np.ndarray]:
    """What make_resnet.of_torchvision returns, but for minidl's network."""
    network = scattered(name, place)
    x, dlogits = map(place.asarray, batch(network))
    logits = network.forward(x, MODES[mode])
    found = {"logits": logits, "dx": network.backward(dlogits, input_gradient=True)}
    running = {n: a.copy() for n, a in torchvision_arrays(network).items() if "running" in n}
    network.theta[...] = network.dtheta  # to find the gradients under the names of their parameters
    gradients = {n: a for n, a in torchvision_arrays(network).items() if "running" not in n}
    found |= {f"d {n}": a for n, a in gradients.items()} | running
    return {n: to_numpy(array) for n, array in found.items()}


def differences(found: dict[str, list[float]], golden: dict[str, list[float]]) -> dict[str, float]:
    """How far norm and projection are from the golden ones, in units of the norm."""
    assert set(found) == set(golden)
    return {
        name: max(abs(a - b) for a, b in zip(found[name], golden[name], strict=True))
        / golden[name][0]
        for name in golden
    }


@pytest.mark.slow
@CASES
def test_norms_and_projections_equal_the_golden_ones(name, mode, place):
    found = differences(figures(ours(name, mode, place)), GOLDEN["arrays"][f"{name}, {mode}"])
    assert len(found) == 2 + 161 + 106
    assert {what: error for what, error in found.items() if not error <= 1e-10} == {}


def test_a_slightly_wrong_gradient_is_noticed():
    arrays = {"d W": np.arange(6.0), "d b": np.ones(4)}
    golden = figures(arrays)
    arrays["d b"] = np.ones(4) + [0, 1e-9, 0, 0]
    wrong = differences(figures(arrays), golden)
    assert wrong["d W"] == 0
    assert wrong["d b"] > 1e-10
    arrays["d W"] = np.arange(6.0)[[0, 1, 2, 4, 3, 5]]  # the same norm
    assert differences(figures(arrays), golden)["d W"] > 1e-2


@pytest.mark.peer
@CASES
def test_every_number_equals_that_of_the_installed_torchvision(name, mode):
    pytest.importorskip("torchvision", reason="needs torchvision to compare with")
    theirs = make_resnet.of_torchvision(name, mode)
    found = ours(name, mode)
    assert set(found) == set(theirs)
    for what, array in theirs.items():
        error = np.linalg.norm(found[what] - array)
        assert error <= 1e-10 * np.linalg.norm(array), what


@pytest.mark.parametrize(
    ("rule", "steps"),
    [("sgd", 2), *(pytest.param(r, STEPS, marks=pytest.mark.slow) for r in RULES)],
)
def test_losses_equal_the_golden_ones(rule, steps, place):
    network, optimizer, loss = narrow(place), RULES[rule][0](), SoftmaxCrossEntropy()
    found = []
    for x, labels in islice(batches(network), steps):
        logits = network.forward(place.asarray(x), training=True)
        value, dlogits = loss(logits, place.asarray(labels))
        network.backward(dlogits)
        optimizer.step(network.theta, network.dtheta)
        found.append(float(value))
    np.testing.assert_allclose(found, GOLDEN["losses"][rule][:steps], rtol=1e-8)


@pytest.mark.peer
def test_golden_losses_equal_those_of_the_installed_torchvision():
    pytest.importorskip("torchvision", reason="needs torchvision to compare with")
    for rule in RULES:
        theirs = make_resnet.pytorch_losses(rule)
        np.testing.assert_allclose(theirs, GOLDEN["losses"][rule], rtol=1e-8)


# -- against numeric derivatives --------------------------------------------------------------


# With a smooth function: among many units with kinks, one is always at its kink.
@pytest.mark.parametrize("block", [basic, bottleneck])
@pytest.mark.parametrize("n_in", [4, 8])
def test_gradients_of_a_block(block, n_in):
    made = block(n_in, 8, 8 // n_in, "tanh")
    assert_gradients(made, (6, n_in, 5, 5), rng=1, tolerance=1e-9)


@pytest.mark.parametrize(("block", "expansion"), [(basic, 1), (bottleneck, 4)])
def test_gradients_of_the_smallest_whole_network(block, expansion):
    small = {"width": 1 / 64, "size": 8, "stem_kernel": 3, "stem_stride": 1, "dtype": "float64"}
    network = resnet(block, (1, 1), expansion, 3, 1, "tanh", True, **small)
    loss, labels = SoftmaxCrossEntropy(), np.arange(8) % 3
    shape = (8, *network.input_shape)
    assert_gradients(network, shape, labels, loss=loss, rng=1, tolerance=1e-9, directions=1)
