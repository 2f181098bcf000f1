"""The number of processors, and of BLAS threads."""

import os

from threadpoolctl import threadpool_info

from minidl.backend.threads import processors, using_threads


def test_there_is_at_least_one_processor():
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_the_number_of_threads_holds_within_the_block():
    def blas():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    before = blas()
    for count in (1, 2):
        with using_threads(count):
            assert blas() == {count}
    assert blas() == before
