"""Histories."""

import numpy as np

from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy, evaluate, probe
from minidl.study.recording import record

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
