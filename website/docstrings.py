"""The docstrings, in which formulas and shapes stand as plain text, as Markdown for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([\w.]+)`")
SECTION = re.compile(r"^(\w+)\n-{3,}\n((?:.+(?:\n|$))+)", re.MULTILINE)
ENTRY = re.compile(r"^(\S.*)\n?((?:[ ]{4}.*\n?)*)", re.MULTILINE)


class AsMarkdown(griffe.Extension):
    """Applied to everything that has a docstring, before it is rendered."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Roles as links, ``::`` before code as a colon, sections as lists."""
    text = ROLE.sub(r'<autoref optional identifier="\1"><code>\1</code></autoref>', text)
    text = re.sub(r"::\n\n(?= {4})", ":\n\n", text)
    return SECTION.sub(lambda found: f"**{found[1]}**\n\n{_items(found[2])}", text)


def _items(lines: str) -> str:
    """``name : what it is``, going on in lines that are set in, as list entries."""
    entries = []
    for found in ENTRY.finditer(lines):
        name, colon, what = found[1].partition(" : ")
        more = " ".join(found[2].split())
        entries.append(f"- `{name}`{': ' if colon or more else ''}{what} {more}".rstrip())
    return "\n".join(entries) + "\n"
