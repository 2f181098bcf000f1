"""A grid of one's own: every call is made once and kept, here or on a cluster."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import swept
from small_study import noted

from minidl.study import FolderInUse, Outcome, RunFolder, sweep
from minidl.study.sweep import LARGEST, _pickled
from minidl.training.checkpoint import CheckpointError

GRID = {"width": [4, 8], "rate": [0.1, 0.01]}
SUPPORT = Path(swept.__file__).parent


def test_each_combination_is_called_once_and_the_last_argument_changes_fastest(tmp_path):
    log = str(tmp_path / "log")
    found = sweep(swept.halved, {"log": [log], "number": [3, np.int64(1)]}, tmp_path / "run")
    assert found == [
        Outcome({"log": log, "number": 3}, 1.5),
        Outcome({"log": log, "number": 1}, 0.5),
    ]
    again = sweep(swept.halved, {"log": [log], "number": [1, 5]}, tmp_path / "run", jobs=1)
    assert [result for _, result in again] == [0.5, 2.5]
    assert sorted(int(n) for _, n in noted(tmp_path / "log", "call")) == [1, 3, 5]
    fresh = sweep(swept.halved, {"log": [log], "number": [1]}, tmp_path / "run", fresh=True)
    assert len(fresh) == 1
    assert len(noted(tmp_path / "log", "call")) == 4


def test_what_it_returns_comes_back_as_its_annotation_says(tmp_path):
    first, again = (sweep(swept.trained, GRID, tmp_path / "run") for _ in range(2))
    for (_, ours), (_, theirs) in zip(first, again, strict=True):
        assert isinstance(ours, swept.Trained)
        assert ours.losses == theirs.losses
        assert np.array_equal(ours.theta, theirs.theta)
    assert sweep(swept.rows, {"count": [2]}, tmp_path / "rows")[0].result == {"rows": [0, 1]}


def test_values_are_distinguished_however_they_are_written(tmp_path):
    values = ["a.b", "a_b", "a/b", "Ａ", "x" * 300, "", True, 1.5, None, [1, (2, "z")]]
    found = sweep(taking, {"value": values}, tmp_path / "run")
    assert [result for _, result in found] == [
        repr(value) for value in (*values[:-1], [1, [2, "z"]])
    ]


def taking(value: object) -> str:
    return repr(value)


def test_other_lines_of_the_function_and_a_folder_in_use_are_refused(monkeypatch, tmp_path):
    held = RunFolder(tmp_path, "sweep")
    with pytest.raises(FolderInUse):
        sweep(taking, {"value": [1]}, tmp_path)
    del held
    sweep(taking, {"value": [1]}, tmp_path)
    monkeypatch.setattr("inspect.getsource", lambda function: "def taking(value): return 7")
    with pytest.raises(CheckpointError, match=r"expected lines .* as in the run stored there"):
        sweep(taking, {"value": [1]}, tmp_path)
    with pytest.raises(CheckpointError, match='expected function "taking"'):
        sweep(swept.rows, {"count": [1]}, tmp_path)


def test_a_function_must_say_what_it_returns_and_return_it(tmp_path):
    with pytest.raises(
        ValueError, match=r"got none; write, for example: def unannotated\(…\) -> float"
    ):
        sweep(swept.unannotated, {"number": [1]}, tmp_path)

    grid = {"log": [os.devnull], "number": [1], "kind": ["wrong"]}
    with pytest.raises(ValueError, match=r"the result does not have the declared type: .*float"):
        sweep(swept.halved, grid, tmp_path / "run")
    assert not list(tmp_path.glob("run/cells/*.cell"))


def test_what_has_no_lines_of_its_own_is_refused(tmp_path):
    def closure(value: int) -> int:
        return value

    words = "expected a function at the top level of a module or a script"
    for function in (closure, "".join, functools.partial(taking)):
        with pytest.raises(ValueError, match=words):
            sweep(function, {"value": [1]}, tmp_path)


# -- on a cluster -----------------------------------------------------------------------------

SCRIPT = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from minidl.study import sweep
from swept import trained

LARGE = np.zeros(2_000_000)

@dataclass
class Mine:
    loss: float
    theta: np.ndarray

def mine(width: int, rate: float, checkpoint) -> Mine:
    found = trained(width, rate, checkpoint)
    return Mine(found.losses[-1], found.theta)

def large(width: int) -> float:
    return float(LARGE[width])
"""
CALLED = """
if __name__ == "__main__":
    grid = {"width": [4, 8], "rate": [0.1, 0.01]}
    for again in range(2):  # the class was read from files by then
        grid["rate"][1] /= again + 1
        for point, result in sweep(mine, grid, "run", workers=2 - again):
            print(point, type(result).__name__, result.loss, float(result.theta.sum()))
    try:
        sweep(large, {"width": [1]}, "large", workers=1)
    except ValueError as error:
        print(error)
"""
UNGUARDED = 'sweep(mine, {"width": [4], "rate": [0.1]}, "run", workers=1)\n'


def run(script, folder):
    (folder / "script.py").write_text(script, encoding="utf-8")
    path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])])
    return subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.cluster
def test_a_function_of_a_script_gives_the_same_on_workers(tmp_path):
    done = run(SCRIPT + CALLED, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    here = sweep(swept.trained, GRID, tmp_path / "here")
    expected = [
        f"{point} Mine {result.losses[-1]} {float(result.theta.sum())}" for point, result in here
    ]
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert told[:4] == expected
    assert told[4:8:2] == expected[::2]
    assert "width_4_rate_0_1-" in done.stdout  # says which epoch is whose
    said = f"expected large and what it uses from its script to be at most {LARGEST:,} bytes"
    assert said in done.stdout


@pytest.mark.cluster
def test_a_script_that_starts_workers_when_imported_gets_an_error(tmp_path):
    done = run(SCRIPT + UNGUARDED, tmp_path)
    assert done.returncode == 1
    assert (
        'in a script, put the call under: if __name__ == "__main__":'
        in done.stderr.splitlines()[-1]
    )


@pytest.mark.cluster
def test_a_function_that_cannot_travel_is_refused(monkeypatch):
    monkeypatch.setattr("cloudpickle.dumps", lambda function: [][0])
    with pytest.raises(
        ValueError, match=r"taking cannot be sent to a worker .*; move it to a module"
    ):
        _pickled(taking)
