"""Where training runs are executed: in threads, or where the options say."""

import argparse
import threading

import pytest
from small_study import Small

from minidl import get_device
from minidl.storage.sealed import decoded
from minidl.study import ClusterError
from minidl.study.order import Order
from minidl.study.pools import Threads
from minidl.study.source import OfStudy
from minidl.training.checkpoint import Stopped


def make(tasks, jobs, folder, stop=None):
    orders = [Order(name, {"name": name}, 1, None, False) for name in tasks]
    made = Threads(jobs).make(orders, tasks, folder, stop or threading.Event())
    for name, cell in made:
        yield name, decoded(bytes(cell.result), list, folder)


def test_all_are_made(tmp_path):
    tasks = {name: lambda _, name=name: [len(name)] for name in ("a", "bb", "ccc")}
    for jobs in (1, 2, 5):
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


def test_impossible_places_are_refused_before_anything_is_loaded(tmp_path, capsys, monkeypatch):
    def refused(words, *place, error=ValueError):
        options = ["--device", "cpu", "--output-dir", str(tmp_path / "run")]
        with pytest.raises(error, match=words):
            Small().run([*options, "--log", str(tmp_path / "log"), *place])
        assert not (tmp_path / "log").exists(), place
        assert capsys.readouterr().out == "", place

    for address in (
        "localhost",
        "localhost:8786",
        "http://a:1",
        "tcp://a",
        "tcp://[::1",
        "tcp://::1:8",
        "tcp://a:0",
        "tcp://a:99999",
        "",
    ):
        refused("scheduler: expected an address such as tcp://host:", "--scheduler", address)
    for one, other in (("--jobs", "--workers"), ("--workers", "--scheduler")):
        refused(f"--scheduler, got {one} and {other}", one, "2", other, "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = r"not installed: pip install 'minidl\[dask\]'$"
    refused(words, "--workers", "2", error=ClusterError)
    with pytest.raises(ValueError, match="Threads: expected jobs to be an integer >= 1, got 0"):
        Threads(0)


def test_a_study_of_a_script_cannot_be_sent_to_workers():
    class Inside(Small):
        pass

    with pytest.raises(ValueError, match="expected a study that workers can import from a module"):
        OfStudy.of(Inside(), argparse.Namespace(), get_device("cpu"))
