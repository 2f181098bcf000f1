"""Learning rates by epoch: against PyTorch, against the formula, and in the optimizer."""

from __future__ import annotations

import copy
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_learning import COSINES, PLACE, STEPS, WARM_UPS, torch_rates

import minidl
from minidl import (
    SGD,
    AdamW,
    CosineAnnealing,
    Dense,
    Examples,
    LinearWarmUp,
    MeanSquaredError,
    Network,
    StepDecay,
    fit,
    train,
)
from minidl.backend import to_numpy
from minidl.training.checkpoint import Checkpoint, CheckpointError

GOLDEN = json.loads(PLACE.read_text("utf-8"))


def test_schedules_equal_those_of_pytorch_and_transformers():
    for kind, name, cases in (
        (StepDecay, "StepLR", STEPS),
        (CosineAnnealing, "CosineAnnealingLR", COSINES),
        (LinearWarmUp, "LinearWarmUp", WARM_UPS),
    ):
        assert len(GOLDEN[name]) == len(cases)
        for case, expected in zip(cases, GOLDEN[name], strict=True):
            rates = [kind(*case)(done) for done in range(len(expected))]
            np.testing.assert_allclose(rates, expected, rtol=1e-10, atol=1e-17, err_msg=name)


@pytest.mark.parametrize("make", [SGD, AdamW], ids=["sgd", "adamw"])
def test_the_rate_of_each_step_is_that_of_the_schedule(make, device):
    """Steps replayed on a GPU too: the same as with the rate set by hand before each step."""
    examples = Examples(np.ones((24, 2), np.float32), np.ones((24, 1), np.float32))
    network = Network([Dense(2, 1)], 2, device=device)
    theta = to_numpy(network.theta).copy()
    schedule = LinearWarmUp(0.1, steps=16, warm_up=3)
    optimizer = make(schedule)
    assert (optimizer.learning_rate, optimizer.rate(1)) == (schedule, 0)
    options = {"epochs": 2, "batch_size": 3, "progress": False}
    for _ in train(network, examples, MeanSquaredError(), optimizer, **options):
        pass

    by_hand, other = make(), Network([Dense(2, 1)], 2)
    for step in range(16):
        by_hand.learning_rate = schedule(step)
        x, targets = examples.batch(0, 3, np.dtype("float32"))
        _, dy = MeanSquaredError()(other.forward(x), targets)
        other.backward(dy)
        by_hand.step(other.theta, other.dtheta)
    np.testing.assert_allclose(to_numpy(network.theta), other.theta, rtol=1e-5)
    assert (to_numpy(network.theta) != theta).all()


def test_every_rate_is_known_before_the_first_step():
    examples = Examples(np.ones((24, 2), np.float32), np.ones((24, 1), np.float32))
    network = Network([Dense(2, 1)], 2)
    options = {"epochs": 100, "batch_size": 3, "progress": False}  # 800 steps
    for schedule, told in (
        (
            lambda done: 0.1 if done < 799 else math.nan,
            r"learning_rate\(799\) of at least 0, got nan",
        ),
        (lambda done: 0.1 - done / 1000, r"learning_rate\(101\) of at least 0, got -0.001"),
    ):
        with pytest.raises(ValueError, match=told):
            train(network, examples, MeanSquaredError(), SGD(schedule), **options)


def test_a_resumed_run_uses_the_rate_of_its_step(tmp_path):
    examples = Examples(np.ones((6, 1), np.float32), np.ones((6, 1), np.float32))

    warm_up = LinearWarmUp(0.1, steps=9, warm_up=2)

    def run(epochs, path, schedule=warm_up):
        network = Network([Dense(1, 1)], 1)
        optimizer = SGD(schedule)
        options = {"batch_size": 2, "progress": False, "checkpoint": Checkpoint(path)}
        for _ in train(network, examples, MeanSquaredError(), optimizer, epochs=epochs, **options):
            pass
        return network.theta

    run(1, tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"LinearWarmUp\(peak=0.1, steps=8.* got .*steps=9"):
        run(3, tmp_path / "a", LinearWarmUp(0.1, steps=8, warm_up=2))
    with pytest.raises(CheckpointError, match="expected optimizer SGD"):
        run(3, tmp_path / "a", lambda t: 0.0)
    np.testing.assert_array_equal(run(3, tmp_path / "a"), run(3, tmp_path / "b"))


def test_the_last_schedule_counts_and_a_copy_has_its_own():
    optimizer = SGD(1.0)
    for schedule in (lambda t: 0.5, lambda t: 0.25 * t):
        with pytest.warns(DeprecationWarning, match=r"is optimizer\.learning_rate = schedule now"):
            minidl.by_step(optimizer, schedule)
    twin = copy.copy(optimizer)
    assert [optimizer.rate(t) for t in (1, 2, 3)] == [0, 0.25, 0.5]
    twin.learning_rate = 3
    assert (twin.rate(5), optimizer.rate(5)) == (3, 1)
    with pytest.raises(ValueError, match=r"SGD: expected learning_rate\(4\) of at least 0, got -1"):
        SGD(lambda t: 3.0 - t).rate(5)


def test_a_schedule_is_not_taken_for_one_of_another_unit():
    network = Network([Dense(1, 2)], 1)
    x, labels = np.ones((4, 1), np.float32), np.arange(4) % 2
    epochs, steps = CosineAnnealing(0.1, epochs=3), LinearWarmUp(0.1, steps=3)
    with pytest.raises(
        ValueError, match=r"SGD: expected .* of the steps done, got CosineAnnealing"
    ):
        SGD(epochs)
    with pytest.raises(
        ValueError, match="fit: expected schedule to count epochs, got LinearWarmUp"
    ):
        fit(network, x, labels, schedule=steps)
    with pytest.raises(ValueError, match=r"fit: expected a schedule, or an optimizer .* got both"):
        fit(network, x, labels, schedule=epochs, optimizer=SGD(steps))


@pytest.mark.peer
def test_rates_equal_those_of_the_installed_pytorch():
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    assert torch_rates("StepLR", 0.1, step_size=10, gamma=0.5) == GOLDEN["StepLR"][0]


@given(st.floats(1e-6, 10), st.integers(1, 50), st.floats(0, 1))
def test_cosine_annealing_falls_from_start_to_end_and_is_symmetric(start, epochs, share):
    schedule = CosineAnnealing(start, epochs, end=share * start)
    rates = [schedule(done) for done in range(epochs + 1)]
    assert rates[0] == pytest.approx(start, rel=1e-15)  # end + (start − end) is rounded
    assert rates[-1] == pytest.approx(share * start, abs=1e-15) == schedule(epochs + 3)
    assert all(a >= b for a, b in itertools.pairwise(rates))
    for done, rate in enumerate(rates):
        assert rate + rates[epochs - done] == pytest.approx(start + share * start)


def test_the_rate_set_between_epochs_is_that_of_the_next():
    """One weight, one example, gradient 2 (w x − t) x: each epoch is one step."""
    network = Network([Dense(1, 1)], 1, dtype="float64")
    examples = Examples(np.ones((1, 1)), np.ones((1, 1)))
    schedule = StepDecay(0.1, every=2, factor=0.5)
    optimizer = SGD(schedule(0))
    rates, before = [], network.theta.copy()
    for epoch in train(
        network, examples, MeanSquaredError(), optimizer, epochs=5, batch_size=1, progress=False
    ):
        gradient = 2 * (before.sum() - 1)  # of both W and b
        rates.append(float((before - network.theta)[0] / gradient))
        before = network.theta.copy()
        optimizer.learning_rate = schedule(epoch.number)
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])
