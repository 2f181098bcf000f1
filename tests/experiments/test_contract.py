"""What every study in the folder of studies must do; what only one does is in its own file."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import runpy
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small_studies
from published_figures import CASES
from report_page import STUDIES, main, report_of, study

from minidl.microscope.run import snapshots_of
from minidl.study import TrainedStudy
from minidl.study.claims import VERDICTS
from minidl.study.conditions import Conditions
from minidl.study.options import from_zero, whole
from minidl.study.report import read_rows, read_summary
from minidl.study.sized_study import SizedStudy
from minidl.training.checkpoint import CheckpointError

SCRIPTS = Path(__file__).parents[2] / "experiments"
RESULTS = Path(__file__).parents[2] / "docs" / "results"
TRAINED = [name for name in STUDIES if isinstance(study(name), TrainedStudy)]
MAIN = "cifar100"  # the study that is always run from its command line to its report
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
EACH = [name if name == MAIN else pytest.param(name, marks=pytest.mark.slow) for name in STUDIES]


# -- the published figures ------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_published_figures_get_the_published_verdict(name):
    case = CASES[name]
    assert [claim.verdict for claim in case.judged(lambda figures: figures)] == case.verdicts


@pytest.mark.parametrize("name", STUDIES)
def test_one_figure_turned_round_flips_the_verdict(name):
    case = CASES[name]
    assert case.verdicts[case.fails] == "holds"
    assert case.judged(case.turn)[case.fails].verdict == "does not hold"


# -- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_the_help_says_defaults_as_they_are_typed(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        study(name).options(["--help"])
    said = capsys.readouterr().out
    assert f"(default: runs/{name})" in said
    for untyped in ("None", "True", "False", "["):
        assert f"(default: {untyped}" not in said


@pytest.mark.parametrize("name", STUDIES)
def test_a_wrong_value_of_any_option_is_refused_in_one_line(name, capsys):
    taken = []  # the options, as the study declares them

    def add(*flags, **declared):
        taken.append((flags[0], declared))

    study(name).add_options(add)
    study(name).add_common(add)
    for flag, declared in taken:
        kind, least = declared.get("type"), 1
        if isinstance(kind, partial):
            kind, least = kind.func, kind.keywords["least"]
        wrong = {whole: (str(least - 1), "x", "1.5"), from_zero: ("-1", "x"), float: ("x",)}
        values = ("nonsense",) if "choices" in declared else wrong.get(kind, ())
        for value in values:
            with pytest.raises(SystemExit) as stopped:
                study(name).options([f"{flag}={value}"])
            assert stopped.value.code == 2
            *_, said = capsys.readouterr().err.splitlines()
            assert re.search(rf"argument {flag}\b.*{value}", said), said


@pytest.mark.parametrize("name", [name for name in TRAINED if isinstance(study(name), SizedStudy)])
def test_a_study_that_is_too_large_is_reduced_unless_full_is_asked_for(name):
    one = study(name)

    def size(*arguments):
        return one.size(one.options(list(arguments)))

    assert size() == one.reduced and size("--full") == one.full
    fields = {}
    for option, field in one.sized_by:
        fields.setdefault(option, []).append(field)
    for option, names in fields.items():
        changed = replace(one.reduced, **dict.fromkeys(names, 70))
        assert size(f"--{option}", "70") == changed


@pytest.mark.parametrize("name", TRAINED)
def test_an_error_ends_the_script_in_one_line(name, monkeypatch, tmp_path):
    place = ["--data-dir", "nowhere", "--output-dir", str(tmp_path)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *place])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    assert re.fullmatch(rf"{name}: .*nowhere.*", stopped.value.code, re.DOTALL)


# -- a run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=EACH)
def run(request, tmp_path_factory):
    """The name of a study, the folder of its small run, and what the terminal showed."""
    name, shown = request.param, io.StringIO()
    jobs = ["--jobs", "1"] if name in TRAINED else []
    with contextlib.redirect_stdout(shown):
        place = tmp_path_factory.mktemp(name) / "run"
        folder = small_studies.run(name, place, *jobs, figures=True)
    return name, folder, shown.getvalue()


def timeless(value):
    """All of a summary that depends on neither the machine nor the time."""
    if isinstance(value, dict):
        gone = {*Conditions.__dataclass_fields__, "claims", "record"}
        kept = {k: v for k, v in value.items() if k not in gone and "second" not in k}
        return {k: timeless(v) for k, v in kept.items()}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def results(folder):
    """The summary without times, and the weights."""
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    weights = {path.name: path.read_bytes() for path in folder.glob("weights/*")}
    return timeless(summary), weights


def words_and_numbers(text):
    """A text with # for each number, and the numbers."""
    return NUMBER.sub("#", text), np.array(NUMBER.findall(text), float)


