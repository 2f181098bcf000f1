"""Histories, and several training runs side by side."""

import threading

import numpy as np
import pytest

from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy, evaluate, probe
from minidl.study.recording import record, side_by_side
from minidl.training.checkpoint import Stopped

RNG = np.random.default_rng(3)
TRAIN = Examples(RNG.integers(0, 256, (100, 12), dtype=np.uint8), RNG.integers(0, 4, 100))
TEST = Examples(RNG.integers(0, 256, (30, 12), dtype=np.uint8), RNG.integers(0, 4, 30))


def history(seed=0, checkpoint=None):
    network = Network([Dense(12, 8, "tanh"), Dense(8, 4)], 12, rng=seed)
    loss = SoftmaxCrossEntropy()
    options = {"epochs": 3, "batch_size": 32, "progress": False, "checkpoint": checkpoint}
    return network, record(network, TRAIN, TEST, loss, Adam(), **options)


def test_last_entries_describe_the_network_as_it_is_left():
    network, kept = history()
    tested = evaluate(network, TEST, SoftmaxCrossEntropy())
    assert (kept.test_loss[-1], kept.test_accuracy[-1]) == (tested.loss, tested.accuracy)
    x, labels = TRAIN.batch(0, 64, network.dtype)
    assert kept.probes[-1].loss == probe(network, SoftmaxCrossEntropy(), x, labels, "sum").loss
    assert kept.probes[-1].gradients[0].update_ratio > 0
    lengths = {len(getattr(kept, name)) for name in kept.__dataclass_fields__}
    assert lengths == {3}


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_side_by_side_gives_what_one_after_the_other_gives(jobs):
    alone = [history(seed)[1].train_loss for seed in range(3)]
    tasks = [lambda seed=seed: history(seed)[1].train_loss for seed in range(3)]
    assert side_by_side(tasks, jobs) == alone


@pytest.mark.parametrize("first_fails", [True, False])
def test_a_failure_stops_the_others_and_is_the_one_that_is_raised(first_fails):
    started, ended, stop = threading.Event(), threading.Event(), threading.Event()

    def fails():
        started.wait(timeout=30)
        raise RuntimeError("broken")

    def waits():
        started.set()
        if stop.wait(timeout=30):
            ended.set()
        raise Stopped

    with pytest.raises(RuntimeError, match="broken"):
        side_by_side([fails, waits] if first_fails else [waits, fails], 2, stop)
    assert ended.is_set()


def test_jobs_from_one():
    with pytest.raises(ValueError, match="jobs to be an integer >= 1, got 0"):
        side_by_side([], 0)
