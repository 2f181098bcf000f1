"""The folder of a run and the tables in it."""

import csv
import json
import math

import pytest

from minidl.reporting import FolderInUse, RunFolder, markdown_table, text_table
from minidl.reporting.environment import hardware, peak_memory_mb, versions
from minidl.reporting.figures import draw_by_epoch, draw_range, draw_trend_line, new_figure
from minidl.reporting.tables import figure


def test_json_has_no_nan(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.write_json("x.json", {"p": math.nan, "list": [1.5, math.inf], "name": "−σ"})
    text = (tmp_path / "a/b/x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"p": None, "list": [1.5, None], "name": "−σ"}


def test_csv(tmp_path):
    RunFolder(tmp_path).write_csv("x.csv", [{"a": 1, "b": 0.1}, {"a": 2, "b": math.nan}])
    with open(tmp_path / "x.csv", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "0.1"}, {"a": "2", "b": ""}]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        RunFolder(tmp_path / "taken")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        RunFolder(tmp_path / "taken" / "below")
    assert (tmp_path / "taken").read_text() == "mine"


def test_figures_are_written_twice_and_the_same_each_time(tmp_path):
    folder = RunFolder(tmp_path)
    for name in ("one", "two"):
        drawn, (ax,) = new_figure("title")
        draw_by_epoch(ax, [3.0, 1.0, 2.0], "series")
        draw_trend_line(ax, [3.0, 1.0, 2.0])
        draw_trend_line(ax, [1.0])  # nothing to draw
        draw_range(ax, [[3.0, 1.0, 2.0], [2.0, 2.0, 2.0]], "#000000")
        folder.write_figure(name, drawn)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*.???")) == [
        "one.png",
        "one.svg",
        "two.png",
        "two.svg",
    ]


def test_each_file_of_a_figure_takes_one_drawing(tmp_path, monkeypatch):
    drawn, (ax,) = new_figure("title")
    (line,) = ax.plot([1, 2], [3, 4])
    draw, drawings = line.draw, []
    monkeypatch.setattr(line, "draw", lambda renderer: drawings.append(1) or draw(renderer))
    RunFolder(tmp_path).write_figure("one", drawn)
    assert len(drawings) == 2


def test_the_axis_of_a_single_epoch_has_that_epoch_and_no_fractions():
    drawn, (ax,) = new_figure("title")
    draw_by_epoch(ax, [0.25], "series")
    drawn.draw_without_rendering()
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_cells_cannot_break_out_of_a_markdown_table():
    table = markdown_table(["a|b"], [["x\ny"], ["p|q"]])
    assert table.splitlines() == [r"| a\|b |", "|---|", "| x y |", r"| p\|q |"]


def test_text_table():
    assert text_table(["name", "n"], [["a", 1], ["bcdef", 22]]).splitlines() == [
        "name    n",
        "---------",
        "a       1",
        "bcdef  22",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.47123, "0.4712"), (1.4724e-7, "1.47e-07"), (0.0, "0.0000"), (None, "–"), (math.nan, "–")],
)
def test_figure(value, text):
    assert figure(value) == text


def test_environment_is_known():
    assert {"python", "numpy", "scipy", "matplotlib"} <= set(versions())
    assert hardware()["processors"] >= 1
    memory = peak_memory_mb()
    assert memory is None or 10 < memory < 1e6


def test_parts_that_killed_processes_left_are_removed(tmp_path):
    (tmp_path / "weights" / "deeper").mkdir(parents=True)
    parts = [tmp_path / ".a.json.1-2.part", tmp_path / "weights" / ".b.npz.1-2.part"]
    others = [tmp_path / "a.part", tmp_path / "weights/deeper/.c.1-2.part"]
    for path in parts + others:
        path.touch()
    RunFolder(tmp_path)
    assert [path.exists() for path in parts] == [False, False]
    assert all(path.exists() for path in others)


def test_a_folder_belongs_to_one_at_a_time(tmp_path):
    first = RunFolder(tmp_path)
    with pytest.raises(FolderInUse, match=r"another process works in this folder; .*--output-dir"):
        RunFolder(tmp_path)
    del first
    RunFolder(tmp_path)
