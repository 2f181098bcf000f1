"""A few rounds of the campaign of faults; thousands are in docs/robustness.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[1] / "benchmarks" / "fault_campaign.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign forks")
def test_nothing_is_lost_in_a_short_campaign(tmp_path):
    output = tmp_path / "counts.json"
    command = [sys.executable, str(CAMPAIGN), "--kills", "20", "--damage", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(output.read_text())
    kills, damage = counts["kill -9"], counts["damage"]
    assert kills["killed"] >= 20
    assert kills["trainings resumed to the end"] >= 2
    for lost in ("files half-written", "results that differ", "parts left behind"):
        assert kills[lost] == 0
    assert "starts that failed" not in kills
    tried = damage["checkpoints cut off"] + damage["checkpoints with a flipped bit"]
    assert damage["the one before was used"] == tried > 10_000
    assert damage["accepted"] == 0
