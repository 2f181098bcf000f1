"""What a study has answered, taken out of its report for the site.

A page has the line ``<!-- answer of results/cifar100/report.md -->``, which the code host does not
show; on the site the answer stands in its place.  MkDocs calls ``on_page_markdown``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
PLACE = re.compile(r"^<!-- answer of (\S+) -->$", re.MULTILINE)
ANSWER = re.compile(r"^\*\*((?:Yes|No).*)\*\*$", re.MULTILINE)


def answer(report: Path) -> str:
    """The sentence of a report that answers its question."""
    (found,) = ANSWER.findall(report.read_text("utf-8"))
    return str(found)


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    return PLACE.sub(lambda place: f"> **{answer(DOCS / place[1])}**", markdown)
