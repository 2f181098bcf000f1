"""Text that becomes Markdown and HTML, and typed text, in which neither interprets markup.

Typed text is written with numeric entities, which by the CommonMark specification never begin or
end anything, and which also work in table cells and in HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from minidl._printable import printable

MARKUP = re.compile(r"[][`*_{}<>#!|\\~&$^\"']")
# Our own text may use: **bold**, `code`, [a link](https://…), [a place](#below).
BOLD = re.compile(r"\*\*(?=\S)(.+?)\*\*")
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[([^][]+)\]\(((?:https?://|#)[^\s()<>]+)\)")
# What else would begin HTML, a link, an image, code or a block of it, or escape what follows.
RAW = re.compile(r"<(?=[A-Za-z/!?])|\](?=[(\[:])|!(?=\[)|`|~(?=~)|\\(?=[^\w\s])")
INLINE = re.compile("|".join(known.pattern for known in (CODE, LINK, RAW)))


def plain(text: str) -> str:
    """``text`` within a line: ``a_b`` becomes ``a&#95;b``, a new line is shown as ``&#92;n``."""
    return MARKUP.sub(_entity, printable(text))


def code(text: str) -> str:
    """``text`` as code: between backticks, or as an HTML element where they would not hold it."""
    if text.isprintable() and not set("`|\\<&") & set(text) and not RAW.search(text):
        return f"`{text}`"
    return f"<code>{plain(text)}</code>"


def inline(text: str) -> str:
    """A line of our own text as HTML: escaped, then with bold, code and links rendered."""
    html = CODE.sub(r"<code>\1</code>", BOLD.sub(r"<b>\1</b>", escape(printable(text))))
    return LINK.sub(r'<a href="\2">\1</a>', html)


def inline_markdown(text: str) -> str:
    """A line of our own text as Markdown: HTML, images and other links are shown as text.

    That holds within backticks, too: whether these enclose code depends on all that is around them.
    """
    return INLINE.sub(_own, printable(text))


def picture_markdown(alternative: str, name: str) -> str:
    """The picture ``figures/name.png``; a bracket in what it shows would end that."""
    shown = inline_markdown(alternative).replace("[", "&#91;").replace("]", "&#93;")
    return f"![{shown}](figures/{name}.png)"


def _own(found: re.Match[str]) -> str:
    shown_as_code, label, address = found.groups()
    if shown_as_code:
        return code(shown_as_code)
    return f"[{inline_markdown(label)}]({address})" if label else _entity(found)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of GitHub's Markdown; what is in a cell cannot break out of it."""
    expect_columns(head, rows)
    lines = [_row(head), "|" + "---|" * len(head)]
    return "\n".join(lines + [_row(row) for row in rows])


def expect_columns(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    for number, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise ValueError(
                f"table: expected as many cells in each row as in the head, {len(head)}, "
                f"got {len(row)} in row {number}"
            )


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(cell: Any) -> str:
    """On one line, every | escaped; a backslash before one would undo that, so it is, too."""
    line = " ".join(str(cell).splitlines())
    return re.sub(r"(\\*)\|", r"\1\1\\|", line)
