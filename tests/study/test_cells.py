"""The training runs of a study: done once, kept, bound to what they are, stopped without a loss."""

from __future__ import annotations

import functools
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy
from minidl.storage.sealed import read_sealed, write_sealed
from minidl.study.cells import Cells
from minidl.study.order import Cell, weights_file
from minidl.study.pools import Threads
from minidl.study.recording import History, record
from minidl.study.signals import Interrupted, stop_on_signals
from minidl.training.checkpoint import CheckpointError, Stopped
from minidl.training.software import Software


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
    assert cells.train({"bb": tasks(calls)["bb"]}, list[int], Threads(jobs)) == [[2]]
    again = Cells(tmp_path, {"epochs": 3})
    assert again.train(tasks(calls), list[int], Threads(jobs)) == [[1], [2], [3]]
    assert sorted(calls) == ["a", "bb", "ccc"]
    assert (cells.done_before, again.done_before) == (0, 1)
    fresh = Cells(tmp_path, {"epochs": 4}, fresh=True)
    assert fresh.read("bb", list[int]) is None


def test_another_configuration_is_an_error_with_the_difference(tmp_path):
    for _ in range(2):
        Cells(tmp_path, {"epochs": 3, "hidden": (8, 8), "device": "cpu"}).train(
            {}, list, Threads(1)
        )
    with pytest.raises(CheckpointError) as error:
        Cells(tmp_path, {"epochs": 4, "hidden": (8, 8), "limit": 5, "device": "cpu"})
    assert str(error.value) == (
        f"{tmp_path}: expected epochs 3, limit not there, as in the run stored there, "
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
    cells.train(tasks([]), list[int], Threads(1))
    (tmp_path / "cells/a.cell").write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"a\.cell: expected .*--fresh"):
        cells.train(tasks([]), list[int], Threads(1))


def test_checkpoints_go_when_the_result_is_kept_and_stay_after_a_failure(tmp_path):
    cells = Cells(tmp_path, {})

    def task(checkpoint):
        for path in (checkpoint.path, checkpoint.previous, checkpoint.part("S = 1").path):
            path.write_bytes(b"")
        return [1]

    def fails(checkpoint):
        checkpoint.path.write_bytes(b"")
        raise OSError("no space left")

    cells.train({"a": task}, list[int], Threads(1))
    with pytest.raises(OSError, match="no space left"):
        cells.train({"a1": fails}, list[int], Threads(1))
    assert {path.name for path in (tmp_path / "cells").iterdir()} == {"a.cell", "a1.checkpoint"}


# -- bound to what they are -----------------------------------------------------------------------

DATA = {"cifar-100": "a1", "mnist": "b2"}


def trained(folder, configuration=None, names=("relu-seed0", "sigmoid-seed0"), data=DATA, **more):
    cells = Cells(folder, configuration or {"optimizer": "adam"}, data, **more)
    return cells, cells.train(
        {name: counting([], name, [len(name)]) for name in names}, list, Threads(1)
    )


def swap(one, other):
    contents = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(contents)


def test_swapped_results_are_refused_by_name(tmp_path):
    trained(tmp_path)
    swap(*(tmp_path / "cells" / f"{name}-seed0.cell" for name in ("relu", "sigmoid")))
    with pytest.raises(
        CheckpointError,
        match=r"relu-seed0\.cell: is of another training run: expected name relu-seed0, "
        r"got name sigmoid-seed0; remove it \(--fresh\)",
    ):
        trained(tmp_path)


def test_a_result_of_other_options_is_refused_also_without_the_configuration(tmp_path):
    for name, optimizer in (("adam", "adam"), ("sgd", "sgd")):
        (tmp_path / name).mkdir()
        trained(tmp_path / name, {"optimizer": optimizer})
    adam, sgd = (tmp_path / name / "cells/relu-seed0.cell" for name in ("adam", "sgd"))
    adam.write_bytes(sgd.read_bytes())
    words = r'relu-seed0\.cell: .* expected optimizer "adam", got optimizer "sgd"; remove it'
    with pytest.raises(CheckpointError, match=words):
        trained(tmp_path / "adam")
    (tmp_path / "sgd/configuration.json").unlink()
    with pytest.raises(CheckpointError, match=words):
        trained(tmp_path / "sgd")


