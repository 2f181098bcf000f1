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

ONE = Threads(1)
DATA = {"cifar-100": "a1", "mnist": "b2"}


def trained(folder, configuration=None, data=DATA, names=("relu", "sigmoid"), pool=ONE, **more):
    """Cells whose results are the lengths of their names."""
    cells = Cells(folder, configuration or {"optimizer": "adam"}, data, **more)
    tasks = {name: lambda _, name=name: [len(name)] for name in names}
    return cells, cells.train(tasks, list[int], pool)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_done_is_not_done_again(jobs, tmp_path):
    calls = []

    def task(name, checkpoint):
        calls.append(name)
        return [len(name)]

    tasks = {name: functools.partial(task, name) for name in ("a", "bb", "ccc")}
    cells = Cells(tmp_path, {"epochs": 3})
    assert cells.train({"bb": tasks["bb"]}, list[int], Threads(jobs)) == [[2]]
    again = Cells(tmp_path, {"epochs": 3})
    assert again.train(tasks, list[int], Threads(jobs)) == [[1], [2], [3]]
    assert sorted(calls) == ["a", "bb", "ccc"]
    assert (cells.done_before, again.done_before) == (0, 1)
    assert Cells(tmp_path, {"epochs": 4}, fresh=True).read("bb", list[int]) is None


def test_another_configuration_is_an_error_with_the_difference(tmp_path):
    for _ in range(2):
        trained(tmp_path, {"epochs": 3, "hidden": (8, 8), "device": "cpu"})
    with pytest.raises(CheckpointError) as error:
        Cells(tmp_path, {"epochs": 4, "hidden": (8, 8), "limit": 5, "device": "cpu"})
    assert str(error.value) == (
        f"{tmp_path}: expected epochs 3, limit not there, as in the run stored there, "
        "got epochs 4, limit 5; choose another --output-dir, or start over with --fresh"
    )


def test_files_that_are_none_of_a_run_are_refused(tmp_path):
    large = b'{"a": ' + b" " * (1 << 20) + b"1}"
    for contents in (b"", b"{", b"[1]", b"\xff", b"[" * 100_000, large):
        (tmp_path / "configuration.json").write_bytes(contents)
        with pytest.raises(CheckpointError, match="expected the configuration of a run in JSON, g"):
            trained(tmp_path)
    trained(tmp_path, fresh=True)
    (tmp_path / "cells/relu.cell").write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"relu\.cell: expected .*--fresh"):
        trained(tmp_path)


def test_checkpoints_go_when_the_result_is_kept_and_stay_after_a_failure(tmp_path):
    def task(checkpoint):
        for path in (checkpoint.path, checkpoint.previous, checkpoint.child("S = 1").path):
            path.write_bytes(b"")
        return [1]

    def fails(checkpoint):
        checkpoint.path.write_bytes(b"")
        raise OSError("no space left")

    cells = Cells(tmp_path, {})
    cells.train({"a": task}, list[int], ONE)
    with pytest.raises(OSError, match="no space left"):
        cells.train({"a1": fails}, list[int], ONE)
    assert {path.name for path in (tmp_path / "cells").iterdir()} == {"a.cell", "a1.checkpoint"}
    for end in (".checkpoint", ".S = 1.checkpoint"):  # as a kill leaves them beside a result
        (tmp_path / f"cells/a{end}").touch()
    cells.train({"a": task}, list[int], ONE)
    assert {path.name for path in (tmp_path / "cells").iterdir()} == {"a.cell", "a1.checkpoint"}


# -- bound to what they are -----------------------------------------------------------------------


def test_results_of_others_are_refused_by_name_also_without_the_configuration(tmp_path):
    for name in ("adam", "sgd"):
        (tmp_path / name).mkdir()
        trained(tmp_path / name, {"optimizer": name})
    adam, sgd, other = (
        tmp_path / f"{name}.cell"
        for name in ("adam/cells/relu", "sgd/cells/relu", "adam/cells/sigmoid")
    )
    adam.write_bytes(sgd.read_bytes())
    (tmp_path / "sgd/configuration.json").unlink()
    words = r'relu\.cell: .* expected optimizer "adam", got optimizer "sgd"; remove it'
    for folder in ("adam", "sgd"):
        with pytest.raises(CheckpointError, match=words):
            trained(tmp_path / folder, {"optimizer": "adam"})
    assert trained(tmp_path / "sgd", {"optimizer": "sgd"})[0].done_before == 2  # left as it was
    adam.write_bytes(other.read_bytes())
    words = r"relu\.cell: is of another training run: expected name relu, got name sigmoid; remove"
    with pytest.raises(CheckpointError, match=words):
        trained(tmp_path / "adam", {"optimizer": "adam"})


