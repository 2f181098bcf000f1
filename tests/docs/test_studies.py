"""The pages that list the studies have all of them, with the answer of each report."""

from __future__ import annotations

import answers
import pytest
from docs_text import DOCS
from report_page import STUDIES, study

PAGE = (DOCS / "studies.md").read_text("utf-8")
README = (DOCS.parent / "README.md").read_text("utf-8")
REPORTS = sorted(DOCS.glob("results/*/report.md"))


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.parent.name)
def test_each_report_has_its_answer_on_the_page(report):
    path = report.relative_to(DOCS).as_posix()
    assert f"]({path})" in PAGE
    shown = answers.on_page_markdown(f"before\n<!-- answer of {path} -->\nafter")
    assert shown == f"before\n> **{answers.answer(report)}**\nafter"


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.parent.name)
def test_the_readme_answers_as_the_report_does(report):
    rows = [line for line in README.splitlines() if f"(docs/{report.relative_to(DOCS)})" in line]
    assert any(answers.answer(report) in row for row in rows)


@pytest.mark.parametrize("name", STUDIES)
def test_the_published_work_is_named(name):
    work = study(name).work
    for text in (README, PAGE):
        assert work.title in text and work.authors in text
        assert f"]({work.link})" in text or not work.link


def test_no_other_report_is_asked_for():
    asked = answers.PLACE.findall(PAGE)
    assert sorted(asked) == [report.relative_to(DOCS).as_posix() for report in REPORTS]


def test_a_report_without_an_answer_is_an_error(tmp_path):
    report = tmp_path / "report.md"
    report.write_text("# Nothing\n")
    with pytest.raises(ValueError, match="not enough values"):
        answers.answer(report)
