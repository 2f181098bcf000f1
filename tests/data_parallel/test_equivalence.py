"""A batch that ranks share gives what one process gives: θ, state, gradient, loss, accuracy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import shared_training
from mpi import mpiexec, needs_mpi
from shared_training import CASES, DATA, LABELS, dense, normalized, trained
from threads_as_ranks import on_ranks

from minidl import SGD, Adam, Dense, Flatten, Network


@cache
def alone(name):
    return CASES[name]()


def expect_close(name, found):
    for what, expected in alone(name).items():
        np.testing.assert_allclose(found[what], expected, rtol=0, atol=1e-10, err_msg=what)


@pytest.mark.parametrize("name", CASES)
def test_ranks_end_where_one_process_ends(name):
    for size in (2, 3):
        found = on_ranks(size, lambda ranks: CASES[name](ranks=ranks))
        expect_close(name, found[0])
        for other in found[1:]:
            for what, array in other.items():
                np.testing.assert_array_equal(array, found[0][what])


def test_the_cases_see_what_they_are_about():
    """Each option changes θ, early stopping stops, and a last batch has fewer examples."""
    theta = {name: alone(name)["theta"] for name in CASES}
    for name in ("dropout", "augmentation", "own augmentation"):
        assert abs(theta[name] - theta["adam"]).max() > 1e-3
    assert abs(theta["clipping"] - theta["sgd"]).max() > 1e-2
    assert len(alone("early stopping")["losses"]) < 9
    assert len(DATA) % 16 == 1


@needs_mpi
def test_processes_of_mpi_do_so_too_with_the_same_bits_each_time(tmp_path):
    def results(size):
        path = tmp_path / "results.npz"
        done = mpiexec(size, shared_training.__file__, path, *CASES)
        assert done.returncode == 0, done.stdout + done.stderr
        with np.load(path) as file:
            return dict(file)

    for size in (1, 2, 3):
        found = results(size)
        for name in CASES:
            expect_close(name, {what: found[f"{name}/{what}"] for what in alone(name)})
    for what, array in results(3).items():
        np.testing.assert_array_equal(array, found[what], err_msg=what)


def test_statistics_of_each_rank_alone_are_another_network():
    found = on_ranks(
        3, lambda ranks: trained(normalized(), Adam(0.01), ranks, local_statistics=True)
    )
    whole = trained(normalized(), Adam(0.01))
    assert abs(found[0]["theta"] - whole["theta"]).max() > 1e-3
    for other in found[1:]:  # those of rank 0 count in inference
        for what in ("theta", "state"):
            np.testing.assert_array_equal(other[what], found[0][what])


def test_one_sum_for_each_step_and_one_for_each_epoch():
    def messages(ranks):
        trained(dense(), SGD(), ranks)
        return ranks.messages

    P = Network([Flatten(), Dense(72, 12), Dense(12, 4)], (2, 6, 6)).theta.size
    epoch = [P + 2] * 5 + [2 * len(LABELS)]
    assert on_ranks(3, messages) == [epoch * 2] * 3


def test_batch_norm_sends_two_messages_forward_and_one_backward():
    """Σ x with the number of values, Σ (x − μ)², and both sums of the backward pass."""

    def messages(ranks):
        trained(normalized(), SGD(), ranks)
        return ranks.messages[:3]

    assert on_ranks(3, messages) == [[3 + 1, 3, 2 * 3]] * 3
