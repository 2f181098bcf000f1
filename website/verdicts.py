"""What became of a study's claims, taken out of its report for the site.

A page has the line ``<!-- verdict of results/cifar100/report.md -->``, which the code host does not
show; on the site the verdict stands in its place.  MkDocs calls ``on_page_markdown``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
PLACE = re.compile(r"^<!-- verdict of (\S+) -->$", re.MULTILINE)
VERDICT = re.compile(r"^\*\*Of \d+ published .*$", re.MULTILINE)


def verdict(report: Path) -> str:
    """The paragraph of a report that counts the claims that hold."""
    (found,) = VERDICT.findall(report.read_text("utf-8"))
    return found


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    return PLACE.sub(lambda place: f"> {verdict(DOCS / place[1])}", markdown)
