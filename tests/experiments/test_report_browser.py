"""The report pages of the studies in a browser: of a short run, and those in the docs."""

import json
from pathlib import Path

import numpy as np
import pytest
import small_studies
from browser import serious_faults, sticks_out
from studies.cifar100 import STUDY

from minidl.study import count

RESULTS = Path(__file__).parents[2] / "docs" / "results"
REPORTS = sorted(path.parent for path in RESULTS.glob("*/report.md"))  # of all studies
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of two epochs on the stand-in."""
    hidden = ("--hidden", "16", "12")
    return small_studies.run("cifar100", tmp_path_factory.mktemp("run"), *hidden, "--quiet")


@pytest.fixture(scope="module")
def summary(folder):
    return json.loads((folder / "summary.json").read_text("utf-8"))


@pytest.fixture
def page(watch, folder):
    return watch.open(folder / "report.html")


def chart(page, title):
    return page.locator("figure.chart").filter(has=page.get_by_role("heading", name=title))


def table(figure):
    """Head and numbers of a chart's table; NaN where it has a dash."""
    if not figure.locator("table").is_visible():
        figure.get_by_role("button", name="Table").click()
    rows = [row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()]
    numbers = [[float(t.replace("−", "-").replace("–", "nan")) for t in row] for row in rows]
    return figure.locator("thead th").all_inner_texts()[1:], np.array(numbers)


def assert_columns(figure, columns):
    head, found = table(figure)
    assert head == list(columns)
    expected = np.array(list(columns.values()), float).T  # None becomes NaN
    np.testing.assert_allclose(found, expected, rtol=5e-4)  # four digits are shown


def test_question_verdict_warning_and_picture_come_first(page, summary):
    assert page.locator(".question").inner_text().startswith("Does ReLU limit the vanishing")
    answer = page.locator(".answer").inner_text()
    relu = summary["networks"]["relu"]["test_accuracy"][-1]
    assert f"recognises {100 * relu:.1f}% of the test images" in answer
    counted = count(summary["claims"][:8])
    opening = page.locator(".opening").inner_text()
    assert opening.index(answer) < opening.index(f"Of 8 published claims, {counted}.")
    warning = page.locator(".warning").inner_text()
    assert "Not CIFAR-100" in warning and "epochs 2 instead of 20" in warning
    assert page.locator(".opening figure.chart g.line path").count() == 4
    assert page.locator(".opening a").last.get_attribute("href") == STUDY.work.link


def test_every_claim_of_the_summary_is_there_with_its_verdict(page, summary):
    items = page.locator(".claims > li").all()
    assert len(items) == len(summary["claims"])
    for item, claim in zip(items, summary["claims"], strict=True):
        assert item.locator("h3").inner_text() == claim["claim"]
        assert item.locator("dd").all_inner_texts() == [claim["published"], claim["measured"]]
        assert item.locator(".badge").inner_text() == claim["verdict"]


@pytest.mark.parametrize("what", ["accuracy", "loss"])
def test_learning_curves_show_the_figures_of_the_summary(page, summary, what):
    columns = {
        f"{panel}: {name}": network[f"{part}_{what}"]
        for part, panel in (("train", "training images (running)"), ("test", "test images"))
        for name, network in summary["networks"].items()
    }
    figure = chart(page, f"{what.capitalize()} by epoch")
    for button in figure.locator(".legend").get_by_role("button", name="published").all():
        button.click()
    head, found = table(figure)
    assert head == list(columns)
    unit = 100 if what == "accuracy" else 1
    np.testing.assert_allclose(found[:2], unit * np.array(list(columns.values())).T, rtol=5e-4)
    assert np.isnan(found[2:]).all()  # the published epochs after ours


@pytest.mark.parametrize(
    ("title", "figure", "choices", "layers"),
    [
        ("Update-to-weight ratio by layer", "update_ratios", ("weights", "biases"), 3),
        ("Dead and saturated units by layer", "units", ("dead", "saturated"), 2),
    ],
)
def test_layers_show_the_figures_of_the_summary(page, summary, title, figure, choices, layers):
    drawn = chart(page, title)
    names = ["layer 1", "layer 2", "output layer"][:layers]
    for choice in choices:
        drawn.get_by_text(choice, exact=True).click()
        columns = {
            f"{network}: {name}": [epoch[i] for epoch in block[figure][choice]]
            for network, block in summary["networks"].items()
            for i, name in enumerate(names)
        }
        assert_columns(drawn, columns)


def test_gradients_show_the_figures_of_the_summary(page, summary):
    drawn = chart(page, "Size of the gradients by layer")
    assert drawn.locator("h4").all_inner_texts() == [
        *("sigmoid", "relu", "sigmoid, published", "relu, published")
    ]
    drawn.get_by_text("biases", exact=True).click()
    assert drawn.locator("h4").all_inner_texts() == ["sigmoid", "relu"]
    columns = {
        f"{network}: {name}": [epoch[i] for epoch in block["gradients"]["biases"]]
        for network, block in summary["networks"].items()
        for i, name in enumerate(["layer 1", "layer 2", "output layer"])
    }
    assert_columns(drawn, columns)


def test_axe_finds_no_serious_fault(page):
    assert serious_faults(page) == []


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_the_pages_in_the_docs_are_drawn_and_without_fault(watch, folder):
    """On a phone and in the dark, where a page is most likely to fail."""
    page = watch.open(folder / "report.html", 360, 740, color_scheme="dark")
    for figure in page.locator("figure.chart").all():
        assert figure.locator("g.line path, g.dots circle").count() > 0
    spoken = "plots => plots.map(plot => plot.getAttribute('aria-valuetext'))"
    assert not any("no figures" in text for text in page.locator(".plot").evaluate_all(spoken))
    assert sticks_out(page) == 0
    assert serious_faults(page) == []
