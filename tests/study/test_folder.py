"""The folder of a run and the tables in it."""

import csv
import json
import math

import pytest

import minidl
from minidl.study import FolderInUse, RunFolder, markdown_table, text_list, text_table
from minidl.study.environment import hardware, peak_memory_mb, versions
from minidl.study.figures import new_figure
from minidl.study.folder import study_of
from minidl.study.tables import figure


def test_json_has_no_nan(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b", "test")
    folder.write_json("x.json", {"p": math.nan, "list": [1.5, math.inf], "name": "−σ"})
    text = (tmp_path / "a/b/x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"p": None, "list": [1.5, None], "name": "−σ"}


def test_csv(tmp_path):
    RunFolder(tmp_path, "test").write_csv("x.csv", [{"a": 1, "b": 0.1}, {"a": 2, "b": math.nan}])
    with open(tmp_path / "x.csv", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "0.1"}, {"a": "2", "b": ""}]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        RunFolder(tmp_path / "taken", "test")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        RunFolder(tmp_path / "taken" / "below", "test")
    assert (tmp_path / "taken").read_text() == "mine"


def test_figures_are_written_twice_and_the_same_each_time(tmp_path):
    folder = RunFolder(tmp_path, "test")
    for name in ("one", "two"):
        drawn, (ax,) = new_figure("title")
        ax.plot([3.0, 1.0, 2.0], label="series")
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
    RunFolder(tmp_path, "cifar100").write_figure("one", drawn)
    assert len(drawings) == 2


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


def test_a_long_sentence_of_a_list_is_wrapped_at_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = "Sigmoid's second layer has the largest gradients, the third the smallest"
    assert text_list([["holds", "yes", "short"], ["not decided", "no", long]]).splitlines() == [
        "holds        yes  short",
        "not decided  no   Sigmoid's second layer",
        "                  has the largest",
        "                  gradients, the third",
        "                  the smallest",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.47123, "0.4712"), (1.4724e-7, "1.47e-07"), (0.0, "0.0000"), (None, "–"), (math.nan, "–")],
)
def test_figure(value, text):
    assert figure(value) == text


def test_environment_is_known():
    assert {"python", "numpy", "scipy", "matplotlib"} <= set(versions())
    assert versions()["minidl"] == minidl.__version__  # of a clone that is not installed, too
    assert hardware()["processors"] >= 1
    memory = peak_memory_mb()
    assert memory is None or 10 < memory < 1e6


def test_parts_that_killed_processes_left_are_removed_and_nothing_else(tmp_path):
    RunFolder(tmp_path / "run", "test")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run/weights/deeper").mkdir(parents=True)
    (tmp_path / "run/link").symlink_to("../theirs")
    part = ".b.npz.minidl-1-2.part"
    parts = [tmp_path / "run" / part, tmp_path / "run/weights" / part]
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


def contents(folder):
    return {path.relative_to(folder): path.is_file() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["cells", "notes.txt", "configuration.json", ".hidden"])
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.cell").write_text("mine")
    (tmp_path / ".b.json.minidl-1-2.part").touch()
    before = contents(tmp_path)
    with pytest.raises(
        FileExistsError,
        match=r"expected an empty folder or a run of test \(marked by the file minidl-run\.json\), "
        rf"got a folder with {name} in it; choose another --output-dir",
    ):
        RunFolder(tmp_path, "test")
    assert contents(tmp_path) == before


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "minidl-run.json: expected what kind of run it is in JSON, got Expecting value"),
        ("[]", "minidl-run.json: expected what kind of run it is in JSON, got list"),
        ("{}", "minidl-run.json: expected the name of a study in it, got none"),
        ('{"study": null}', "minidl-run.json: expected the name of a study in it, got none"),
        ('{"study": "\\ud800"}', r"got a run of \\ud800"),
    ],
)
def test_a_marker_that_is_none_is_refused(text, words, tmp_path):
    (tmp_path / "minidl-run.json").write_text(text)
    with pytest.raises((ValueError, FileExistsError), match=words) as error:
        RunFolder(tmp_path, "test")
    assert "\n" not in str(error.value)
    str(error.value).encode()


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "theirs").mkdir()
    folder = RunFolder(tmp_path / "run", "test")
    (tmp_path / "run/figures").symlink_to(tmp_path / "theirs")
    with pytest.raises(NotADirectoryError, match="figures: expected a folder, got a symbolic link"):
        folder.write_text("figures/a.txt", "")
    assert not list((tmp_path / "theirs").iterdir())


def test_what_lies_where_a_run_writes_is_found_before_it_begins(tmp_path):
    RunFolder(tmp_path / "run", "test")
    (tmp_path / "theirs").mkdir()
    figures = tmp_path / "run/figures"
    figures.symlink_to(tmp_path / "theirs")
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
