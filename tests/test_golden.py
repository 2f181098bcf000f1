"""The first ten losses of the published network are PyTorch's, to ten digits."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pytest
from golden.make_golden import BATCH, CASES, PLACE, STEPS, batches, problem, pytorch_losses

from minidl import SoftmaxCrossEntropy

GOLDEN = json.loads(PLACE.read_text("utf-8"))
case = pytest.mark.parametrize(("f", "rule"), CASES)


@functools.cache
def losses(f: str, rule: str) -> list[float]:
    network, optimizer = problem(f, rule)
    loss, found = SoftmaxCrossEntropy(), []
    for x, labels in batches():
        value, dlogits = loss(network.forward(x), labels)
        network.backward(dlogits)
        optimizer.step(network.theta, network.dtheta)
        found.append(float(value))
    return found


@case
def test_losses_are_the_golden_ones(f, rule):
    golden = GOLDEN["losses"][f"{f} {rule}"]
    assert len(golden) == STEPS
    np.testing.assert_allclose(losses(f, rule), golden, rtol=1e-10)


@pytest.mark.parametrize(("f", "rule"), [("sigmoid", "adam"), ("relu", "sgd")])
def test_losses_are_those_of_the_pytorch_installed_here(f, rule):
    pytest.importorskip("torch", reason="PyTorch is the other judge here")
    np.testing.assert_allclose(losses(f, rule)[:3], pytorch_losses(f, rule, 3), rtol=1e-10)


def test_the_golden_losses_can_tell_a_wrong_step():
    """They start near ln 100, they change, and no two runs are alike to the digits compared."""
    runs = [GOLDEN["losses"][f"{f} {rule}"] for f, rule in CASES]
    for run in runs:
        assert run[0] == pytest.approx(math.log(100), rel=0.1)
        assert len({round(value, 6) for value in run}) == STEPS
    assert runs[0][0] == runs[1][0] != runs[2][0]
    for one, other in ((0, 1), (2, 3), (0, 2), (1, 3)):
        assert abs(runs[one][-1] - runs[other][-1]) > 1e-4
    assert BATCH == 64
