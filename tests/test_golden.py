"""Losses of the published network, convolutions and pools equal PyTorch's to ten digits."""

from __future__ import annotations

import functools
import json
import math

import make_images
import numpy as np
import pytest
from make_golden import CASES, PLACE, STEPS, batches, problem, pytorch_losses

from minidl import SoftmaxCrossEntropy
from minidl.backend import CPU, Device, to_numpy

GOLDEN = json.loads(PLACE.read_text("utf-8"))
QUICK = [("sigmoid", "sgd"), ("relu", "adam")]


@functools.cache
def losses(f: str, rule: str, place: Device = CPU) -> list[float]:
    network, optimizer = problem(f, rule, place)
    loss, found = SoftmaxCrossEntropy(), []
    for x, labels in batches():
        value, dlogits = loss(network.forward(place.asarray(x)), place.asarray(labels))
        network.backward(dlogits)
        optimizer.step(network.theta, network.dtheta)
        found.append(float(value))
    return found


@pytest.mark.parametrize(
    ("f", "rule"), [pytest.param(*c, marks=[pytest.mark.slow] * (c not in QUICK)) for c in CASES]
)
def test_losses_equal_the_golden_ones(f, rule, place):
    golden = GOLDEN["losses"][f"{f} {rule}"]
    assert len(golden) == STEPS
    np.testing.assert_allclose(losses(f, rule, place), golden, rtol=1e-10)


@pytest.mark.peer
@pytest.mark.parametrize(("f", "rule"), [("sigmoid", "adam"), ("relu", "sgd")])
def test_losses_equal_those_of_the_installed_pytorch(f, rule):
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    np.testing.assert_allclose(losses(f, rule)[:3], pytorch_losses(f, rule, 3), rtol=1e-10)


def test_the_golden_losses_would_reveal_a_wrong_step():
    """They start near ln 100, they change, and no two runs agree to the digits compared."""
    runs = [GOLDEN["losses"][f"{f} {rule}"] for f, rule in CASES]
    for run in runs:
        assert run[0] == pytest.approx(math.log(100), rel=0.1)
        assert len({round(value, 6) for value in run}) == STEPS
    assert runs[0][0] == runs[1][0] != runs[2][0]
    for one, other in ((0, 1), (2, 3), (0, 2), (1, 3)):
        assert abs(runs[one][-1] - runs[other][-1]) > 1e-4


# -- convolutions and pools -------------------------------------------------------------------


def ours(name: str, place: Device = CPU) -> dict[str, np.ndarray]:
    layer, x, dy = make_images.problem(name, place)
    found = {"y": layer.forward(place.asarray(x)), "dx": layer.backward(place.asarray(dy))}
    found |= {f"d{n}": g for n, g in layer.gradients().items()}
    return {what: to_numpy(array) for what, array in found.items()}


def test_images_equal_the_golden_ones(place):
    """Which are complete, and all different."""
    found = {f"{n}: {what}": a for n in make_images.CASES for what, a in ours(n, place).items()}
    with np.load(make_images.PLACE, allow_pickle=False) as file:
        golden = dict(file)
    assert set(golden) == set(found)
    assert len({array.tobytes() for array in golden.values()}) == len(golden)
    for name, array in found.items():
        assert array.shape == golden[name].shape
        scale = np.abs(golden[name]).max()
        np.testing.assert_allclose(
            array, golden[name], rtol=1e-10, atol=1e-12 * scale, err_msg=name
        )


@pytest.mark.peer
@pytest.mark.parametrize("name", ["conv 2x5", "max 3x3 stride 1 with ties"])
def test_images_equal_those_of_the_installed_pytorch(name):
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    found = ours(name)
    for what, theirs in make_images.of_pytorch(name).items():
        np.testing.assert_allclose(found[what], theirs, rtol=1e-10, atol=1e-13)
