"""The figures in the guide are the ones that the engine draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_text import DOCS

FOLDER = DOCS / "guide" / "figures"
TEXT = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)
PATH = re.compile(r'<path d="([^"]*)"[^>]*clip-path')  # the curves
NUMBER = re.compile(r"-?\d+\.?\d*")


def texts(file: Path) -> list[str]:
    return TEXT.findall(file.read_text("utf-8"))


def curves(file: Path) -> list[list[float]]:
    return [list(map(float, NUMBER.findall(d))) for d in PATH.findall(file.read_text("utf-8"))]


@pytest.mark.slow
def test_the_figures_in_the_guide_are_what_is_drawn(tmp_path):
    import figures

    figures.write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in FOLDER.iterdir()}
    for new in tmp_path.iterdir():
        kept = FOLDER / new.name
        assert sorted(texts(kept)) == sorted(texts(new)), new.name
        for ours, theirs in zip(curves(kept), curves(new), strict=True):
            assert ours == pytest.approx(theirs, abs=0.5), new.name  # in points, 1/72 inch


def test_the_numbers_of_the_neuron_are_those_on_the_page():
    shown = set(texts(FOLDER / "neuron.svg"))
    assert {"x = 2", "dz = −0.25", "dW = −0.5", "db = −0.25", "dx = −0.125", "L = 0.25"} <= shown


def test_each_figure_is_used():
    pages = "".join(page.read_text("utf-8") for page in (DOCS / "guide").glob("*.md"))
    assert set(re.findall(r"\(figures/([\w.]+)\)", pages)) == {f.name for f in FOLDER.iterdir()}
