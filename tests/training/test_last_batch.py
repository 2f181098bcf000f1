"""The last batch of an epoch: dropped on request, and refused at the door if BatchNorm cannot."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from threads_as_ranks import on_ranks

from minidl import (
    SGD,
    ActivationLayer,
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Examples,
    FirstToken,
    Flatten,
    Network,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    data_parallel,
    fit,
    train,
)
from minidl.data import Sentences
from minidl.training import range_test
from minidl.training.checkpoint import Checkpoint, CheckpointError, Stopped

LOSS = SoftmaxCrossEntropy()
EXAMPLES = Examples(np.random.default_rng(0).random((9, 4), np.float32), np.arange(9) % 3)


def epochs(network, examples=EXAMPLES, optimizer=None, **options):
    options = {"epochs": 2, "batch_size": 4, "rng": 3, "progress": False} | options
    return list(train(network, examples, LOSS, optimizer or SGD(0.1), **options))


def plain() -> Network:
    return Network([Dense(4, 5, "tanh"), Dropout(0.2), Dense(5, 3)], 4, rng=1)


NORMED = {
    "first": lambda: [BatchNorm(4), Dense(4, 3)],
    "in a branch": lambda: [
        Residual([Dense(4, 4), BatchNorm(4), ActivationLayer("relu")]),
        Dense(4, 3),
    ],
    "in chains": lambda: [Sequential([Sequential([Dense(4, 6), BatchNorm(6)])]), Dense(6, 3)],
}


@pytest.mark.parametrize("layers", NORMED.values(), ids=NORMED)
def test_batch_norm_refuses_a_last_batch_of_one_before_the_first_step(layers):
    network = Network(layers(), 4, rng=1)
    theta, state = network.theta.copy(), network.state.copy()
    for call in (epochs, partial(fit, x=EXAMPLES, epochs=1, batch_size=4, validation=None)):
        with pytest.raises(
            ValueError, match=r"train: 9 examples in batches of 4: BatchNorm.* 1;.*"
        ):
            call(network)
    with pytest.raises(ValueError, match=r"9 examples in batches of 1: BatchNorm.*drop_last=True"):
        epochs(network, batch_size=1, drop_last=True)
    np.testing.assert_array_equal(network.theta, theta)
    np.testing.assert_array_equal(network.state, state)
    epochs(network, batch_size=5)
    epochs(network, drop_last=True)
    range_test(network, EXAMPLES, steps=5, batch_size=4)
    fit(network, EXAMPLES, epochs=1, batch_size=4, validation=None, drop_last=True, progress=False)


def test_an_image_has_more_than_one_value_per_channel():
    layers = [Conv2D(1, 2, 1), BatchNorm(2), Flatten(), Dense(8, 3)]
    images = Examples(EXAMPLES.inputs.reshape(9, 1, 2, 2), EXAMPLES.targets)
    epochs(Network(layers, (1, 2, 2)), images)
    single = [Conv2D(1, 2, 2), BatchNorm(2), Flatten(), Dense(2, 3)]  # one pixel is left
    with pytest.raises(ValueError, match="9 examples in batches of 4: BatchNorm"):
        epochs(Network(single, (1, 2, 2)), images)


def test_drop_last_trains_on_whole_batches_alone():
    """As plain loops over the same orders do."""
    network, by_hand = plain(), plain()
    found = epochs(network, drop_last=True)
    assert [epoch.steps for epoch in found] == [2, 2]
    rng, optimizer = np.random.default_rng(3), SGD(0.1)
    for epoch in found:
        order, losses = EXAMPLES.order(rng, 4), []
        for rows in (order[:4], order[4:8]):
            x, t = EXAMPLES.draw(rows, by_hand.dtype)
            value, dlogits = LOSS(by_hand.forward(x, training=True), t)
            by_hand.backward(dlogits)
            optimizer.step(by_hand.theta, by_hand.dtheta)
            losses.append(float(value))
        assert epoch.train_loss == pytest.approx(np.mean(losses), rel=1e-6)
    np.testing.assert_allclose(network.theta, by_hand.theta, rtol=1e-6)
    assert [epoch.steps for epoch in epochs(plain())] == [3, 3]
    same = [epochs(n := plain(), EXAMPLES.first(8), drop_last=d) and n.theta for d in (True, False)]
    np.testing.assert_array_equal(*same)  # where nothing is left over, nothing changes
    with pytest.raises(ValueError, match="at least 10 examples, a batch, with drop_last, got 9"):
        epochs(plain(), batch_size=10, drop_last=True)
    with pytest.raises(ValueError, match="train: expected drop_last to be True or False, got 1"):
        epochs(plain(), drop_last=1)


@pytest.mark.parametrize("stopped", [(0, 1), (1, 0), (1, 1)])
def test_a_run_that_drops_the_last_batch_resumes_to_the_bit(stopped, tmp_path):
    def run(path, stop_at=None, drop_last=True):
        network, stop = plain(), threading.Event()

        def watch(*place):
            if place == stop_at:
                stop.set()

        checkpoint = Checkpoint(path, every=1, stop=stop)
        options = {"epochs": 3, "checkpoint": checkpoint, "watch": watch, "drop_last": drop_last}
        epochs(network, optimizer=Adam(0.01), **options)
        return network.theta

    with pytest.raises(Stopped):
        run(tmp_path / "a", stopped)
    with pytest.raises(
        CheckpointError, match="batch size 4, got batch size 4, the last one dropped"
    ):
        run(tmp_path / "a", drop_last=False)
    np.testing.assert_array_equal(run(tmp_path / "a"), run(tmp_path / "b"))


def test_sentences_drop_the_ones_that_are_left_over():
    rows = [[1] * n for n in (5, 1, 2, 4, 3, 5, 1, 2, 3)]
    sentences = Sentences.of(rows, np.arange(9) % 2)
    network = Network([Embedding(3, 4, padding=0), FirstToken(), Dense(4, 2)], (5,))
    assert [epoch.steps for epoch in epochs(network, sentences, drop_last=True)] == [2, 2]


def test_on_ranks_the_last_batch_is_judged_by_what_each_rank_sees():
    def run(ranks, **options):
        network = Network([BatchNorm(4), Dense(4, 3)], 4, rng=1)
        settings = {"epochs": 2, "rng": 3, "progress": False} | options
        list(data_parallel.train(network, EXAMPLES, LOSS, SGD(0.1), ranks=ranks, **settings))
        return network.theta.copy()

    alone = run(None, batch_size=4, drop_last=True)
    for theta in on_ranks(2, partial(run, batch_size=4, drop_last=True)):
        np.testing.assert_allclose(theta, alone, rtol=1e-5, atol=1e-7)
    on_ranks(2, partial(run, batch_size=6))  # the last batch has two examples here, one there
    with pytest.raises(ValueError, match="9 examples in batches of 6: BatchNorm"):
        on_ranks(2, partial(run, batch_size=6, local_statistics=True))
