"""Source lines that a page quotes: a link to them, and after its paragraph the lines themselves.

    [`Dense.backward`](../../minidl/layers/dense.py#L73-L78) is this:

    ```python
    self.dz = dz = self.activation.backward(dy, self.z, self.y, out=dz)
    ```

A test compares the two.  If the code has moved without a change,
``python website/quotes.py`` corrects the line numbers.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s]+)#L(?P<first>\d+)-L(?P<last>\d+)(?=\))")
BLOCK = r"\n```python\n(?P<text>.*?)\n```"
QUOTE = re.compile(LINK.pattern + r"[^\n]*\n(?:[^\n]+\n)*" + BLOCK, re.DOTALL)


@dataclass(frozen=True)
class Quote:
    """One quotation, in the page and in the source."""

    page: Path
    path: Path  # of the source
    first: int  # line, from 1
    last: int
    text: str  # as the page shows it, without indentation

    @classmethod
    def of(cls, page: Path, found: re.Match[str]) -> Quote:
        path = (page.parent / found["path"]).resolve()
        return cls(page, path, int(found["first"]), int(found["last"]), found["text"])

    def source(self, first: int | None = None) -> str:
        """As many lines of the source as the quote has, beginning at ``first``, not indented."""
        first = self.first if first is None else first
        lines = self.path.read_text("utf-8").splitlines()
        return dedent("\n".join(lines[first - 1 : first + self.text.count("\n")]))

    def is_right(self) -> bool:
        return self.last == self.first + self.text.count("\n") and self.source() == self.text

    def now(self) -> list[int]:
        """The lines at which the text begins in the current source."""
        lines = len(self.path.read_text("utf-8").splitlines())
        return [first for first in range(1, lines + 1) if self.source(first) == self.text]

    def __str__(self) -> str:
        page, path = self.page.relative_to(ROOT), self.path.relative_to(ROOT)
        return f"{page}: {path}, lines {self.first} to {self.last}"


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def quotes_of(page: Path) -> list[Quote]:
    """All quotations on a page."""
    return [Quote.of(page, found) for found in QUOTE.finditer(page.read_text("utf-8"))]


def put_right(page: Path) -> list[Quote]:
    """Update the line numbers of quotes that have moved; return the quotes that are lost."""
    lost = []

    def corrected(found: re.Match[str]) -> str:
        quote = Quote.of(page, found)
        now = [quote.first] if quote.is_right() else quote.now()
        if len(now) != 1:
            lost.append(quote)
            return found[0]
        numbers = f"#L{now[0]}-L{now[0] + quote.text.count(chr(10))}"
        return found[0].replace(f"#L{quote.first}-L{quote.last}", numbers, 1)

    text = page.read_text("utf-8")
    corrected_text = QUOTE.sub(corrected, text)
    if corrected_text != text:
        page.write_text(corrected_text, "utf-8")
    return lost


if __name__ == "__main__":
    missing = [quote for page in pages() for quote in put_right(page)]
    sys.exit("\n".join(f"{quote}: no longer there as quoted" for quote in missing) or None)
