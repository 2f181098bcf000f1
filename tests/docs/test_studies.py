"""The pages that list the studies have all of them, each with the answer from its report."""

from __future__ import annotations

import answers
import pytest
from docs_text import DOCS, ROOT
from report_page import STUDIES, study

REPORTS = sorted(report.relative_to(DOCS).as_posix() for report in DOCS.glob("results/*/report.md"))


def test_each_report_is_linked_with_its_current_answer():
    for page in answers.PAGES:
        text = page.read_text("utf-8")
        assert answers.filled(text) == text, "python website/answers.py"
        assert sorted(place["report"] for place in answers.PLACE.finditer(text)) == REPORTS
        assert [report for report in REPORTS if f"{report})" not in text] == []


def test_the_published_work_is_named():
    for page in (ROOT / "README.md", DOCS / "studies.md"):
        text = page.read_text("utf-8")
        for name in STUDIES:
            work = study(name).work
            assert work.title in text and work.authors in text, name
            assert f"]({work.link})" in text or not work.link, name


def test_an_answer_that_has_changed_is_filled_in():
    path = REPORTS[0]
    shown = answers.filled(f"a <!-- answer of {path} -->No longer so.<!-- / --> b")
    assert shown == f"a <!-- answer of {path} -->{answers.answer(DOCS / path)}<!-- / --> b"


def test_a_report_without_an_answer_is_an_error(tmp_path):
    report = tmp_path / "report.md"
    report.write_text("# Nothing\n")
    with pytest.raises(ValueError, match="not enough values"):
        answers.answer(report)
