"""Run a study in this process, on the test's own data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from minidl.data import Dataset
from minidl.study import Study


def give(monkeypatch: pytest.MonkeyPatch, data: Dataset | Mapping[str, Dataset]) -> None:
    """Make a study load this data set, or the one of the requested name."""

    def load(name: str, *_: Any, **__: Any) -> Dataset:
        return data[name] if isinstance(data, Mapping) else data

    monkeypatch.setattr("minidl.study.study.load", load)


def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no charts and no pictures: they take longer than the rest of a small run."""
    for module in ("report", "folder"):
        monkeypatch.setattr(f"minidl.study.{module}.write_figure", lambda path, figure: None)
    monkeypatch.setattr("minidl.study.report.drawn", lambda chart, stamp: None)


def run(study: Study, folder: Path, *arguments: str) -> Path:
    """Run the command on the CPU; returns its folder."""
    return study.run([*arguments, "--device", "cpu", "--output-dir", str(folder)])


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found
