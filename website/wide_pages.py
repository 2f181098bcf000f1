"""Pages as wide as the window and without a table of contents, since they are lists themselves.

MkDocs calls ``on_page_markdown``.
"""

from __future__ import annotations

from typing import Any

HIDDEN = {"index.md": ["navigation", "toc"], "gallery.md": ["toc"]}


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> None:
    if page.file.src_uri in HIDDEN:
        page.meta["hide"] = HIDDEN[page.file.src_uri]
