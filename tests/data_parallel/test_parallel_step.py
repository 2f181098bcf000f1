"""What ranks agree on in a step and after an epoch, and what they refuse."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from shared_training import DATA, IMAGES, LABELS, TARGETS, dense, normalized, trained
from threads_as_ranks import on_ranks

from minidl import (
    SGD,
    Adam,
    Examples,
    MeanSquaredError,
    Network,
    NonFiniteLoss,
    SoftmaxCrossEntropy,
)
from minidl.data_parallel import Ranks, RanksError, train, world
from minidl.data_parallel.step import ParallelStep
from minidl.data_parallel.world import by_mpi4py
from minidl.training.checkpoint import Checkpoint, Stopped


def outcome(work):
    """A function that gives the error of ``work`` in place of raising it."""

    def of(ranks):
        try:
            return work(ranks)
        except (NonFiniteLoss, RanksError, Stopped, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    return of


class Numbered(Ranks):
    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def test_the_parts_of_a_batch_are_the_batch():
    network = Network(dense(), (2, 6, 6))
    for size, batch in itertools.product([2, 3, 7], [1, 3, 20, 21, 22]):
        rows, found = np.arange(batch), []
        for rank in range(size):
            parts = (network, DATA, SoftmaxCrossEntropy(), SGD(), 22)
            step = ParallelStep(*parts, ranks=Numbered(rank, size))
            mine = rows[step.rows_here(batch)]
            assert len(mine) - batch // size in (0, 1)
            found.append([] if step.is_idle(batch) else mine)
            assert step.is_idle(batch) == (rank >= batch)
        np.testing.assert_array_equal(np.concatenate(found), rows)


def test_a_batch_has_an_example_for_each_rank():
    (told, _, _) = on_ranks(3, outcome(lambda r: trained(dense(), SGD(), r, batch_size=2)))
    assert told == ("RanksError: train: expected batch_size >= 3, an example for each rank, got 2")


def test_gpus_are_not_shared(gpu):
    network = Network(dense(), (2, 6, 6), device=gpu)
    with pytest.raises(RanksError, match="expected the device cpu on 2 ranks, got cuda"):
        next(train(*(network, DATA, SoftmaxCrossEntropy(), SGD()), epochs=1, ranks=Numbered(0, 2)))


@pytest.mark.parametrize("what", ["epochs", "batch_size", "momentum", "layers", "rng"])
def test_ranks_that_would_train_something_else_are_refused(what):
    def work(ranks):
        other = ranks.rank == 1
        network = Network(dense()[: 2 if other and what == "layers" else 3], (2, 6, 6), rng=1)
        options = {"epochs": 2, "batch_size": 13, "rng": 2, "ranks": ranks, "progress": False}
        if other and what in options:
            options[what] += 1
        optimizer = SGD(momentum=0.5 if other and what == "momentum" else 0.4)
        next(train(network, Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), optimizer, **options))

    named = {
        "batch_size": "batch size 13",
        "momentum": "optimizer SGD(learning_rate=0.01,",
        "rng": "random generators",
        "layers": "first parameters",
    }
    for told in on_ranks(3, outcome(work)):
        assert told.startswith(f"RanksError: rank 1 of 3: expected {named.get(what, what)}")
        assert told.endswith("; start all of them with the same command, files and data")


class BesideAnother(Numbered):
    """Rank 0, and a rank 1 that has another number of threads."""

    def gather(self, value):
        return [value, value | {"BLAS threads": "7"}]


def test_ranks_with_another_number_of_threads_are_refused():
    parts = (Network(dense(), (2, 6, 6)), DATA, SoftmaxCrossEntropy(), SGD())
    with pytest.raises(RanksError, match="rank 1 of 2: expected BLAS threads 1, as on rank 0, got"):
        next(train(*parts, epochs=1, ranks=BesideAnother(0, 2), progress=False))


@pytest.mark.parametrize("layers", [dense, normalized])
@pytest.mark.parametrize("bad", ["input", "loss"])  # of one example: of one rank
def test_a_loss_that_is_not_finite_is_reported_as_by_one_process(layers, bad):
    inputs, targets = IMAGES.astype(float), TARGETS.copy()
    if bad == "input":
        inputs[17, 1, 2, 3] = np.nan
    else:
        targets[17, 1] = 1e200  # its square is beyond float64, the gradient is not
    seen = {}

    def work(ranks=None):
        data = Examples(inputs, targets)
        network = Network(layers(), (2, 6, 6), rng=1, dtype="float64")
        try:
            for _ in train(
                *(network, data, MeanSquaredError(), SGD(0.1)),
                epochs=3,
                batch_size=13,
                rng=2,
                ranks=ranks,
                progress=False,
                augment=lambda x: x,  # which might make the input finite
            ):
                pass
        finally:
            seen[getattr(ranks, "rank", "alone")] = network.theta, network.state

    alone = outcome(lambda ranks: work())(None)
    assert alone.startswith("NonFiniteLoss: epoch 1, step")
    assert ("inputs[17, 1, 2, 3] is nan" if bad == "input" else "the loss itself") in alone
    assert on_ranks(3, outcome(work)) == [alone] * 3
    for theta, state in seen.values():
        np.testing.assert_allclose(theta, seen["alone"][0], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(state, seen["alone"][1], rtol=1e-10, atol=1e-10)


def test_the_wish_of_one_to_stop_stops_all_at_the_same_step(tmp_path):
    """Rank 0 alone writes; all go on from what it has written."""
    folders = [tmp_path / str(rank) for rank in range(3)]
    for folder in folders:
        folder.mkdir()

    def work(ranks, stop_at=None):
        checkpoint = Checkpoint(folders[ranks.rank] / "checkpoint")

        def watch(epoch, step):
            if ranks.rank == 1 and (epoch, step) == stop_at:
                checkpoint.stop.set()

        return trained(dense(), Adam(), ranks, checkpoint=checkpoint, watch=watch)

    assert on_ranks(3, outcome(lambda ranks: work(ranks, (1, 2)))) == ["Stopped: "] * 3
    written = [[path.name for path in folder.iterdir()] for folder in folders]
    assert [sorted(names) for names in written] == [["checkpoint", "checkpoint.previous"], [], []]
    (told, *_) = on_ranks(3, outcome(work))
    assert "rank 1 of 3: expected done (1, 3), first parameters" in told  # not all see the file
    for folder in folders[1:]:
        (folder / "checkpoint").write_bytes((folders[0] / "checkpoint").read_bytes())
    resumed = on_ranks(3, work)[0]
    whole = on_ranks(3, lambda ranks: trained(dense(), Adam(), ranks))[0]
    for what in ("theta", "update"):
        np.testing.assert_array_equal(resumed[what], whole[what])
    np.testing.assert_array_equal(resumed["losses"], whole["losses"][1:])


def test_parameters_that_have_drifted_apart_are_noticed():
    def work(ranks):
        network = Network(dense(), (2, 6, 6), rng=1)

        def watch(epoch, step):
            if ranks.rank == 2 and step == 1:
                network.theta[5] += 1e-3

        options = {"epochs": 1, "batch_size": 13, "ranks": ranks, "progress": False}
        next(train(network, DATA, SoftmaxCrossEntropy(), SGD(), watch=watch, **options))

    (told, *_) = on_ranks(3, outcome(work))
    assert told.startswith("RanksError: rank 2 of 3: expected parameters ")
    assert told.endswith("; use processors of one kind and the same software")


def test_a_network_used_between_epochs_asks_nobody():
    """What a rank does alone, also in training mode, must not wait for the others."""

    def work(ranks):
        network = Network(normalized(), (2, 6, 6), rng=1)
        options = {"epochs": 1, "batch_size": 13, "ranks": ranks, "progress": False}
        next(train(network, DATA, SoftmaxCrossEntropy(), SGD(), **options))
        if ranks.is_root:
            network.forward(IMAGES.astype(np.float32), training=True)

    on_ranks(2, work)


def test_how_python_was_started():
    for words, is_by_it in {
        "-m mpi4py a.py": True,
        "-W error -m mpi4py.run a.py": True,
        "-mmpi4py a.py": True,
        "-Wdefault::ImportWarning -um mpi4py a.py": True,
        "a.py": False,
        "-m pytest mpi4py": False,
        "a.py -m mpi4py": False,
    }.items():
        assert by_mpi4py(["python", *words.split()]) is is_by_it, words


def test_without_mpiexec_a_process_is_alone():
    assert "mpi4py" not in sys.modules
    assert (world().rank, world().size, world().is_root) == (0, 1, True)
