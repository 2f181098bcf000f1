"""The pages under docs/, their fenced blocks and their headings, for the tests in this folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = [
    *sorted((DOCS / "guide").glob("*.md")),
    *(DOCS / f"{page}.md" for page in ("own_layer", "numerics", "propagation")),
]
EXAMPLES = [  # the pages whose examples are run
    *GUIDE,
    *(DOCS / f"{page}.md" for page in ("models", "check_your_own", "fit")),
]

FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block of a page."""

    kind: str  # what follows the fence: python, pycon, sh, diff, text
    text: str
    line: int  # of the page, from 1


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(found["kind"], found["text"], text.count("\n", 0, found.start("text")) + 1)
        for found in FENCE.finditer(text)
    ]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as code hosts generate them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def name(page: Path) -> str:
    return str(page.relative_to(DOCS))
