"""Training runs in threads: all are made, one that fails stops the others and loses none."""

import threading

import pytest
from threadpoolctl import threadpool_info

from minidl.backend.threads import using_threads
from minidl.storage.sealed import decoded
from minidl.study.order import Order
from minidl.study.pools import Threads
from minidl.training.checkpoint import Stopped


def make(tasks, jobs, folder, stop=None):
    orders = [Order(name, {"name": name}, 1, None, False) for name in tasks]
    made = Threads(jobs).make(orders, tasks, folder, stop or threading.Event())
    for name, cell in made:
        yield name, decoded(bytes(cell.result), list, folder)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_all_are_made(jobs, tmp_path):
    tasks = {name: lambda _, name=name: [len(name)] for name in ("a", "bb", "ccc")}
    assert dict(make(tasks, jobs, tmp_path)) == {"a": [1], "bb": [2], "ccc": [3]}


@pytest.mark.parametrize("first_fails", [True, False])
def test_a_failure_stops_the_others_and_is_the_one_that_is_raised(first_fails, tmp_path):
    started, ended, stop = threading.Event(), threading.Event(), threading.Event()

    def fails(_):
        started.wait(timeout=30)
        raise RuntimeError("broken")

    def waits(_):
        started.set()
        if stop.wait(timeout=30):
            ended.set()
        raise Stopped

    tasks = [fails, waits] if first_fails else [waits, fails]
    with pytest.raises(RuntimeError, match="broken"):
        list(make(dict(zip("ab", tasks, strict=True)), 2, tmp_path, stop))
    assert ended.is_set()


def test_what_is_done_while_another_fails_is_given(tmp_path):
    begun, stop = threading.Event(), threading.Event()

    def fails(_):
        assert begun.wait(timeout=30)
        raise RuntimeError("broken")

    def ends(_):
        begun.set()
        assert stop.wait(timeout=30)
        return [7]

    made = make({"a": fails, "b": ends}, 2, tmp_path, stop)
    assert next(made) == ("b", [7])
    with pytest.raises(RuntimeError, match="broken"):
        next(made)


def test_whoever_takes_no_more_stops_them(tmp_path):
    stop = threading.Event()

    def waits(_):
        assert stop.wait(timeout=30)
        raise Stopped

    made = make({"a": lambda _: [1], "b": waits}, 2, tmp_path, stop)
    assert next(made) == ("a", [1])
    made.close()
    assert stop.is_set()


def blas():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_the_number_of_threads_holds_for_what_runs_side_by_side(tmp_path):
    before = blas()
    for count in (1, 2):
        with using_threads(count):
            found = dict(make(dict.fromkeys("abc", lambda _: sorted(blas())), 2, tmp_path))
        assert found == {key: [count] for key in "abc"}
    assert blas() == before


def test_jobs_from_one():
    with pytest.raises(ValueError, match="Threads: expected jobs to be an integer >= 1, got 0"):
        Threads(0)
