"""A rank that fails ends all of them and is named; an interrupted training run resumes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import failing_rank
import numpy as np
import pytest
from mpi import MARKS, mpiexec

from minidl.storage.files import is_part

pytestmark = MARKS


def run(what, folder, size=3, **more):
    return mpiexec(size, failing_rank.__file__, what, folder, timeout=120, **more)


def results(folder):
    with np.load(folder / "result.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = run("nothing", folder)
    assert done.returncode == 0, done.stderr
    return results(folder)


def expect_named(done):
    """An error of one rank, or its death, ends all; the rank, or its process, is known."""
    if done.returncode == 1:
        assert "minidl: rank 1 of 3 ends all the others with this error:" in done.stderr
        assert "ValueError: a planted error" in done.stderr
        assert "rank 0 of 3 ends" not in done.stderr
        return
    processes = re.findall(r"rank \d is process (\d+)", done.stderr)
    assert len(processes) == 3
    # MPICH tells a process that it found dead, mostly the first to die; Open MPI the rank
    told = rf"PID ({'|'.join(processes)})\b|rank 1 with PID"
    assert re.search(told, done.stdout + done.stderr)


@pytest.mark.parametrize("what", ["raise", "kill"])
def test_it_resumes_to_the_same_bits(what, tmp_path, whole):
    done = run(what, tmp_path)
    assert done.returncode == 1 if what == "raise" else done.returncode not in (0, 1)
    expect_named(done)
    # the newest may be half written, in a file of its own: rank 0 is ended while it writes
    left = {path.name for path in tmp_path.iterdir() if not is_part(path.name)}
    assert left in ({"checkpoint.previous"}, {"checkpoint", "checkpoint.previous"})
    done = run("nothing", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resumes at epoch 2/3" in done.stdout
    for name, array in results(tmp_path).items():
        np.testing.assert_array_equal(array, whole[name])


def test_a_rank_that_exits_ends_all(tmp_path):
    done = run("exit", tmp_path)
    assert done.returncode == 1
    assert "a planted end" in done.stderr


def test_another_number_of_ranks_is_reported(tmp_path):
    assert run("kill", tmp_path).returncode
    done = run("nothing", tmp_path, size=2)
    assert done.returncode == 0, done.stderr
    told = r"resumed with other software than before: MPI \S+ [\d.]+, 2 ranks \(\S+ [\d.]+, 3 ranks"
    assert re.search(told, done.stderr)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("other weights", "expected first parameters"),
        ("other data", "expected examples"),
        ("other threads", "expected BLAS threads 1"),
        ("other options", r"expected optimizer Adam\(learning_rate=0.01"),
    ],
)
def test_a_rank_that_would_train_something_else_is_refused(what, told, tmp_path):
    done = run(what, tmp_path)
    assert done.returncode == 1
    # all three say so at once: only the message is sure to stay in one piece
    assert re.search(rf"rank 1 of 3: {told}.*, as on rank 0, got ", done.stderr)
    assert "epoch" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_plain_python_is_refused(tmp_path):
    done = run("nothing", tmp_path, size=2, python=())
    assert done.returncode == 1
    expected = (
        "RanksError: mpiexec has started 2 processes without -m mpi4py, so that the others would "
        "wait forever for one that fails; start them with: mpiexec -n 2 python -m mpi4py "
        "failing_rank.py"
    )
    assert expected in done.stderr


def test_an_mpiexec_of_another_mpi_is_noticed(tmp_path):
    """It starts processes each of which would take itself for the only one."""
    environment = os.environ | {"MV2_COMM_WORLD_SIZE": "4"}
    command = [sys.executable, "-m", "mpi4py", failing_rank.__file__, "nothing", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "mpiexec has started 4 processes, but mpi4py sees only 1: mpi4py uses another MPI" in (
        done.stderr
    )


def test_a_second_thread_is_refused(tmp_path):
    done = run("thread", tmp_path, size=2)
    assert done.returncode == 1
    assert re.search("rank . of 2: expected all training on one thread, got a second", done.stderr)
