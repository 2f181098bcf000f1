"""Skipped tests are listed after the result, each reason once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SKIPS = """
import pytest

@pytest.fixture
def gpu():
    pytest.skip("no GPU")

@pytest.mark.parametrize("n", range(5))
def test_one(n, gpu): pass

def test_another(gpu): pass

@pytest.mark.skipif(True, reason="no browser")
def test_page(): pass

def test_that_runs(): pass
"""


def run(folder: Path, tests: str) -> list[str]:
    """The lines that pytest prints about these tests."""
    (folder / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "skips", "-p", "no:cacheprovider"]
    path = str(Path(__file__).parent / "support")
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(folder), str(folder)],
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_each_reason_is_a_line(tmp_path):
    said = run(tmp_path, SKIPS)
    at = next(i for i, line in enumerate(said) if " skipped ==" in line)
    assert said[at + 1 : at + 3] == ["    6  no GPU", "    1  no browser"]
    assert said[at + 3].startswith("1 passed, 7 skipped")


def test_without_skips_nothing_is_listed(tmp_path):
    said = run(tmp_path, "def test_that_runs(): pass")
    assert not any("skipped" in line for line in said)