def test_other_data_are_refused_and_other_data_sets_are_not(tmp_path):
    trained(tmp_path, data={"mnist": "b2"})
    trained(tmp_path, data=DATA)
    trained(tmp_path, data={"cifar-100": "a1"})
    with pytest.raises(CheckpointError, match=r'expected data mnist "b2", as in the run .* "b3"'):
        trained(tmp_path, data={"mnist": "b3"})
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match=r'cell: .* expected data mnist "b3", got .* "b2"'):
        trained(tmp_path, data={"mnist": "b3"})


def test_a_start_that_is_refused_leaves_the_run_as_it_was(tmp_path):
    trained(tmp_path, {"optimizer": "adam"})
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match="is of another training run"):
        trained(tmp_path, {"optimizer": "sgd"})
    assert trained(tmp_path, {"optimizer": "adam"})[0].done_before == 2


TRAIN = Examples(np.random.default_rng(0).normal(size=(40, 300)).astype("f4"), np.arange(40) % 4)


def train_small(name, weights, checkpoint, units=500):
    network = Network([Dense(300, units, "relu"), Dense(units, 4)], 300, rng=len(name))
    options = {"epochs": 3, "batch_size": 20, "progress": False, "checkpoint": checkpoint}
    history = record(network, TRAIN, TRAIN, SoftmaxCrossEntropy(), Adam(), **options)
    network.save(weights)
    return history


def study(folder, jobs=1, names=("a", "bb", "ccc"), threads=2, stop_at=None):
    """Three small training runs; their weights files."""
    cells = Cells(folder, {}, threads=threads)

    def task(name, checkpoint):
        history = train_small(name, weights_file(folder, name), checkpoint)
        if name == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return history

    tasks = {name: functools.partial(task, name) for name in names}
    cells.train(tasks, History, Threads(jobs), weights=True)
    return {path.name: path.read_bytes() for path in sorted((folder / "weights").iterdir())}


def test_a_checkpoint_of_another_training_run_is_refused_by_name(tmp_path):
    def interrupted(checkpoint):
        train_small("a", tmp_path / "w.npz", checkpoint)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        Cells(tmp_path, {}, {"mnist": "b2"}).train({"a": interrupted}, History, Threads(1))
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match=r'expected data mnist "b3", got data mnist "b2"'):
        Cells(tmp_path, {}, {"mnist": "b3"}).train({"a": interrupted}, History, Threads(1))
    for end in ("", ".previous"):
        (tmp_path / f"cells/a.checkpoint{end}").rename(tmp_path / f"cells/bb.checkpoint{end}")
    with pytest.raises(
        CheckpointError, match=r"bb\.checkpoint: is of another .* expected name bb, got name a"
    ):
        study(tmp_path, threads=1)
    with pytest.raises(CheckpointError, match="name bb, threads 2, got name a, threads 1"):
        study(tmp_path, names=["bb"], threads=2)


# -- the same bits, whatever runs beside it -------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_with_any_number_of_jobs_and_for_the_last_one_alone(threads, tmp_path):
    for name in ("one", "three", "rest"):
        (tmp_path / name).mkdir()
    whole = study(tmp_path / "one", 1, threads=threads)
    assert study(tmp_path / "three", 3, threads=threads) == whole
    study(tmp_path / "rest", 2, ["a", "bb"], threads)
    assert study(tmp_path / "rest", 2, threads=threads) == whole  # one is left


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("jobs", [1, 2])
def test_each_has_its_number_of_threads_wherever_it_is_trained(jobs, threads, tmp_path):
    def blas():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    def task(checkpoint):
        return list(blas())

    before = blas()
    for names in (["a", "b"], ["a", "b", "c"]):  # side by side, and what is left alone
        cells = Cells(tmp_path, {}, threads=threads)
        found = cells.train(dict.fromkeys(names, task), list[int], Threads(jobs))
        assert found == [[threads]] * len(names)
    assert blas() == before


# -- what it was computed with --------------------------------------------------------------------


