"""A reader of the output that goes away does not cost the result of an experiment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "cifar100.py"
SMALL = (
    *("--dataset", "stand-in", "--limit", "100", "--hidden", "16", "--epochs", "2"),
    *("--batch-size", "20", "--device", "cpu"),
)


def test_a_reader_that_goes_after_the_first_line(tmp_path):
    command = [sys.executable, str(SCRIPT), *SMALL, "--output-dir", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline().startswith(b"data:")
        process.stdout.close()
        error = process.stderr.read().decode()
        assert process.wait(120) == 0, error
    assert "cifar100: not all was shown on standard output: " in error
    assert error.count("\n") == 1
    assert (tmp_path / "report.md").exists()
