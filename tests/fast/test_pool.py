"""The one thread pool: the same numbers as without it, and nothing left behind."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minidl import (
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Examples,
    Flatten,
    Network,
    SoftmaxCrossEntropy,
    train,
)
from minidl.backend.threads import using_threads
from minidl.fast import blas, pool
from minidl.fast.pool import one_pool

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


def run(code, environment):
    """In a process of its own, with two threads."""
    environment = {"OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def counts():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def there():
    """Skip if there is no pool; use two threads, however many this machine has."""
    if pool._pool() is None:
        pytest.skip("needs Linux, Numba with OpenMP, and OpenBLAS in NumPy and SciPy")
    if pool._pool().blas.max_threads < 2:
        pytest.skip("Numba has one thread here")
    with using_threads(2):
        yield


def test_products_have_the_bits_of_blas_with_its_own_threads():
    for M, K, N in ((64, 3072, 512), (300, 200, 100), (1, 512, 512), (513, 65, 67)):
        for dtype in (np.float32, np.float64):
            A, B = RNG.standard_normal((M, K)).astype(dtype), RNG.standard_normal((K, N))
            B = B.astype(dtype)
            expected = A @ B
            with one_pool():
                np.testing.assert_array_equal(A @ B, expected)


def test_each_job_has_a_thread_of_its_own():
    from minidl.fast.native import note_threads

    with one_pool():
        assert pool.threads() == 2
        found = np.full(2, -1)
        note_threads(found)
        assert len(set(found)) == 2
    assert pool.threads() == 1


def test_it_ends_with_its_outermost_block_and_restores_everything():
    before = counts()
    with suppress(KeyError), one_pool():
        with one_pool():
            assert pool.threads() == 2
        assert pool.threads() == 2
        assert pool.gemm_address("f") != pool.gemm_address("d")
        assert sorted(set(counts())) == [1, 2]  # SciPy's computes on the thread that calls it
        raise KeyError
    assert pool.threads() == 1
    assert not pool.is_open()
    assert counts() == before


def test_scipys_blas_has_one_thread_whichever_thread_opens_the_pool():
    """As in a study: each training run has a thread, and the main thread sets the limits."""
    seen = []

    def inside():
        with one_pool():
            seen.append(pool._pool().blas.scipy_blas.num_threads)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [1]


def test_what_a_thread_computes_does_not_depend_on_training_in_another():
    """As between the epochs of two networks side by side: with one job, nothing trains then."""
    layer = Conv2D(16, 8, 3, 1, 1, "tanh").build(1)
    x = RNG.standard_normal((5, 16, 7, 6)).astype(np.float32)
    expected = layer.forward(x)
    is_open, may_end = threading.Event(), threading.Event()

    def training():
        with one_pool():
            is_open.set()
            may_end.wait(60)

    thread = threading.Thread(target=training)
    thread.start()
    assert is_open.wait(60)
    try:
        assert (pool.is_open(), pool.threads()) == (False, 1)
        np.testing.assert_array_equal(layer.forward(x), expected)
    finally:
        may_end.set()
        thread.join()


def test_there_is_one_thread_with_one_of_blas_and_never_more_than_numba_has():
    most = pool._pool().blas.max_threads
    A = RNG.standard_normal((300, 300))
    for of_blas, threads in ((1, 1), (most + 3, most)):
        with using_threads(of_blas), one_pool():
            assert pool.threads() == threads
            np.testing.assert_allclose(A @ np.eye(300), A)


def test_products_on_several_threads_at_once():
    """Inside and outside the pool, including products so thin that OpenBLAS does not queue them."""
    A, x = RNG.standard_normal((400, 400)), RNG.standard_normal(400)
    expected, found = (A @ A, A @ x), []

    def multiply(within):
        for _ in range(10):
            with within():
                found.append((A @ A, A @ x))

    others = [threading.Thread(target=multiply, args=[w]) for w in [one_pool, nullcontext] * 2]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert len(found) == 40
    for product in found:
        for a, b in zip(product, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert pool.threads() == 1


@pytest.mark.slow
def test_small_products_on_several_threads_at_once():
    """NumPy holds the GIL during these, yet BLAS splits them."""
    code = """
import threading
import numpy as np
from minidl.fast.pool import one_pool
from minidl.backend.threads import using_threads

def multiply():
    A, B = np.ones((20, 3072), np.float32), np.ones((3072, 16), np.float32)
    for _ in range(3000):
        assert (A @ B == 3072).all()

