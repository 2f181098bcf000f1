"""During training, denormal numbers are zeros on every thread that computes; elsewhere, not."""

import threading

import numpy as np
import pytest

from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy, train
from minidl.backend.threads import using_threads
from minidl.fast import pool
from minidl.fast.pool import denormals_as_zero, one_pool

TINY = np.finfo(np.float32).tiny  # the smallest normal number
SMALL = np.full(64, TINY / 4, np.float32)

pytestmark = pytest.mark.skipif(pool._libm() is None, reason="needs glibc on x86-64")


def kept():
    """Whether this thread computes with denormals."""
    return bool((SMALL * np.float32(0.5)).any())


def test_only_within_the_block_and_only_on_this_thread():
    others, begun = [], threading.Event()
    other = threading.Thread(target=lambda: (begun.wait(timeout=30), others.append(kept())))
    other.start()
    assert kept()
    with denormals_as_zero():
        assert not kept()
        assert not (np.full(9, TINY, np.float32) * np.float32(0.5)).any()  # as a result
        assert (SMALL.view(np.int32) > 0).all()  # stored values stay
        with denormals_as_zero():
            assert not kept()
        assert not kept()
        begun.set()
        other.join()
    assert others == [True]
    assert kept()


def test_it_also_ends_after_an_error():
    with pytest.raises(RuntimeError, match="broken"), denormals_as_zero():
        raise RuntimeError("broken")
    assert kept()


def test_every_thread_of_the_pool_takes_part():
    x = np.full((256, 512), TINY, np.float32)
    W = np.zeros((512, 512), np.float32)
    np.fill_diagonal(W, 0.5)  # each entry of the product is one denormal number
    with using_threads(2), one_pool():
        assert (x @ W).all()
        with denormals_as_zero():
            assert not (x @ W).any()
        assert (x @ W).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_moments_of_a_dead_unit_end_at_zero(threads):
    """Otherwise m would not reach 0: 0.9 times the smallest denormal number rounds to itself."""
    x = np.random.default_rng(0).uniform(size=(64, 8)).astype(np.float32)
    network = Network([Dense(8, 16, "relu"), Dense(16, 2)], 8)
    examples, optimizer = Examples(x, (x[:, 0] > 0.5).astype(int)), Adam()
    options = {"epochs": 5, "batch_size": 8, "progress": False}
    m = slice(8 * 16)  # of the weights of all units, which are dead after the first epoch
    with using_threads(threads):
        for epoch in train(network, examples, SoftmaxCrossEntropy(), optimizer, **options):
            if epoch.number == 1:
                network["dense_1"].b[...] = -100
                optimizer.m[m] = 4 * TINY  # 0.9^14 of it is denormal
            assert optimizer.m[m].any() == (epoch.number <= 2)
