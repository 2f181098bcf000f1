"""The page that compares runs: it shows the summaries' numbers, and its charts are drawn."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser import serious_faults, sticks_out

from minidl.compare.page import comparison
from minidl.compare.runs import read_runs
from minidl.pages.colours import function_colour

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def page_of(*names):
    return comparison(read_runs([RESULTS / name for name in names]))


def charts(html):
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return {chart["title"]: chart["series"] for chart in map(json.loads, blocks)}


def summary_of(name):
    return json.loads((RESULTS / name / "summary.json").read_text("utf-8"))


def test_each_line_has_the_figures_of_its_run_its_functions_colour_and_its_own_shade():
    names = ("cifar100", "cifar100_five_seeds")
    found = charts(page_of(*names).html())
    assert list(found) == [
        *("Accuracy by epoch", "Loss by epoch", "Mean gradient of the hidden layers by epoch")
    ]
    panels = {"training images (running)": "train", "test images": "test"}
    for what, unit in (("accuracy", 100), ("loss", 1)):
        lines = found[f"{what.capitalize()} by epoch"]
        assert len(lines) == 8
        for line in lines:
            run, name = line["name"].split(": ")
            block = summary_of(run)["networks"][name]
            expected = unit * np.array(block[f"{panels[line['panel']]}_{what}"])
            np.testing.assert_allclose(line["y"], expected)
            assert line["colour"] == function_colour(name) and not line["dashed"]
            assert line.get("shade", 0) == names.index(run)
            assert (line["low"] is not None) == (run == "cifar100_five_seeds")
    for line in found["Mean gradient of the hidden layers by epoch"]:
        run, name = line["name"].split(": ")
        layers = np.array(summary_of(run)["networks"][name]["gradients"]["weights"])
        np.testing.assert_allclose(line["y"], layers[:, :-1].mean(axis=1))


def test_runs_of_different_studies_are_overlaid_and_all_lines_are_distinct():
    found = charts(page_of("cifar100", "fashion_mnist").html())["Accuracy by epoch"]
    assert {tuple(line["where"].items()) for line in found} == {(("set-up", ""),)}
    of_test = [line for line in found if line["panel"] == "test images"]
    assert "fashion_mnist: as_run_adam, relu" in {line["name"] for line in of_test}
    looks = {(line["colour"], line.get("shade"), line.get("marker")) for line in of_test}
    assert len(looks) == len(of_test) == 10


def test_set_ups_that_all_runs_have_can_be_chosen(tmp_path):
    again = tmp_path / "again"
    shutil.copytree(RESULTS / "fashion_mnist", again)
    html = comparison(read_runs([RESULTS / "fashion_mnist", again])).html()
    lines = charts(html)["Loss by epoch"]
    wanted = [li for li in lines if li["where"] == {"set-up": "as_run"} and "test" in li["panel"]]
    assert [line["name"] for line in wanted] == [
        *("fashion_mnist: sigmoid", "again: sigmoid", "fashion_mnist: relu", "again: relu")
    ]


def test_more_lines_than_can_be_distinguished_are_refused(tmp_path):
    folders = []
    for i in range(22):
        folders.append(tmp_path / f"run{i}")
        folders[-1].mkdir()
        shutil.copy(RESULTS / "cifar100" / "summary.json", folders[-1])
    comparison(read_runs(folders[:21]))
    with pytest.raises(ValueError, match=r"expected up to 21 runs .* got 22"):
        comparison(read_runs(folders))


def says(folder, study):
    (folder / "minidl-run.json").write_text(json.dumps({"format": "minidl-run", "study": study}))


def test_a_run_that_does_not_name_its_study_does_not_count_as_different(tmp_path):
    folders = [tmp_path / name for name in ("old", "new", "again")]
    for folder in folders:
        shutil.copytree(RESULTS / "cifar100", folder)
    says(folders[1], "cifar100")
    html = comparison(read_runs(folders[:2])).html()
    assert "They differ in no option;" in html and "study" not in html.partition("Options")[2]
    says(folders[2], "cifar100")
    assert "The same in all runs: study cifar100;" in comparison(read_runs(folders[1:])).html()
    says(folders[2], "another")
    assert "They differ in study;" in comparison(read_runs(folders)).html()


def test_networks_that_a_run_lacks_are_listed():
    html = page_of("cifar100", "adaptive_activations").html()
    lacking = re.findall(r"Not in (\w+): (.*?)\.</p>", html)
    assert dict(lacking)["adaptive_activations"] == "the network sigmoid"
    assert "the network apl" in dict(lacking)["cifar100"]


@pytest.fixture
def opened(watch, tmp_path):
    path = tmp_path / "compare.html"
    path.write_text(page_of("cifar100", "cifar100_five_seeds").html(), "utf-8")
    return watch.open(path, 390, 844, color_scheme="dark")


def test_tables_have_results_and_differences(opened):
    results, options = (opened.locator(f"#{name} table") for name in ("results", "options"))
    cells = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in results.locator("tbody tr").all()
    }
    relu = summary_of("cifar100")["networks"]["relu"]
    best = int(np.argmax(relu["test_accuracy"]))
    found = dict(
        zip(results.locator("thead th").all_inner_texts()[1:], cells["cifar100: relu"], strict=True)
    )
    assert found["test accuracy, last"] == f"{100 * relu['test_accuracy'][-1]:.2f}%"
    assert f"{100 * relu['test_accuracy'][best]:.2f}% ({best + 1})" in cells["cifar100: relu"]
    assert (
        f"{min(relu['test_loss']):.4f} ({np.argmin(relu['test_loss']) + 1})"
        in (cells["cifar100: relu"])
    )
    assert found["seconds"] == f"{sum(relu['seconds']):.1f}"
    assert options.locator("tbody tr").all_inner_texts() == ["seeds\t0\t0, 1, 2, 3, 4"]
    same = opened.locator("#options").inner_text()
    assert "The same in all runs: " in same and "optimizer adam, learning rate 0.001" in same
    assert "They differ in seeds;" in opened.locator(".answer").inner_text()


def test_every_chart_is_drawn_and_axe_finds_no_fault(opened):
    for figure in opened.locator("figure.chart").all():
        assert figure.locator("g.line path").count() >= 4
    assert sticks_out(opened) == 0
    assert serious_faults(opened) == []
