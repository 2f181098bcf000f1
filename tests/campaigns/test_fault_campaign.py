"""A few rounds of the fault campaign; docs/robustness.md reports thousands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fault_campaign import LOST, RUNS, STEPS, count_repeated

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign needs os.fork")
CAMPAIGN = Path(__file__).parents[2] / "campaigns" / "fault_campaign.py"


@pytest.mark.slow
@needs_fork
def test_nothing_is_lost_in_a_short_campaign(tmp_path):
    output = tmp_path / "counts.json"
    command = [sys.executable, str(CAMPAIGN), "--kills", "20", "--damage", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(output.read_text())
    kills, damage = counts["kill -9"], counts["damage"]
    assert kills["killed"] >= 20
    assert kills["training runs resumed to the end"] >= 2
    for lost in LOST:
        assert kills.get(lost, 0) == 0
    tried = damage["checkpoints cut off"] + damage["checkpoints with a flipped bit"]
    assert damage["the one before was used"] == tried > 10_000
    assert damage["accepted"] == 0


def test_a_training_run_that_starts_over_or_does_too_little_is_counted(tmp_path):
    for again, wrong in ((-1, 1), (0, 0), (6, 0), (7, 1), (STEPS, 1)):
        steps, counted = tmp_path / "steps", Counter()
        steps.write_bytes(b"." * (STEPS + again))
        count_repeated(steps, 6 // RUNS, counted)
        assert counted == {"steps done again": again, "runs that started over": wrong}


@pytest.mark.slow
@needs_fork
def test_a_run_that_finds_its_work_done_cannot_be_the_reference(tmp_path):
    """Two runs in one folder: the second one trains nothing."""
    twice = (
        "import pathlib, sys, fault_campaign as f; folder = pathlib.Path(sys.argv[1]); "
        "f.undisturbed(folder); (folder / 'whole.steps').unlink(); f.undisturbed(folder)"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", twice, str(tmp_path)]
    done = subprocess.run(
        command, cwd=CAMPAIGN.parent, capture_output=True, text=True, env=environment, check=False
    )
    assert done.stderr.endswith(
        f"expected {STEPS} steps of two training runs and status 0, got 0 and 0\n"
    )
