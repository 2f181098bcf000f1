"""The page that compares runs: it shows the summaries' numbers, and its charts are drawn."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from minidl.compare.page import comparison
from minidl.compare.runs import read_runs
from minidl.pages.colours import function_colour

RESULTS = Path(__file__).parents[2] / "docs" / "results"
PAIR = ("cifar100", "cifar100_five_seeds")


def html_of(*names):
    return comparison(read_runs([RESULTS / name for name in names])).html()


def charts(html):
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return {chart["title"]: chart["series"] for chart in map(json.loads, blocks)}


def summary_of(name):
    return json.loads((RESULTS / name / "summary.json").read_text("utf-8"))


def test_each_line_has_the_figures_of_its_run_its_functions_colour_and_its_own_shade():
    found = charts(html_of(*PAIR))
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
            assert line.get("shade", 0) == PAIR.index(run)
            assert (line["low"] is not None) == (run == "cifar100_five_seeds")
    for line in found["Mean gradient of the hidden layers by epoch"]:
        run, name = line["name"].split(": ")
        layers = np.array(summary_of(run)["networks"][name]["gradients"]["weights"])
        np.testing.assert_allclose(line["y"], layers[:, :-1].mean(axis=1))


def test_runs_of_different_studies_are_overlaid_and_all_lines_are_distinct():
    found = charts(html_of("cifar100", "fashion_mnist"))["Accuracy by epoch"]
    assert {tuple(line["where"].items()) for line in found} == {(("set-up", ""),)}
    of_test = [line for line in found if line["panel"] == "test images"]
    assert "fashion_mnist: as_run_adam, relu" in {line["name"] for line in of_test}
    looks = {(line["colour"], line.get("shade"), line.get("marker")) for line in of_test}
    assert len(looks) == len(of_test) == 10


def test_networks_that_a_run_lacks_are_listed():
    lacking = dict(
        re.findall(r"Not in (\w+): (.*?)\.</p>", html_of(PAIR[0], "adaptive_activations"))
    )
    assert lacking["adaptive_activations"] == "the network sigmoid"
    assert "the network apl" in lacking["cifar100"]


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
    folders = [tmp_path / f"run{i}" for i in range(22)]
    for folder in folders:
        folder.mkdir()
        shutil.copy(RESULTS / "cifar100" / "summary.json", folder)
    comparison(read_runs(folders[:21]))
    with pytest.raises(ValueError, match=r"expected up to 21 runs .* got 22"):
        comparison(read_runs(folders))


def test_a_run_that_does_not_name_its_study_does_not_count_as_different(tmp_path):
    folders = [tmp_path / name for name in ("old", "new", "again")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(RESULTS / "cifar100" / "summary.json", folder)

    def compared(*runs, **studies):
        for name, study in studies.items():
            marker = {"format": "minidl-run", "study": study}
            (tmp_path / name / "minidl-run.json").write_text(json.dumps(marker))
        return comparison(read_runs(runs)).html()

    html = compared(*folders[:2], new="cifar100")
    assert "They differ in no option;" in html and "study" not in html.partition("Options")[2]
    html = compared(*folders[1:], again="cifar100")
    assert "The same in all runs: study cifar100;" in html
    assert "They differ in study;" in compared(*folders, again="another")


@pytest.mark.browser
def test_tables_have_results_and_differences_and_every_chart_is_drawn(watch, tmp_path):
    from browser import serious_faults, sticks_out

    path = tmp_path / "compare.html"
    path.write_text(html_of(*PAIR), "utf-8")
    opened = watch.open(path, 390, 844, color_scheme="dark")
    results, options = (opened.locator(f"#{name} table") for name in ("results", "options"))
    cells = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in results.locator("tbody tr").all()
    }["cifar100: relu"]
    relu = summary_of("cifar100")["networks"]["relu"]
    accuracy, loss = (np.array(relu[f"test_{what}"]) for what in ("accuracy", "loss"))
    found = dict(zip(results.locator("thead th").all_inner_texts()[1:], cells, strict=True))
    assert found["test accuracy, last"] == f"{100 * accuracy[-1]:.2f}%"
    assert f"{100 * accuracy.max():.2f}% ({accuracy.argmax() + 1})" in cells
    assert f"{loss.min():.4f} ({loss.argmin() + 1})" in cells
    assert found["seconds"] == f"{sum(relu['seconds']):.1f}"
    assert options.locator("tbody tr").all_inner_texts() == ["seeds\t0\t0, 1, 2, 3, 4"]
    same = opened.locator("#options").inner_text()
    assert "The same in all runs: " in same and "optimizer adam, learning rate 0.001" in same
    assert "They differ in seeds;" in opened.locator(".answer").inner_text()
    for figure in opened.locator("figure.chart").all():
        assert figure.locator("g.line path").count() >= 4
    assert sticks_out(opened) == 0
    assert serious_faults(opened) == []
