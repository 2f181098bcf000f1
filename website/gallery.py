"""The gallery of the studies: a line with a link to a report becomes its picture and its answer.

    - [Sigmoid against ReLU on CIFAR-100](results/cifar100/report.md)

Both are those at the top of the report.  MkDocs calls ``on_page_markdown``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
LINE = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<report>\S+/report\.md)\)$", re.MULTILINE)
ANSWER = re.compile(
    r"^\*\*(?P<answer>(?:Yes|No).*)\*\*\n+!\[(?P<shows>.*)\]\((?P<picture>\S+)\)$", re.MULTILINE
)


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    return LINE.sub(card, markdown) if page.file.src_uri == "gallery.md" else markdown


def card(line: re.Match[str]) -> str:
    """The entry of a report: its picture, its title, the sentence that answers its question."""
    title, report = line["title"], line["report"]
    found = ANSWER.search((DOCS / report).read_text("utf-8"))
    if found is None:
        raise ValueError(f"gallery.md: {report} does not begin with an answer and a picture")
    picture = f"{Path(report).parent.as_posix()}/{found['picture']}"
    return (
        f"- [![{found['shows']}]({picture}){{ loading=lazy }}]({report})\n\n"
        f"    **[{title}]({report})**\n\n    {found['answer']}\n"
    )
