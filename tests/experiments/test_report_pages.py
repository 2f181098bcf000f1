"""The reports in the docs, and reports of folders in which something is wrong."""

import functools
import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_page import STUDIES, main, report_of, study
from test_contract import claims_in, words_and_numbers

from minidl.study.report import read_summary

RESULTS = Path(__file__).parents[2] / "docs" / "results"
REPORTS = sorted(path.parent for path in RESULTS.glob("*/report.md"))  # of all studies
# The gallery has no claims; those of the other two need more than their summary has.
NOT_JUDGED_AGAIN = {"activation_gallery", "adaptive_activations", "signal_propagation"}
LIMIT = 3e6  # bytes


def study_of(folder):
    """Whose run lies in a folder of the docs."""
    return max((name for name in STUDIES if folder.name.startswith(name)), key=len)


@functools.cache
def made_again(folder):
    return report_of(study_of(folder), folder)


# -- the reports in the docs ----------------------------------------------------------------------


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_the_report_in_the_docs_is_that_of_its_folder(folder):
    """The text and the page, made again from summary.json and what lies beside it."""
    assert (folder / "report.html").stat().st_size < LIMIT
    report = made_again(folder)
    for name, now in (("report.html", report.html()), ("report.md", report.markdown())):
        before = (folder / name).read_text("utf-8")
        contents = (text.partition("<main")[2] or text for text in (before, now))
        (words, numbers), (words_now, numbers_now) = map(words_and_numbers, contents)
        assert words == words_now
        np.testing.assert_allclose(numbers, numbers_now, rtol=1e-9, atol=1e-12)  # last bits
    text = report.markdown()
    shown = set(re.findall(r"\(figures/(.+?\.png)\)", text))
    assert {path.name for path in (folder / "figures").glob("*.png")} == shown
    assert report.answer.lower().startswith(("yes", "no"))
    assert str(report.work.year) in text and report.work.authors in text


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: path.name)
def test_the_verdicts_in_the_docs_are_those_of_the_criteria(folder):
    """Judged again from the numbers of its summary, each claim gets the verdict recorded there.

    A criterion that was changed after the run would leave the old one.
    """
    if folder.name in NOT_JUDGED_AGAIN:
        return

    def judged():
        keys = ("claim", "criterion", "measured", "verdict")
        return [tuple(one[key] for key in keys) for one in claims_in(summary)]

    summary = read_summary(folder)
    expected = judged()
    study(study_of(folder)).judge(summary, {})
    assert expected and judged() == expected


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


# -- folders in which something is wrong ----------------------------------------------------------

NETWORK = {"networks": {"relu": {"test_accuracy": "high"}, "sigmoid": {"test_accuracy": []}}}
MALFORMED = {
    "empty": "",
    "no JSON": "{",
    "a list": "[1, 2]",
    "nothing": "{}",
    "not UTF-8": b"{\xff}",
    "deep": "[" * 100_000,
    "long number": '{"epochs": ' + "1" * 5000 + "}",
    "networks a list": {"networks": [1]},
    "networks none": {"networks": {}},
    "epochs text": NETWORK,
    "claims text": {"claims": ["it holds"]},
    "claim without verdict": {"claims": [{"claim": "it holds"}]},
    "hidden none": {"hidden": None},
    "versions text": {"versions": "all"},
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_summary_is_one_line(kind, tmp_path):
    text = MALFORMED[kind]
    if isinstance(text, dict):
        text = json.dumps(read_summary(RESULTS / "cifar100") | text)
    (tmp_path / "summary.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"expected summary\.json .* cifar100") as error:
        main(["cifar100", str(tmp_path)])
    assert "\n" not in str(error.value)
    str(error.value).encode()
    assert not (tmp_path / "report.html").exists()


def test_a_folder_without_a_run_or_of_another_study_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere"):
        main(["cifar100", str(tmp_path / "nowhere")])
    for name in STUDIES:
        other = next(one for one in STUDIES if one != name)
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(RESULTS / other / "summary.json", folder)
        with pytest.raises((ValueError, FileNotFoundError)) as error:  # one also reads epochs.csv
            main([name, str(folder)])
        assert "\n" not in str(error.value)
        (folder / "minidl-run.json").write_text(json.dumps({"study": other}))
        with pytest.raises(ValueError, match=f"expected a run of {name}, got one of {other}"):
            main([name, str(folder)])
