"""The processors, and the number of threads of BLAS."""

import os

from threadpoolctl import threadpool_info

from minidl.backend.threads import processors, using_threads
from minidl.study.recording import side_by_side


def test_there_is_at_least_one_processor():
    assert 1 <= processors() <= (os.cpu_count() or 1)


def blas():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_the_number_of_threads_holds_for_what_runs_side_by_side():
    before = blas()
    for count in (1, 2):
        with using_threads(count):
            assert blas() == {count}
            assert side_by_side([blas] * 3, 2) == [{count}] * 3
    assert blas() == before
