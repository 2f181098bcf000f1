"""The trainings of a study: done once, kept, and broken off by signals without a loss."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from minidl.cells import Cells, Interrupted, stop_on_signals
from minidl.checkpoint import CheckpointError, Stopped


def counting(calls, name, result):
    def task(checkpoint):
        calls.append(name)
        return result

    return task


def tasks(calls):
    return {name: counting(calls, name, [len(name)]) for name in ("a", "bb", "ccc")}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_done_is_not_done_again(jobs, tmp_path):
    calls = []
    cells = Cells(tmp_path, {"epochs": 3})
    assert cells.train({"bb": tasks(calls)["bb"]}, list[int], jobs) == [[2]]
    again = Cells(tmp_path, {"epochs": 3})
    assert again.train(tasks(calls), list[int], jobs) == [[1], [2], [3]]
    assert sorted(calls) == ["a", "bb", "ccc"]
    assert (cells.done_before, again.done_before) == (0, 1)
    fresh = Cells(tmp_path, {"epochs": 4}, fresh=True)
    assert fresh.read("bb", list[int]) is None


def test_another_configuration_is_an_error_with_the_difference(tmp_path):
    Cells(tmp_path, {"epochs": 3, "hidden": (8, 8), "device": "cpu"})
    Cells(tmp_path, {"epochs": 3, "hidden": (8, 8), "device": "cpu"})
    with pytest.raises(CheckpointError) as error:
        Cells(tmp_path, {"epochs": 4, "hidden": (8, 8), "limit": 5, "device": "cpu"})
    assert str(error.value) == (
        f"{tmp_path}: expected epochs 3, limit not there, as in the run that lies there, "
        "got epochs 4, limit 5; choose another --output-dir, or start over with --fresh"
    )


@pytest.mark.parametrize(
    "contents", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": ' + b" " * (1 << 20) + b"1}"]
)
def test_a_configuration_that_is_none_is_refused(contents, tmp_path):
    (tmp_path / "configuration.json").write_bytes(contents)
    with pytest.raises(CheckpointError, match="expected the configuration of a run in JSON, got"):
        Cells(tmp_path, {"epochs": 3})
    Cells(tmp_path, {"epochs": 3}, fresh=True)


def test_a_damaged_result_is_refused(tmp_path):
    cells = Cells(tmp_path, {})
    cells.train(tasks([]), list[int], 1)
    (tmp_path / "cells/a.cell").write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"a\.cell: expected .*--fresh"):
        cells.train(tasks([]), list[int], 1)


def test_checkpoints_go_when_the_result_is_kept_and_stay_after_a_failure(tmp_path):
    cells = Cells(tmp_path, {})

    def task(checkpoint):
        for path in (checkpoint.path, checkpoint.previous, checkpoint.part("S = 1").path):
            path.write_bytes(b"")
        return [1]

    def fails(checkpoint):
        checkpoint.path.write_bytes(b"")
        raise OSError("no space left")

    cells.train({"a": task}, list[int], 1)
    with pytest.raises(OSError, match="no space left"):
        cells.train({"a1": fails}, list[int], 1)
    assert {path.name for path in (tmp_path / "cells").iterdir()} == {"a.cell", "a1.checkpoint"}


# -- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_trainings_after_their_step(number, jobs, tmp_path):
    cells = Cells(tmp_path, {})
    written = []

    def task(checkpoint):
        if checkpoint.path.name == "b.checkpoint":  # a second signal would end this process
            os.kill(os.getpid(), number)
        assert checkpoint.stop.wait(timeout=30)
        written.append(checkpoint.path.name)
        raise Stopped

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as error:
        cells.train({"a": lambda _: [1], "b": task, "c": task}, list[int], jobs)
    assert signal.getsignal(number) is before
    assert str(error.value) == (
        f"stopped by {signal.Signals(number).name} with 1 of 3 networks done; "
        "the same command goes on here"
    )
    assert error.value.signal == number
    assert "b.checkpoint" in written


def test_the_second_signal_is_the_usual_one():
    with stop_on_signals() as (stop, received):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(timeout=30)
        assert received == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_in_another_thread_signals_are_left_alone():
    found = []

    def run():
        with stop_on_signals() as (stop, _):
            found.append(stop.is_set())

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGTERM) is before