with using_threads(2), one_pool():
    threads = [threading.Thread(target=multiply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
"""
    assert run(code, {}).stdout == "done\n"


@pytest.mark.slow
def test_several_threads_may_be_the_first():
    """In a separate process, since there is one pool per process."""
    code = (
        "import threading, time\n"
        "from minidl.fast import pool\n"
        "together = threading.Barrier(4)\n"
        "def use():\n"
        "    together.wait()\n"
        "    with pool.one_pool(): time.sleep(0.1)\n"
        "threads = [threading.Thread(target=use) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(pool._depth, pool._pool.cache_info().misses)"
    )
    done = run(code, {})
    assert (done.stdout, done.stderr) == ("0 1\n", "")


def test_a_thread_with_masked_numba_threads_still_gets_its_product():
    """Jobs of a product wait for each other; on one thread they would wait forever."""
    import numba

    A = RNG.standard_normal((400, 400))
    with one_pool():
        mask = numba.get_num_threads()
        numba.set_num_threads(1)
        np.testing.assert_allclose(A @ np.eye(400), A)
        numba.set_num_threads(mask)


# -- layers -----------------------------------------------------------------------------------

LAYERS = {
    "conv 3x3": (lambda: Conv2D(16, 8, 3, 1, 1, "tanh"), (5, 16, 7, 6)),
    "conv 3x3, one row": (lambda: Conv2D(16, 8, 3), (5, 16, 3, 6)),
    "conv 3x3, stride 2": (lambda: Conv2D(17, 5, 3, 2, 1), (5, 17, 8, 9)),
    "conv 5x3, stride (1, 3)": (lambda: Conv2D(20, 5, (5, 3), (1, 3), (2, 0)), (3, 20, 9, 8)),
    "conv 5x5, stride 4": (lambda: Conv2D(16, 5, 5, 4, 2), (3, 16, 13, 13)),
    "conv 1x1": (lambda: Conv2D(16, 7, 1), (5, 16, 4, 5)),
    "thin conv 5x5": (lambda: Conv2D(3, 6, 5, 1, 1, "tanh"), (4, 3, 9, 8)),
    "thin conv 3x2, stride (2, 1)": (lambda: Conv2D(2, 5, (3, 2), (2, 1), (0, 1)), (4, 2, 9, 6)),
    "thin conv, one row": (lambda: Conv2D(2, 5, 4), (3, 2, 4, 6)),
    "batch norm of images": (lambda: BatchNorm(3), (4, 3, 5, 6)),
    "batch norm of units": (lambda: BatchNorm(3), (8, 3)),
}


@pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)
def test_a_layer_gives_the_same_as_without_the_pool(make, shape):
    for dtype, rtol in (("float32", 1e-4), ("float64", 1e-11)):
        x = RNG.standard_normal(shape).astype(dtype)
        for training in (True, False):
            found = []
            for within in (nullcontext, one_pool):
                with within():
                    layer = make().build(1, dtype)
                    y = layer.forward(x, training=training)
                    dx = layer.backward(np.cos(y))
                    found.append([y, dx, *layer.gradients().values()])
            for a, b in zip(*found, strict=True):
                assert a.dtype == b.dtype == dtype
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def test_rows_whose_results_overlap_are_not_added_at_the_same_time():
    with one_pool():
        for rows, overlap in ((1, 1), (5, 2), (9, 2), (40, 5)):
            taken = []
            for turn in blas._blocks(rows, overlap):
                firsts = [turn.first + i * turn.step for i in range(turn.blocks)]
                blocks = [range(first, min(first + turn.rows, rows)) for first in firsts]
                taken += [row for block in blocks for row in block]
                for one, other in itertools.pairwise(blocks):
                    assert other.start - one.stop >= overlap
            assert sorted(taken) == [*range(rows)]


# -- forks ------------------------------------------------------------------------------------


def trained():
    layers = [Conv2D(16, 8, 3, 1, 1, "relu"), BatchNorm(8), Flatten(), Dense(512, 3)]
    network = Network(layers, (16, 8, 8), rng=0)
    data = Examples(RNG.random((8, 16, 8, 8)).astype(np.float32), np.arange(8) % 3)
    for _ in train(network, data, SoftmaxCrossEntropy(), Adam(), epochs=1, progress=False):
        pass
    return network.theta


def send(connection):
    A = np.ones((400, 400))
    connection.send((trained(), (A @ A)[0, 0]))


@pytest.mark.parametrize("within", [nullcontext, one_pool], ids=["after", "within"])
def test_the_child_of_a_fork_trains_and_multiplies(within):
    """OpenMP ends a process that forks and then asks for threads."""
    trained()  # from here on, the parent has threads
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=send, args=(sender,))
    with warnings.catch_warnings(), within():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: a fork with threads
        child.start()
    try:
        assert receiver.poll(60), "the child hangs, or has ended"
        theta, product = receiver.recv()
        assert np.isfinite(theta).all()
        assert product == 400
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"NUMBA_THREADING_LAYER": "workqueue"}, {"OMP_THREAD_LIMIT": "1"}]
)
def test_threads_that_cannot_run_at_the_same_time_are_not_used(environment):
    code = (
        "import numpy as np; from minidl.fast import pool\n"
        "with pool.one_pool(): print(pool.threads(), (np.ones((400, 400)) @ np.ones(400))[0])"
    )
    done = run(code, environment)
    assert done.stdout == "1 400.0\n", done.stderr
