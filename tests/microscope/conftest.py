"""A run with two small networks and three snapshots of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minidl import Adam, Dense, Examples, Flatten, Network, SoftmaxCrossEntropy, train
from minidl.microscope.snapshot_file import Recorder


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: Any) -> Path:
    """sigmoid and relu, 108-20-20-4, epochs 0 to 2."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(7)
    examples = Examples(rng.integers(0, 256, (40, 3, 6, 6), np.uint8), rng.integers(0, 4, 40))
    loss = SoftmaxCrossEntropy()
    for f in ("sigmoid", "relu"):
        layers = [Flatten(), Dense(108, 20, f), Dense(20, 20, f), Dense(20, 4)]
        network = Network(layers, (3, 6, 6))
        recorder = Recorder(folder / "microscope" / f)
        x, labels = examples.first(16).batch(0, 16, network.dtype)
        recorder.record(network, loss, x, labels, 0)
        for epoch in train(network, examples, loss, Adam(), epochs=2, batch_size=8, progress=False):
            recorder.record(network, loss, x, labels, epoch.number)
    return folder
