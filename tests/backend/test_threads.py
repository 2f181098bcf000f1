"""The number of processors, and of BLAS threads."""

import os
import threading

import pytest
from threadpoolctl import threadpool_info

from minidl.backend.threads import processors, using_threads


def test_there_is_at_least_one_processor():
    assert 1 <= processors() <= (os.cpu_count() or 1)


def blas():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_the_number_of_threads_holds_within_the_block():
    before = blas()
    for count in (1, 2):
        with using_threads(count):
            assert blas() == {count}
            with using_threads(3 - count):
                assert blas() == {3 - count}
            assert blas() == {count}
    assert blas() == before


def test_there_is_at_least_one_thread():
    before = blas()
    for count in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="using_threads: expected count to be an integer >= 1"):
            using_threads(count).__enter__()
    assert blas() == before


def test_what_overlaps_in_other_threads_leaves_the_number_from_before():
    before = blas()
    entered, leave = threading.Event(), threading.Event()

    def second():
        with using_threads(1):
            entered.set()
            assert leave.wait(timeout=30)
            found.append(blas())

    found, other = [], threading.Thread(target=second)
    with using_threads(1):
        other.start()
        assert entered.wait(timeout=30)
    # The first has ended, the second has not.
    with pytest.raises(ValueError, match=r"expected 1 BLAS thread\(s\), .* got 2; BLAS has one"):
        using_threads(2).__enter__()
    leave.set()
    other.join()
    assert found == [{1}]
    assert blas() == before
