"""Text that somebody typed, so that Markdown and HTML show it and take nothing of it for markup.

Numeric entities are used, which by the CommonMark specification never begin or end anything, and
which also hold in the cell of a table and in HTML.
"""

from __future__ import annotations

import re

from minidl._printable import printable

MARKUP = re.compile(r"[][`*_{}<>#!|\\~&$^\"']")


def plain(text: str) -> str:
    """``text`` within a line: ``a_b`` becomes ``a&#95;b``, a new line is shown as ``&#92;n``."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", printable(text))


def code(text: str) -> str:
    """``text`` as code: between backticks, or as an HTML element where they would not hold it."""
    if text.isprintable() and not set("`|\\<&") & set(text):
        return f"`{text}`"
    return f"<code>{plain(text)}</code>"
