"""What trains on one process refuses to be one of several, which would all do the same work."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minidl.gpu
from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy, data_parallel, fit, train

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
LABELS = np.arange(8) % 2


def trained(how) -> list:
    parts = (Examples(X, LABELS), SoftmaxCrossEntropy(), Adam())
    return list(how(Network([Dense(3, 2)], 3), *parts, epochs=1, progress=False))


@pytest.mark.parametrize("variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"])
@pytest.mark.parametrize("how", [train, minidl.gpu.train])
def test_one_of_several_processes_is_told_what_to_call(how, variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    assert len(trained(how)) == 1
    monkeypatch.setenv(variable, "2")
    with pytest.raises(RuntimeError, match=r"mpiexec has started 2; .*data_parallel\.train"):
        trained(how)


def test_fit_is_told_too_and_ranks_of_one_train_alone(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    alone = partial(data_parallel.train, ranks=data_parallel.Ranks())
    assert len(trained(alone)) == 1
    network = Network([Dense(3, 2)], 3)
    with pytest.raises(RuntimeError, match="expected one process"):
        fit(network, X, LABELS, epochs=1, progress=False)
    assert len(fit(network, X, LABELS, epochs=1, progress=False, train=alone)) == 1
