"""Links from a page to a file outside ``docs/``: on the site, to a page that shows that file.

On the code host, ``../minidl/network.py#L10-L22`` leads to those lines.  For the site, each
linked file becomes a page of its own, ``source/minidl/network.py.html``, with an
anchor at every line.  MkDocs calls the two functions ``on_files`` and ``on_page_markdown``.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?P<path>(?:\.\./)+[^)#\s]+)(?:#L(?P<line>\d+)(?:-L\d+)?)?(?=\))")
STYLE = "body{margin:1em} a{color:inherit} a:target~*{background:#fff3c4}"


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file of the repository that some page links to."""
    linked = {
        path
        for page in files.documentation_pages()
        for found in LINK.finditer(page.content_string)
        if (path := outside(found["path"], page.src_uri))
    }
    for path in sorted(linked):
        files.append(File.generated(config, f"source/{path}.html", content=shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Redirect links to those files to their pages."""

    def moved(found: re.Match[str]) -> str:
        path = outside(found["path"], page.file.src_uri)
        if path is None:
            return found[0]
        there = os.path.relpath(f"source/{path}.html", posixpath.dirname(page.file.src_uri) or ".")
        return there + (f"#L-{found['line']}" if found["line"] else "")

    return LINK.sub(moved, markdown)


def outside(link: str, page: str) -> str | None:
    """The repository path of a link that leaves ``docs/``; None for one that does not."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if path.startswith("docs/") or not (ROOT / path).is_file() else path


def shown(path: str) -> str:
    """The file as a page, each line with its number and an anchor ``L-1``, ``L-2``, …"""
    form = HtmlFormatter(
        full=True,
        title=path,
        linenos="inline",
        lineanchors="L",
        anchorlinenos=True,
        cssstyles=STYLE,
    )
    return highlight((ROOT / path).read_text("utf-8"), get_lexer_for_filename(path), form)