def test_other_software_is_said_and_known_and_trained_on(tmp_path, capsys, monkeypatch):
    whole = study(tmp_path)
    cell = read_sealed(tmp_path / "cells/a.cell", Cell)
    (now,) = cell.software
    assert {"minidl", "Python", "NumPy", "BLAS", "BLAS threads"} <= set(now.parts)
    assert now.parts["NumPy"] == np.__version__
    older = Software(now.parts | {"NumPy": "1.0"})
    write_sealed(tmp_path / "cells/a.cell", replace(cell, software=[older]))
    cells = Cells(tmp_path, {}, threads=2)
    capsys.readouterr()
    cells.train(dict.fromkeys(("a", "bb"), None), History, Threads(1))
    said = capsys.readouterr().err
    assert f"results were computed with other software: NumPy {np.__version__} (1.0)" in said
    assert cells.software == [older, now]

    (tmp_path / "on").mkdir()
    monkeypatch.setattr(Software, "now", lambda: older)
    with pytest.raises(Interrupted):
        study(tmp_path / "on", stop_at="a", names=["a", "bb"])
    monkeypatch.undo()
    assert study(tmp_path / "on") == whole
    said = capsys.readouterr().err
    assert said.count("a.checkpoint: resumed with other software") == 0  # it was done
    assert f"bb.checkpoint: resumed with other software than before: NumPy {np.__version__}" in said
    assert read_sealed(tmp_path / "on/cells/bb.cell", Cell).software == [older, now]


# -- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "damaged", "cut", "pipe"])
def test_weights_that_are_gone_or_damaged_are_said_and_written_again(damage, tmp_path, capsys):
    whole = study(tmp_path)
    path = tmp_path / "weights/bb.npz"
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage != "gone":
        path.write_bytes(whole["bb.npz"][:100] if damage == "cut" else b"rubbish")
    capsys.readouterr()
    assert study(tmp_path) == whole
    word = "missing" if damage == "gone" else "damaged"
    assert capsys.readouterr().err == f"minidl: {path}: {word}; written again\n"


# -- files of other people ------------------------------------------------------------------------


def test_fresh_removes_what_minidl_wrote_and_nothing_else(tmp_path):
    study(tmp_path)
    theirs = [tmp_path / "cells" / name for name in ("notes.txt", "a.b.cell.txt", "x.part")]
    theirs += [tmp_path / "weights/mine.npz"]
    for path in theirs:
        path.write_text("mine")
    (tmp_path / "cells/folder.cell").mkdir()
    Cells(tmp_path, {"epochs": 4}, fresh=True)
    left = {p for p in tmp_path.rglob("*") if p.is_file() and p.name != "configuration.json"}
    assert left == set(theirs)
    assert (tmp_path / "cells/folder.cell").is_dir()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_link_in_the_place_of_the_cells_is_refused(fresh, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/a.cell").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/cells").symlink_to(tmp_path / "theirs")
    with pytest.raises(NotADirectoryError, match="cells: expected a folder, got a symbolic link"):
        Cells(tmp_path / "run", {}, fresh=fresh)
    assert (tmp_path / "theirs/a.cell").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["configuration.json", "cells/a.cell", "cells/a.checkpoint"])
def test_a_pipe_is_not_waited_for(name, tmp_path):
    (tmp_path / "cells").mkdir()
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match=f"{name}: expected a plain file, got a pipe"):
        study(tmp_path)


def test_checkpoints_that_a_kill_left_beside_a_result_are_removed(tmp_path):
    trained(tmp_path)
    left = [tmp_path / "cells" / f"relu-seed0{end}" for end in (".checkpoint", ".S = 1.checkpoint")]
    for path in left:
        path.touch()
    trained(tmp_path)
    assert not any(path.exists() for path in left)


# -- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_training_runs_after_their_step(number, jobs, tmp_path):
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
        cells.train({"a": lambda _: [1], "b": task, "c": task}, list[int], Threads(jobs))
    assert signal.getsignal(number) is before
    assert str(error.value) == (
        f"stopped by {signal.Signals(number).name} with 1 of 3 networks done; "
        "run the same command again to resume"
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
