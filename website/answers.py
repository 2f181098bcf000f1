"""Insert the answers of the reports into the pages that list the studies.

Run ``python website/answers.py``.

In a page, an answer is between ``<!-- answer of results/cifar100/report.md -->`` and
``<!-- / -->``, which neither the code host nor the site shows; ``short answer of`` takes only the
part before the colon.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS.parent / "README.md", DOCS / "index.md", DOCS / "studies.md")
PLACE = re.compile(
    r"(?P<begin><!-- (?P<short>short )?answer of (?P<report>\S+) -->).*?(?P<end><!-- / -->)",
    re.DOTALL,
)
ANSWER = re.compile(r"^\*\*((?:Yes|No).*)\*\*$", re.MULTILINE)


def answer(report: Path) -> str:
    """The sentence of a report that answers its question."""
    (found,) = ANSWER.findall(report.read_text("utf-8"))
    return str(found)


def filled(text: str) -> str:
    """The text of a page with the current answers of the reports."""
    return PLACE.sub(_filled, text)


def _filled(place: re.Match[str]) -> str:
    said = answer(DOCS / place["report"])
    if place["short"]:
        said = said.partition(":")[0]
    return f"{place['begin']}{said}{place['end']}"


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
