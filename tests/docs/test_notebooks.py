"""The notebooks run from top to bottom, and their stored outputs are the current ones."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from docs_text import DOCS, ROOT

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
RUNS = {path.parent.name for path in (DOCS / "results").glob("*/report.md")}
STUDIES = {path.stem for path in (ROOT / "experiments").glob("*.py")} & RUNS
ALWAYS = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
DATA = re.compile(
    r"^(?:MNIST|Fashion-MNIST|CIFAR-10|CIFAR-100|stand-in|MiniLM|a network of two blocks).*$",
    re.MULTILINE,
)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def execute(path: Path, environment: dict[str, str]) -> Any:
    """The notebook after its cells ran, in a separate kernel."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(env=os.environ | environment, cwd=str(path.parent))
    return notebook


def printed(notebook: Any) -> list[str]:
    """What each code cell printed."""
    return [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def figures(notebook: Any) -> list[int]:
    """How many figures each code cell drew."""
    return [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def said(notebook: Any) -> str:
    """The data and weights that the notebook says it used; empty if it uses none."""
    return ", ".join(DATA.findall("".join(printed(notebook))))


def differences(stored: list[str], now: list[str]) -> list[str]:
    """Texts that differ in words, or in numbers by more than another processor would explain."""
    found = []
    for old, new in zip(stored, now, strict=True):
        ours, theirs = ([float(n) for n in NUMBER.findall(text)] for text in (old, new))
        same_words = NUMBER.sub("#", old).split() == NUMBER.sub("#", new).split()
        if not same_words or ours != pytest.approx(theirs, rel=0.2, abs=0.03):
            found.append(f"stored:\n{old}\nnow:\n{new}")
    return found


def complaints(notebook: Any) -> bool:
    return any(
        o.get("name") == "stderr" for cell in notebook.cells for o in cell.get("outputs", [])
    )


each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each
def test_each_notebook_runs_without_any_data(path, tmp_path):
    places = ("MINIDL_DATA", "XDG_CACHE_HOME", "IPYTHONDIR")
    nowhere = dict.fromkeys(places, str(tmp_path))  # so it uses the stand-in
    now, stored = execute(path, nowhere | ALWAYS), nbformat.read(path, as_version=4)
    assert [bool(text) for text in printed(stored)] == [bool(text) for text in printed(now)]
    assert figures(stored) == figures(now)
    assert not complaints(now)


@each
def test_each_notebook_reproduces_its_stored_outputs(path, tmp_path):
    """The stored outputs come from the real data, which their first lines name."""
    now = execute(path, ALWAYS | {"IPYTHONDIR": str(tmp_path)})
    stored = nbformat.read(path, as_version=4)
    if said(now) != said(stored):
        pytest.skip(f"no data set in MINIDL_DATA or the user's cache: {said(stored)}")
    assert differences(printed(stored), printed(now)) == []
    assert not complaints(now)


@each
def test_stored_outputs_do_not_come_from_the_stand_in(path):
    text = "".join(printed(nbformat.read(path, as_version=4)))
    assert "stand-in" not in text
    assert "from nothing" not in text


def test_each_belongs_to_a_study():
    assert {path.stem for path in NOTEBOOKS} <= STUDIES


def test_a_changed_word_and_a_changed_number_are_differences():
    stored = ["loss 4.61 after 3", ""]
    assert differences(stored, ["loss  4.60 after 3", ""]) == []
    assert len(differences(stored, ["loss 3.61 after 3", ""])) == 1
    assert len(differences(stored, ["lost 4.61 after 3", ""])) == 1
