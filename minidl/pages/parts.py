"""The parts of a page: prose, tables, pictures, badges.  All text is escaped.

Each part can also be rendered as Markdown, so a text and a page share one description.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from minidl._printable import printable
from minidl.pages.markdown import (
    code,
    inline,
    inline_markdown,
    markdown_table,
    picture_markdown,
    plain,
)


class Part(Protocol):
    """Anything that can be on a page."""

    def html(self) -> str:
        """Its HTML, in which every text from outside is escaped."""
        ...


class Told(Part, Protocol):
    """A part that can also be rendered as Markdown."""

    def markdown(self) -> str:
        """The same as Markdown; empty if it has nothing to say there."""
        ...


def markup(content: str | Part) -> str:
    """The HTML of a part, or of our own text, with its bold words, code and links."""
    return inline(content) if isinstance(content, str) else content.html()


def told(content: str | Told) -> str:
    """The Markdown of a part, or of our own text, with its bold words, code and links."""
    return inline_markdown(content) if isinstance(content, str) else content.markdown()


def slug(text: str) -> str:
    """``text`` as an ``id`` and a file name: ``accuracy-by-epoch``."""
    return re.sub(r"\W+", "-", text.lower()).strip("-") or "part"


def json_block(data: Any) -> str:
    """``data`` as JSON in a ``<script>`` that nothing in the data can end.

    ``<``, ``>`` and ``&`` cannot begin a tag or a comment, and U+2028 and
    U+2029, line ends to old parsers, are escaped.

    Raises
    ------
    ValueError
        for NaN and infinity, which JSON does not have; use None.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json">{text}</script>'


@dataclass(frozen=True)
class Typed:
    """What somebody typed, or a machine reports: shown literally, never interpreted as markup."""

    text: str
    is_code: bool = False

    def html(self) -> str:
        shown = escape(printable(self.text))
        return f"<code>{shown}</code>" if self.is_code else shown

    def markdown(self) -> str:
        return code(self.text) if self.is_code else plain(self.text)


@dataclass(frozen=True)
class Prose:
    """Paragraphs."""

    paragraphs: Sequence[str | Told]

    def html(self) -> str:
        return "".join(f"<p>{markup(text)}</p>" for text in self.paragraphs)

    def markdown(self) -> str:
        return "\n\n".join(map(told, self.paragraphs))


@dataclass(frozen=True)
class Points:
    """A list of points, each with a summary and the rest: ``(head, text)``."""

    points: Sequence[tuple[str, str]]

    def html(self) -> str:
        items = (f"<li><b>{escape(head)}</b> {markup(text)}</li>" for head, text in self.points)
        return f'<ul class="points">{"".join(items)}</ul>'

    def markdown(self) -> str:
        return "\n".join(f"- **{told(head)}** {told(text)}" for head, text in self.points)


@dataclass(frozen=True)
class Badge:
    """A word in a coloured frame, ``good``, ``bad`` or ``open``; the word alone says the same."""

    text: str
    kind: str

    def html(self) -> str:
        return f'<span class="badge {escape(self.kind)}">{escape(self.text)}</span>'

    def markdown(self) -> str:
        return f"**{told(self.text)}**"


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is its heading.  Wide tables scroll by themselves."""

    caption: str
    head: Sequence[str]  # empty: no head
    rows: Sequence[Sequence[str | Told]]

    def html(self) -> str:
        caption = escape(self.caption)
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.head)
        rows = "".join(
            f'<tr><th scope="row">{markup(first)}</th>'
            + "".join(f"<td>{markup(cell)}</td>" for cell in cells)
            + "</tr>"
            for first, *cells in self.rows
        )
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
            f"<table><caption>{markup(self.caption)}</caption>"
            + (f"<thead><tr>{head}</tr></thead>" if self.head else "")
            + f"<tbody>{rows}</tbody></table></div>"
        )

    def markdown(self) -> str:
        head, *rows = ([told(cell) for cell in row] for row in (self.head, *self.rows))
        table = markdown_table(head or [""] * len(rows[0]), rows)
        return f"{told(self.caption)}:\n\n{table}" if self.caption else table


@dataclass(frozen=True)
class Picture:
    """A PNG inside the page; in Markdown, a link to its file ``figures/name.png``."""

    png: bytes
    alternative: str  # what it shows, for those who cannot see it
    caption: str = ""
    name: str = ""

    def html(self) -> str:
        data = base64.b64encode(self.png).decode("ascii")
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure class="picture"><img alt="{escape(self.alternative)}" '
            f'src="data:image/png;base64,{data}">{caption}</figure>'
        )

    def markdown(self) -> str:
        picture = picture_markdown(self.alternative, self.name)
        return f"{picture}\n\n{told(self.caption)}".rstrip()
