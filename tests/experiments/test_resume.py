"""The main experiment interrupted from outside, and started again with the same command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from test_contract import results

SCRIPT = Path(__file__).parents[2] / "experiments" / "cifar100.py"
SMALL = (
    *("--dataset", "stand-in", "--limit", "400", "--hidden", "16", "--epochs", "3"),
    *("--batch-size", "20", "--jobs", "2", "--device", "cpu", "--checkpoint-every", "5"),
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them"),
]


def start(folder: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), *SMALL, "--output-dir", str(folder), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen) -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, out + error
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple:
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder))
    return results(folder)


def wait_for_checkpoints(process: subprocess.Popen, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("cells/*.checkpoint.previous"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refusal(folder: Path, *more: str) -> str:
    """What a start says that ends at once."""
    process = start(folder, *more)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    return error


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_interrupted_and_resumed_it_gives_the_same_results(number, whole, tmp_path):
    process = start(tmp_path)
    wait_for_checkpoints(process, tmp_path)
    if number == signal.SIGKILL:
        process.send_signal(signal.SIGSTOP)  # as long as it exists, nobody else writes here
        assert "another process is using this folder" in refusal(tmp_path)
        assert "another process is using this folder" in refusal(tmp_path, "--fresh")
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert "cifar100: stopped by SIGTERM with 0 of 2 networks done; run the same" in error
    assert not (tmp_path / "summary.json").exists()
    said = refusal(tmp_path, "--epochs", "4")
    assert "expected epochs 3, as in the run stored there, got epochs 4" in said

    assert finish(start(tmp_path)).count("resumes at epoch") == 2
    assert results(tmp_path) == whole
    assert not list(tmp_path.rglob("*.part"))
    assert {path.suffix for path in (tmp_path / "cells").iterdir()} == {".cell"}


def test_a_reader_of_the_output_that_goes_after_the_first_line_costs_nothing(tmp_path):
    with start(tmp_path, "--epochs", "1") as process:
        assert process.stdout.readline().startswith("data:")
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(120) == 0, error
    assert "cifar100: not all was shown on standard output: " in error
    assert error.count("\n") == 1
    assert (tmp_path / "report.md").exists()


def test_ctrl_c_is_quiet_from_the_first_moment(tmp_path):
    for seconds in (0.2, 0.5, 1.0):
        process = start(tmp_path / str(seconds))
        time.sleep(seconds)
        while process.poll() is None:  # Python loses one that comes while it destroys an object
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
        _, error = process.communicate()
        assert process.returncode in (130, -signal.SIGINT), error  # the latter by a second one
        assert "Traceback" not in error