def claims_in(block):
    """Each claim of a summary, wherever it stands."""
    if isinstance(block, dict) and "criterion" in block:
        yield block
    elif isinstance(block, dict | list):
        for part in block.values() if isinstance(block, dict) else block:
            yield from claims_in(part)


def test_a_run_writes_its_summary_tables_figures_and_report(run):
    name, folder, said = run
    summary, report = read_summary(folder), (folder / "report.md").read_text("utf-8")
    claims = list(claims_in(summary))
    assert claims and {claim["verdict"] for claim in claims} <= set(VERDICTS)
    for claim in claims:
        assert claim["claim"] in report and claim["published"] and claim["measured"]
    for table in folder.glob("*.csv"):
        assert len(read_rows(folder, table.name)) > 1
    shown = set(re.findall(r"\(figures/(.+?)\.png\)", report))
    assert shown >= {chart.file for chart in report_of(name, folder).charts()} and shown
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == {f"{figure}.{kind}" for figure in shown for kind in ("png", "svg")}
    assert f"experiments/{name}.py" in report  # the command that repeats it
    if name in TRAINED:
        assert said.startswith("data: ")
    assert f"written to {folder / 'report.html'} after" in said


def test_the_report_is_made_again_of_the_folder_alone(run, tmp_path, capsys):
    name, folder, _ = run
    shutil.copytree(folder, tmp_path / "run")
    texts = [tmp_path / "run" / text for text in ("report.md", "report.html")]
    before = [text.read_bytes() for text in texts]
    for text in texts:
        text.unlink()
    with pytest.MonkeyPatch.context() as patch:
        small_studies.study_runs.without_figures(patch)
        main([name, str(tmp_path / "run")])
    assert [text.read_bytes() for text in texts] == before
    assert "report.html, " in capsys.readouterr().out


def test_the_same_seed_gives_the_same_bits_however_it_is_run(run, tmp_path):
    """With two networks at a time, and snapshots of every epoch for the microscope."""
    name, folder, _ = run
    if name not in TRAINED:
        return  # it trains nothing
    again = small_studies.run(name, tmp_path / "run", "--jobs", "2", "--record", "--quiet")
    assert results(again) == results(folder)
    if (again / "microscope").exists():
        for network in snapshots_of(again):
            epochs = [snapshot.epoch for snapshot in network.snapshots]
            assert epochs == list(range(len(epochs))) and len(epochs) > 1, network.name
            assert not any(np.isnan(snapshot.loss) for snapshot in network.snapshots)


def test_the_same_command_resumes_to_the_same_bits(run, tmp_path):
    name, folder, _ = run
    if name not in TRAINED:
        return  # it trains nothing
    shutil.copytree(folder, tmp_path / "run")
    first, *others = sorted((tmp_path / "run" / "cells").iterdir())
    kept = {path: path.read_bytes() for path in others}
    first.unlink()  # as if the last start had been stopped before it
    again = small_studies.run(name, tmp_path / "run", "--quiet", "--jobs", "1")
    assert results(again) == results(folder)
    assert {path: path.read_bytes() for path in others} == kept
    assert read_summary(again)["done_before"] == len(others)
    with pytest.raises(CheckpointError, match="expected threads 1, as in the run stored there"):
        small_studies.run(name, tmp_path / "run", "--quiet", "--threads", "2")


def filled(value, number):
    """The same with that number at every place of a list of numbers."""
    if isinstance(value, dict):
        return {key: filled(part, number) for key, part in value.items()}
    if isinstance(value, list) and all(isinstance(v, float) for v in value):
        return [number] * len(value)
    return [filled(part, number) for part in value] if isinstance(value, list) else value


# -- the runs in the docs -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("name", STUDIES)
def test_report_and_verdicts_survive_any_numbers(name, number, tmp_path):
    """Where all is 0, or nothing is a number, no comparison of networks is decided."""
    for extra in (RESULTS / name).glob("*.csv"):
        shutil.copy(extra, tmp_path)
    summary = filled(read_summary(RESULTS / name), number)
    if number != math.inf:  # which no summary can hold
        assert "<main" in study(name).report(tmp_path, summary).html()
    if name == "signal_propagation" or name not in TRAINED:
        return  # their verdicts need more than the summary has
    study(name).judge(summary, {})
    claims = list(claims_in(summary))
    assert {claim["verdict"] for claim in claims} <= set(VERDICTS)
    for claim in claims:
        if "more accurate than sigmoid" in claim["claim"]:
            assert claim["verdict"] in ("not decided", "not judged")
