"""A study under ``mpiexec``: one folder, written by rank 0, with the results of one process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mpi import MARKS, MPIEXEC, mpiexec

SCRIPT = Path(__file__).parents[2] / "experiments" / "cifar100.py"
SMALL = (
    *("--dataset", "stand-in", "--limit", "410", "--hidden", "16", "--epochs", "6"),
    *("--global-batch", "20", "--device", "cpu", "--checkpoint-every", "5"),
)
pytestmark = MARKS


def networks(folder):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {
        name: {key: network[key] for key in ("train_loss", "test_loss", "test_accuracy")}
        for name, network in summary["networks"].items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks") / "run"
    done = mpiexec(2, SCRIPT, *SMALL, "--output-dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("written to ") == 1
    return folder


def test_it_gives_what_one_process_gives(whole, tmp_path):
    command = [sys.executable, str(SCRIPT), *SMALL, "--output-dir", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    for name, alone in networks(tmp_path).items():
        for key, values in alone.items():
            np.testing.assert_allclose(networks(whole)[name][key], values, rtol=1e-3, atol=5e-3)


def test_it_says_how_it_was_started(whole):
    command = json.loads((whole / "summary.json").read_text(encoding="utf-8"))["command"]
    assert command.startswith("mpiexec -n 2 python -m mpi4py experiments/cifar100.py --dataset")


def test_stopped_and_started_again_it_gives_the_same_bits(whole, tmp_path):
    folder = tmp_path / "run"
    words = [str(MPIEXEC), "-n", "2", sys.executable, "-m", "mpi4py", str(SCRIPT), *SMALL]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*words, "--output-dir", str(folder)], stdout=pipe, stderr=pipe, text=True
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("cells/*.checkpoint.previous")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode, error
    assert error.count("cifar100: stopped by SIGINT with 0 of 2") == 1
    assert list(folder.glob("cells/*.checkpoint")) and not list(folder.glob("cells/*.cell"))
    done = mpiexec(2, SCRIPT, *SMALL, "--output-dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumes at epoch" in done.stdout
    assert networks(folder) == networks(whole)


def test_networks_side_by_side_are_refused(tmp_path):
    for option, value, expected in (("--jobs", 2, "1"), ("--workers", 1, "no such option")):
        done = mpiexec(2, SCRIPT, *SMALL, option, value, "--output-dir", tmp_path)
        assert done.returncode == 1
        assert f"of 2: {option}: expected {expected} on 2 ranks, got {value}" in done.stderr


def test_a_run_that_is_done_is_not_done_again(whole):
    before = networks(whole)
    done = mpiexec(2, SCRIPT, *SMALL, "--output-dir", whole)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "epoch 1/6" not in done.stdout
    assert "other software" not in done.stderr
    assert networks(whole) == before