def test_other_data_are_refused_and_other_data_sets_are_not(tmp_path):
    for data in ({"mnist": "b2"}, DATA, {"cifar-100": "a1"}):
        trained(tmp_path, data=data)
    with pytest.raises(CheckpointError, match=r'expected data mnist "b2", as in the run .* "b3"'):
        trained(tmp_path, data={"mnist": "b3"})
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match=r'cell: .* expected data mnist "b3", got .* "b2"'):
        trained(tmp_path, data={"mnist": "b3"})


TRAIN = Examples(np.random.default_rng(0).normal(size=(40, 300)).astype("f4"), np.arange(40) % 4)


def train_small(name, weights, checkpoint, units=20):
    network = Network([Dense(300, units, "relu"), Dense(units, 4)], 300, rng=len(name))
    options = {"epochs": 2, "batch_size": 20, "progress": False, "checkpoint": checkpoint}
    history = record(network, TRAIN, TRAIN, SoftmaxCrossEntropy(), Adam(), **options)
    network.save(weights)
    return history


def study(folder, jobs=1, names=("a", "bb", "ccc"), threads=2, stop_at=None, units=20):
    """Three small training runs; their weights files."""
    cells = Cells(folder, {}, threads=threads)

    def task(name, checkpoint):
        history = train_small(name, weights_file(folder, name), checkpoint, units)
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
        Cells(tmp_path, {}, {"mnist": "b2"}).train({"a": interrupted}, History, ONE)
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match=r'expected data mnist "b3", got data mnist "b2"'):
        Cells(tmp_path, {}, {"mnist": "b3"}).train({"a": interrupted}, History, ONE)
    for end in ("", ".previous"):
        (tmp_path / f"cells/a.checkpoint{end}").rename(tmp_path / f"cells/bb.checkpoint{end}")
    words = r"bb\.checkpoint: is of another .* name bb, threads 2, got name a, threads 1"
    with pytest.raises(CheckpointError, match=words):
        study(tmp_path, names=["bb"], threads=2)


# -- the same bits, whatever runs beside it -------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_with_any_number_of_jobs_and_for_the_last_one_alone(threads, tmp_path):
    for name in ("one", "three", "rest"):
        (tmp_path / name).mkdir()
    more = {"threads": threads, "units": 200}  # enough for BLAS to use two threads
    whole = study(tmp_path / "one", 1, **more)
    assert study(tmp_path / "three", 3, **more) == whole
    study(tmp_path / "rest", 2, ["a", "bb"], **more)
    assert study(tmp_path / "rest", 2, **more) == whole  # one is left


def blas():
    return sorted({one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"})


@pytest.mark.parametrize("threads", [1, 2])
def test_each_has_its_number_of_threads_wherever_it_is_trained(threads, tmp_path):
    before = blas()
    for names, jobs in ((["a"], 1), (["a", "b", "c"], 2), (["a", "b", "c", "d"], 2)):
        cells = Cells(tmp_path, {}, threads=threads)  # side by side, and what is left alone
        found = cells.train(dict.fromkeys(names, lambda _: blas()), list[int], Threads(jobs))
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
    cells.train(dict.fromkeys(("a", "bb"), None), History, ONE)
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


# -- files beside them ----------------------------------------------------------------------------


def test_weights_that_are_gone_or_damaged_are_said_and_written_again(tmp_path, capsys):
    whole = study(tmp_path)
    path = tmp_path / "weights/bb.npz"
    for damage in (None, b"rubbish", whole["bb.npz"][:100]):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        capsys.readouterr()
        assert study(tmp_path) == whole
        word = "missing" if damage is None else "damaged"
        assert capsys.readouterr().err == f"minidl: {path}: {word}; written again\n"


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


def test_a_link_in_the_place_of_the_cells_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/a.cell").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/cells").symlink_to(tmp_path / "theirs")
    for fresh in (True, False):
        with pytest.raises(NotADirectoryError, match="cells: expected a folder, got a symbolic l"):
            Cells(tmp_path / "run", {}, fresh=fresh)
    assert (tmp_path / "theirs/a.cell").read_text() == "mine"


# -- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_training_runs_after_their_step(number, jobs, tmp_path):
    written = []

    def task(checkpoint):
        if checkpoint.path.name == "b.checkpoint":  # a second signal would end this process
            os.kill(os.getpid(), number)
        assert checkpoint.stop.wait(timeout=30)
        written.append(checkpoint.path.name)
        raise Stopped

    before = signal.getsignal(number)
    tasks = {"a": lambda _: [1], "b": task, "c": task}
    with pytest.raises(Interrupted) as error:
        Cells(tmp_path, {}).train(tasks, list[int], Threads(jobs))
    assert signal.getsignal(number) is before
    assert str(error.value) == (
        f"stopped by {signal.Signals(number).name} with 1 of 3 networks done; "
        "run the same command again to resume"
    )
    assert error.value.signal == number
    assert "b.checkpoint" in written


def test_the_second_signal_is_the_usual_one(request):
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, former))
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
