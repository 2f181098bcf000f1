"""The report pages of the studies, in a browser: of a short run, and those in the docs."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study_runs
from browser import serious_faults, sticks_out
from report_page import STUDIES, main, report_of, study
from studies.cifar100 import STUDY
from studies.fashion_mnist.study import PICTURES

from minidl.data import standin
from minidl.study import count
from minidl.study.report import read_summary

RESULTS = Path(__file__).parents[2] / "docs" / "results"
SCRIPT = Path(__file__).parents[2] / "experiments" / "report_page.py"
REPORTS = sorted(path.parent for path in RESULTS.glob("*/report.md"))  # of all studies
# The gallery has no claims; those of the other two need more than their summary has.
NOT_JUDGED_AGAIN = {"activation_gallery", "adaptive_activations", "signal_propagation"}
JUDGED_AGAIN = [path for path in REPORTS if path.name not in NOT_JUDGED_AGAIN]
LIMIT = 3e6  # bytes
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of two epochs on the stand-in."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        study_runs.give(patch, standin.generate(0, 300, 100))
        study_runs.without_figures(patch)
        return study_runs.run(STUDY, folder, "--epochs", "2", "--hidden", "16", "12", "--quiet")


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


def test_the_page_made_again_is_the_page_of_the_run(folder, capsys):
    names = ("report.html", "report.md")
    before = [(folder / name).read_bytes() for name in names]
    for name in names:
        (folder / name).unlink()
    main(["cifar100", str(folder)])
    assert [(folder / name).read_bytes() for name in names] == before
    assert "report.html, 0.6 MB, and report.md" in capsys.readouterr().out
    for name in re.findall(r"\(figures/(.+?)\.png\)", before[1].decode()):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    command = [sys.executable, str(SCRIPT), "cifar100", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("report_page: ") and done.stderr.count("\n") == 1


def words_and_numbers(page):
    """The contents of a page with # for each number, and the numbers.

    Their last bits are those of the machine that the page was made on.
    """
    contents = page.partition("<main")[2].partition("</main>")[0] or page
    return NUMBER.sub("#", contents), np.array(NUMBER.findall(contents), float)


def changed(summary, kind):
    """The text of a summary in which something is not as a run writes it."""
    texts = {
        "empty": "",
        "no JSON": "{",
        "a list": "[1, 2]",
        "a number": "3",
        "nothing": "{}",
        "not UTF-8": b"{\xff}",
        "deep": "[" * 100_000,
        "long number": '{"epochs": ' + "1" * 5000 + "}",
    }
    network = summary["networks"]["relu"]
    others = {
        "networks a list": {"networks": [1]},
        "networks none": {"networks": {}},
        "epochs text": {"networks": {"relu": network | {"test_accuracy": "high"}}},
        "no epoch": {"networks": {"relu": network | {"test_accuracy": []}}},
        "claims text": {"claims": ["it holds"]},
        "claim without verdict": {"claims": [{"claim": "it holds"}]},
        "half a character": {"optimizer": "\ud800"},
        "seeds a number": {"seeds": 3},
        "hidden none": {"hidden": None},
        "versions text": {"versions": "all"},
    }
    return texts[kind] if kind in texts else json.dumps(summary | others[kind])


KINDS = (
    *("empty", "no JSON", "a list", "a number", "nothing", "not UTF-8", "deep", "long number"),
    *("networks a list", "networks none", "epochs text", "no epoch", "claims text"),
    *("claim without verdict", "half a character", "seeds a number", "hidden none"),
    "versions text",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_summary_is_one_line(kind, summary, tmp_path):
    text = changed(summary, kind)
    text = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "summary.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"expected summary\.json .* cifar100") as error:
        main(["cifar100", str(tmp_path)])
    assert "\n" not in str(error.value)
    str(error.value).encode()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("study", STUDIES)
def test_the_summary_of_another_study_is_one_line(study, summary, tmp_path):
    other = next(name for name in STUDIES if name != study)
    shutil.copy(RESULTS / other / "summary.json", tmp_path)
    with pytest.raises((ValueError, FileNotFoundError)) as error:  # one also reads epochs.csv
        main([study, str(tmp_path)])
    assert "\n" not in str(error.value)
    (tmp_path / "minidl-run.json").write_text(json.dumps({"study": other}))
    with pytest.raises(ValueError, match=f"expected a run of {study}, got one of {other}"):
        main([study, str(tmp_path)])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["summary.json", "epochs.csv", f"figures/{min(PICTURES)}.png"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name, tmp_path):
    study = "fashion_mnist" if "figures" in name else "activation_study"
    shutil.copytree(RESULTS / study, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    os.mkfifo(tmp_path / "run" / name)
    with pytest.raises(OSError, match=f"{name}: expected a plain file, got a pipe"):
        main([study, str(tmp_path / "run")])


def study_of(folder):
    """Whose run lies in a folder of the docs."""
    return max((name for name in STUDIES if folder.name.startswith(name)), key=len)


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_the_report_in_the_docs_is_that_of_its_folder(folder):
    """The text and the page, made again from summary.json and what lies beside it."""
    assert (folder / "report.html").stat().st_size < LIMIT
    report = report_of(study_of(folder), folder)
    for name, now in (("report.html", report.html()), ("report.md", report.markdown())):
        words, numbers = words_and_numbers((folder / name).read_text("utf-8"))
        words_now, numbers_now = words_and_numbers(now)
        assert words == words_now
        np.testing.assert_allclose(numbers, numbers_now, rtol=1e-9, atol=1e-12)


def claims_in(block):
    """Each claim in a summary, wherever it stands, as its name, criterion, evidence and verdict."""
    if isinstance(block, dict) and "criterion" in block:
        yield tuple(block[key] for key in ("claim", "criterion", "measured", "verdict"))
    elif isinstance(block, dict | list):
        for part in block.values() if isinstance(block, dict) else block:
            yield from claims_in(part)


@pytest.mark.parametrize("folder", JUDGED_AGAIN, ids=lambda path: path.name)
def test_the_verdicts_in_the_docs_are_those_of_the_criteria(folder):
    """Judged again from the numbers of its summary, each claim gets the verdict recorded there.

    A criterion that was changed after the run would leave the old one.
    """
    summary = read_summary(folder)
    expected = list(claims_in(summary))
    assert expected
    study(study_of(folder)).judge(summary, {})
    assert list(claims_in(summary)) == expected


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_each_figure_in_the_docs_is_shown_and_there(folder):
    text = (folder / "report.md").read_text("utf-8")
    shown = set(re.findall(r"\(figures/(.+?\.png)\)", text))
    assert {path.name for path in (folder / "figures").glob("*.png")} == shown


def test_words_and_numbers_of_a_page_are_separated():
    words, numbers = words_and_numbers('<main>"y":[0.5,-1e-05,null], 3 of 4</main> 7')
    assert words == '>"y":[#,#,null], # of #'
    assert numbers.tolist() == [0.5, -1e-05, 3, 4]


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


OF_ONE_RUN = re.compile(
    r"\bseeds?\b|\bthis run\b|\bin it\b|\d% (more|less)|\bours?\b (net|av)", re.I
)


@pytest.mark.parametrize("study", STUDIES)
def test_reasons_are_printed_for_any_run_and_tell_of_none(study):
    claims = importlib.import_module(f"studies.{study}.claims")
    reasons = getattr(claims, "REASONS", None)
    told = reasons.values() if reasons else [one.why for one in claims.CLAIMS]
    for reason in told:
        assert not OF_ONE_RUN.search(reason)


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_each_report_answers_with_yes_or_no_and_names_the_published_work(folder):
    report = report_of(study_of(folder), folder)
    first = report.answer.lower()
    assert first.startswith(("yes", "no"))
    assert str(report.work.year) in report.markdown() and report.work.authors in report.markdown()
