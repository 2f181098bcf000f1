"""What a user can put right ends a study in one line; all of them share one door."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("activation_study", ["--device", "cpu"]),
        ("adaptive_activations", []),
        ("bert", []),
        ("cifar10_cnn", []),
        ("fashion_mnist", []),
        ("mnist_depth", []),
        ("resnet50", []),
    ],
)
def test_an_error_is_one_line_without_a_traceback(name, options, tmp_path):
    script = EXPERIMENTS / f"{name}.py"
    command = [sys.executable, str(script), "--data-dir", "nowhere", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: ")
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (EXPERIMENTS / "studies").glob("[!_]*"))
)
def test_the_help_says_defaults_as_they_are_typed(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        importlib.import_module(f"studies.{name}").STUDY.options(["--help"])
    said = capsys.readouterr().out
    assert f"(default: runs/{name})" in said
    for untyped in ("None", "True", "False", "["):
        assert f"(default: {untyped}" not in said
