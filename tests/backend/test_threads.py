"""The processors, their shares, and work split between them."""

import multiprocessing
import os
import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minidl import Adam, Dense, Network, SoftmaxCrossEntropy, train
from minidl.backend.threads import processors, share, share_processors, split, using_threads
from minidl.data.examples import Examples
from minidl.study.recording import side_by_side


def parts(n, least):
    seen, lock = [], threading.Lock()

    def work(start, stop):
        with lock:
            seen.append((start, stop, threading.get_ident()))

    split(work, n, least)
    return sorted(seen)


@pytest.mark.parametrize(
    ("count", "n", "least", "expected"),
    [
        (1, 10, 1, [(0, 10)]),
        (3, 10, 1, [(0, 3), (3, 6), (6, 10)]),
        (3, 10, 4, [(0, 5), (5, 10)]),
        (3, 10, 11, [(0, 10)]),
        (2, 0, 4, [(0, 0)]),
    ],
)
def test_parts_cover_everything_once(count, n, least, expected):
    with share_processors(count):
        assert [(start, stop) for start, stop, _ in parts(n, least)] == expected


def test_a_share_ends_with_its_block_and_belongs_to_its_thread():
    assert share() == processors() >= 1
    with share_processors(1):
        assert share() == 1
        others = []
        thread = threading.Thread(target=lambda: others.append(share()))
        thread.start()
        thread.join()
        assert others == [processors()]
    assert share() == processors()


def test_the_first_part_runs_here_and_an_error_anywhere_is_raised():
    with share_processors(2):
        assert parts(2, 1)[0][2] == threading.get_ident()
        for failing in (0, 1):

            def work(start, stop, failing=failing):
                if start == failing:
                    raise ValueError(f"part {start}")

            with pytest.raises(ValueError, match=f"part {failing}"):
                split(work, 2, 1)


def train_and_split():
    """θ after a training large enough that its steps are split, too."""
    images = np.random.default_rng(0).random((8, 600))
    network = Network([Dense(600, 1000, "relu"), Dense(1000, 3)], 600, rng=0)
    data = Examples(images.astype(np.float32), np.arange(8) % 3)
    for _ in train(network, data, SoftmaxCrossEntropy(), Adam(), epochs=1, progress=False):
        pass
    with share_processors(2):
        assert len(parts(2, 1)) == 2
    return network.theta


def send_training(connection):
    connection.send(train_and_split())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_child_of_a_fork_trains_as_its_parent_did():
    before = train_and_split()  # the parent has threads from here on
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=send_training, args=(sender,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: a fork with threads
        child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        np.testing.assert_array_equal(receiver.recv(), before)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()


def test_the_number_of_threads_holds_for_blas_and_for_what_runs_side_by_side():
    def blas():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = blas()
    for count in (1, 2):
        with using_threads(count):
            assert set(blas()) == {share()} == {count}
            assert side_by_side([share] * 3, 2) == [count] * 3
    assert blas() == before
