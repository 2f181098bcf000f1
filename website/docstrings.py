"""The docstrings, with their plain-text formulas and shapes, as Markdown for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([\w.]+)`")
SECTION = re.compile(r"^(\w+)\n-{3,}\n((?:.+(?:\n|$))+)", re.MULTILINE)
ENTRY = re.compile(r"^(\S.*)\n?((?:[ ]{4}.*\n?)*)", re.MULTILINE)


class AsMarkdown(griffe.Extension):
    """An extension that converts every docstring before it is rendered.

    What a package exports is shown only once, in the file that defines it.
    """

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        _hide_exports(pkg)


def _hide_exports(module: griffe.Module) -> None:
    module.exports = None
    for inner in module.modules.values():
        if not inner.is_alias:
            _hide_exports(inner)


def as_markdown(text: str) -> str:
    """Roles as links, ``::`` before code as a colon, sections as lists."""
    text = ROLE.sub(r'<autoref optional identifier="\1"><code>\1</code></autoref>', text)
    text = re.sub(r"::\n\n(?= {4})", ":\n\n", text)
    return SECTION.sub(lambda found: f"**{found[1]}**\n\n{_items(found[2])}", text)


def _items(lines: str) -> str:
    """``name : description``, with indented continuation lines, as list entries."""
    entries = []
    for found in ENTRY.finditer(lines):
        name, colon, what = found[1].partition(" : ")
        more = " ".join(found[2].split())
        entries.append(f"- `{name}`{': ' if colon or more else ''}{what} {more}".rstrip())
    return "\n".join(entries) + "\n"
