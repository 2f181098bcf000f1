"""The notebooks run from top to bottom, and their stored outputs are the current ones."""

from __future__ import annotations

import itertools
import json
import os
import re
from typing import Any

import pytest
from docs_text import DOCS, ROOT

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
RUNS = {path.parent.name for path in (DOCS / "results").glob("*/report.md")}
STUDIES = {path.stem for path in (ROOT / "experiments").glob("*.py")} & RUNS
DATA = re.compile(
    r"^(?:MNIST|Fashion-MNIST|CIFAR-10|CIFAR-100|stand-in|MiniLM|a network of two blocks).*$",
    re.MULTILINE,
)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def outputs(cells: list[Any]) -> list[list[Any]]:
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def printed(cells: list[Any]) -> list[str]:
    """What each code cell printed."""
    return [
        "".join("".join(each["text"]) for each in cell if each["output_type"] == "stream")
        for cell in outputs(cells)
    ]


def figures(cells: list[Any]) -> list[int]:
    """How many figures each code cell drew."""
    return [sum("image/png" in each.get("data", {}) for each in cell) for cell in outputs(cells)]


def differences(stored: list[str], now: list[str]) -> list[str]:
    """Texts that differ in words, or in numbers by more than another processor would explain."""
    found = []
    for old, new in zip(stored, now, strict=True):
        ours, theirs = ([float(n) for n in NUMBER.findall(text)] for text in (old, new))
        same_words = NUMBER.sub("#", old).split() == NUMBER.sub("#", new).split()
        if not same_words or ours != pytest.approx(theirs, rel=0.2, abs=0.03):
            found.append(f"stored:\n{old}\nnow:\n{new}")
    return found


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_runs_and_reproduces_its_stored_outputs(path, tmp_path):
    """The numbers only where it finds the data that its first lines name; else it uses others."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    stored = json.loads(path.read_text("utf-8"))["cells"]
    settings = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "IPYTHONDIR": str(tmp_path)}
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(env=os.environ | settings, cwd=str(path.parent))
    old, new = printed(stored), printed(notebook.cells)
    assert [bool(text) for text in old] == [bool(text) for text in new]
    assert figures(stored) == figures(notebook.cells)
    all_outputs = itertools.chain(*outputs(notebook.cells))
    assert [each["text"] for each in all_outputs if each.get("name") == "stderr"] == []
    if DATA.findall("".join(old)) == DATA.findall("".join(new)):
        assert differences(old, new) == []


def test_stored_outputs_belong_to_a_study_and_do_not_come_from_the_stand_in():
    assert {path.stem for path in NOTEBOOKS} <= STUDIES
    for path in NOTEBOOKS:
        text = "".join(printed(json.loads(path.read_text("utf-8"))["cells"]))
        assert text and "stand-in" not in text and "from nothing" not in text, path.name


def test_a_changed_word_and_a_changed_number_are_differences():
    stored = ["loss 4.61 after 3", ""]
    assert differences(stored, ["loss  4.60 after 3", ""]) == []
    assert len(differences(stored, ["loss 3.61 after 3", ""])) == 1
    assert len(differences(stored, ["lost 4.61 after 3", ""])) == 1
