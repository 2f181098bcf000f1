"""The folder of a run and the tables in it."""

import csv
import json
import math
import re

import pytest

import minidl
from minidl.study import FolderInUse, RunFolder, markdown_table, text_list, text_table
from minidl.study.environment import hardware, peak_memory_mb, versions
from minidl.study.figures import new_figure
from minidl.study.folder import study_of
from minidl.study.tables import figure


def test_json_and_csv_have_no_nan(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b", "test")
    folder.write_json("x.json", {"p": math.nan, "list": [1.5, math.inf], "name": "−σ"})
    text = (tmp_path / "a/b/x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"p": None, "list": [1.5, None], "name": "−σ"}
    folder.write_csv("x.csv", [{"a": 1, "b": 0.1}, {"a": 2, "b": math.nan}])
    with open(tmp_path / "a/b/x.csv", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "0.1"}, {"a": "2", "b": ""}]


def test_figures_are_drawn_twice_and_the_same_each_time(tmp_path, monkeypatch):
    folder, drawings = RunFolder(tmp_path, "test"), []
    for name in ("one", "two"):
        drawn, (ax,) = new_figure("title")
        (line,) = ax.plot([3.0, 1.0, 2.0], label="series")
        draw = line.draw
        monkeypatch.setattr(line, "draw", lambda r, draw=draw: drawings.append(1) or draw(r))
        folder.write_figure(name, drawn)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.svg").stat().st_size and len(drawings) == 4


def test_tables_as_text(monkeypatch):
    table = markdown_table(["a|b"], [["x\ny"], ["p|q"]])
    assert table.splitlines() == [r"| a\|b |", "|---|", "| x y |", r"| p\|q |"]
    table = text_table(["name", "n"], [["a", 1], ["bcdef", 22]])
    assert table.splitlines() == ["name    n", "---------", "a       1", "bcdef  22"]
    monkeypatch.setenv("COLUMNS", "40")
    long = "Sigmoid's second layer has the largest gradients, the third the smallest"
    assert text_list([["holds", "yes", "short"], ["not decided", "no", long]]).splitlines() == [
        "holds        yes  short",
        "not decided  no   Sigmoid's second layer",
        "                  has the largest",
        "                  gradients, the third",
        "                  the smallest",
    ]
    values = [0.47123, 1.4724e-7, 0.0, None, math.nan]
    assert [figure(value) for value in values] == ["0.4712", "1.47e-07", "0.0000", "–", "–"]


def test_environment_is_known():
    assert {"python", "numpy", "scipy", "matplotlib"} <= set(versions())
    assert versions()["minidl"] == minidl.__version__  # of a clone that is not installed, too
    assert hardware()["processors"] >= 1
    memory = peak_memory_mb()
    assert memory is None or 10 < memory < 1e6


# -- whose it is ----------------------------------------------------------------------------------


def test_parts_that_killed_processes_left_are_removed_and_nothing_else(tmp_path):
    RunFolder(tmp_path / "run", "test")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run/weights/deeper").mkdir(parents=True)
    (tmp_path / "run/link").symlink_to("../theirs")
    part = ".b.npz.minidl-1-2.part"
    parts = [tmp_path / "run" / name for name in (part, f"weights/{part}", ".cluster")]
    others = [tmp_path / "run" / name for name in ("a.part", ".a.json.1-2.part", ".rsync.x-y.part")]
    others += [tmp_path / "run/weights/deeper" / part, tmp_path / "theirs" / part]
    others += [tmp_path / "run/weights/.b.npz.3-4.part"]
    for path in parts + others:
        path.touch()
    (tmp_path / "run" / ".c.npz.minidl-1-2.part").mkdir()
    (tmp_path / "linked").symlink_to("run")
    RunFolder(tmp_path / "linked", "test")
    assert not any(path.exists() for path in parts)
    assert all(path.exists() for path in others)


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path):
    for name in ("cells", "notes.txt", "configuration.json", ".hidden"):
        folder = tmp_path / name[-5:]
        (folder / name).mkdir(parents=True)
        (folder / name / "a.cell").write_text("mine")
        (folder / ".b.json.minidl-1-2.part").touch()
        before = sorted(folder.rglob("*"))
        words = "expected an empty folder or a run of test (marked by the file minidl-run.json), "
        words += f"got a folder with {name} in it; choose another --output-dir"
        with pytest.raises(FileExistsError, match=re.escape(words)):
            RunFolder(folder, "test")
        assert sorted(folder.rglob("*")) == before


def test_a_run_of_another_study_is_refused(tmp_path):
    RunFolder(tmp_path, "cifar100").write_text("report.md", "theirs")
    with pytest.raises(
        FileExistsError, match=r"expected .* a run of gallery .* a run of cifar100;"
    ):
        RunFolder(tmp_path, "gallery")
    assert study_of(tmp_path) == "cifar100"
    assert (tmp_path / "report.md").read_text() == "theirs"
    RunFolder(tmp_path, "cifar100")


def test_a_start_that_was_killed_before_the_marker_does_not_lock_the_folder_out(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".minidl-run.json.minidl-1-2.part").touch()
    RunFolder(tmp_path, "test")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "minidl-run.json"}


def test_a_marker_that_is_none_is_refused(tmp_path):
    for text, words in (
        ("", "expected what kind of run it is in JSON, got Expecting value"),
        ("[]", "expected what kind of run it is in JSON, got list"),
        ("{}", "expected the name of a study in it, got none"),
        ('{"study": null}', "expected the name of a study in it, got none"),
        ('{"study": "\\ud800"}', r"got a run of \ud800"),
    ):
        (tmp_path / "minidl-run.json").write_text(text)
        with pytest.raises((ValueError, FileExistsError), match=re.escape(words)) as error:
            RunFolder(tmp_path, "test")
        assert "\n" not in str(error.value)
        str(error.value).encode()


def test_what_lies_where_a_run_writes_is_found_before_it_begins(tmp_path):
    (tmp_path / "taken").write_text("mine")
    for path in (tmp_path / "taken", tmp_path / "taken/below"):
        with pytest.raises(NotADirectoryError, match="expected a folder"):
            RunFolder(path, "test")
    assert (tmp_path / "taken").read_text() == "mine"

    folder = RunFolder(tmp_path / "run", "test")
    (tmp_path / "theirs").mkdir()
    figures = tmp_path / "run/figures"
    figures.symlink_to(tmp_path / "theirs")
    with pytest.raises(NotADirectoryError, match="figures: expected a folder, got a symbolic link"):
        folder.write_text("figures/a.txt", "")
    assert not list((tmp_path / "theirs").iterdir())
    del folder
    with pytest.raises(NotADirectoryError, match="figures: expected a folder, got a symbolic link"):
        RunFolder(tmp_path / "run", "test")
    figures.unlink()
    figures.touch()
    with pytest.raises(NotADirectoryError, match="figures: expected a folder, got a file"):
        RunFolder(tmp_path / "run", "test")
    figures.unlink()
    (tmp_path / "run/report.md").mkdir()
    with pytest.raises(OSError, match=r"report\.md: expected a file or nothing there, got"):
        RunFolder(tmp_path / "run", "test")


def test_a_folder_belongs_to_one_at_a_time(tmp_path):
    first = RunFolder(tmp_path, "test")
    with pytest.raises(FolderInUse, match=r"another process is using this folder; .*--output-dir"):
        RunFolder(tmp_path, "test")
    del first
    RunFolder(tmp_path, "test")
