"""The page of the studies has all of them, and finds the verdict in each report."""

from __future__ import annotations

import pytest
import verdicts
from docs_text import DOCS

PAGE = (DOCS / "studies.md").read_text("utf-8")
REPORTS = sorted(DOCS.glob("results/*/report.md"))


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.parent.name)
def test_each_report_has_its_verdict_on_the_page(report):
    path = report.relative_to(DOCS).as_posix()
    assert f"]({path})" in PAGE
    shown = verdicts.on_page_markdown(f"before\n<!-- verdict of {path} -->\nafter")
    assert shown == f"before\n> {verdicts.verdict(report)}\nafter"
    assert verdicts.verdict(report) in report.read_text("utf-8")


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.parent.name)
def test_the_readme_counts_the_verdicts_as_the_report_does(report):
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    rows = [line for line in readme.splitlines() if f"(docs/{report.relative_to(DOCS)})" in line]
    counted = verdicts.verdict(report).removeprefix("**Of").partition(".**")[0]
    assert any(counted in row for row in rows)


def test_no_other_report_is_asked_for():
    asked = verdicts.PLACE.findall(PAGE)
    assert sorted(asked) == [report.relative_to(DOCS).as_posix() for report in REPORTS]


def test_a_report_without_a_verdict_is_an_error(tmp_path):
    report = tmp_path / "report.md"
    report.write_text("# Nothing\n")
    with pytest.raises(ValueError, match="not enough values"):
        verdicts.verdict(report)
