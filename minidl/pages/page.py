"""One page from its parts: a file that needs only a browser."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from minidl._printable import printable
from minidl.pages import colours
from minidl.pages.parts import Part, markup, slug
from minidl.storage.files import open_to_read, whole_file

HERE = Path(__file__).parent
# Each script sees the functions of those before it.
SCRIPTS = (
    *("vendor/d3-7.9.2.min.js", "vendor/plot-0.6.17.min.js", "assets/elements.js"),
    *("assets/cursor.js", "assets/controls.js", "assets/table.js", "assets/save.js"),
    *("assets/chart.js", "assets/page.js"),
)


HEAD = 1 << 20  # bytes in which a page has its kind
ID = re.compile(r' id="([^"]*)"')


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading, which the contents list."""

    title: str
    parts: Sequence[Part]

    def html(self) -> str:
        name = slug(self.title)
        parts = "".join(part.html() for part in self.parts)
        return (
            f'<section id="{name}" aria-labelledby="{name}-title">'
            f'<h2 id="{name}-title">{escape(self.title)}</h2>{parts}</section>'
        )


@dataclass(frozen=True)
class Page:
    """A whole page: title, question and answer at the top, then the sections.

    ``styles`` and ``scripts`` are text in CSS and JavaScript, after those of
    the frame; the scripts see its functions, d3 and Plot.
    """

    title: str
    kind: str  # above the title: what kind of page it is
    question: str
    answer: str | Part  # in one sentence
    opening: Sequence[Part] = ()  # under the answer, as the picture that shows it
    sections: Sequence[Section] = ()
    warning: str | Part = ""  # in a box above the question: what a reader must know first
    footer: str = ""
    styles: Sequence[str] = ()
    scripts: Sequence[str] = ()

    def html(self) -> str:
        """The page as one HTML document; its own policy forbids every request and other script.

        Raises
        ------
        ValueError
            if two sections or two charts have the same name: links would lead to the first alone,
            and the file of one chart replace that of the other.
        """
        scripts = [_closed("script", text) for text in [*map(asset, SCRIPTS), *self.scripts]]
        styles = [colours.style(), asset("assets/page.css"), *self.styles]
        style = _closed("style", "\n".join(styles))
        links = "".join(
            f'<li><a href="#{slug(section.title)}">{escape(section.title)}</a></li>'
            for section in self.sections
        )
        warning = (
            f'<p class="warning" role="note">{markup(self.warning)}</p>' if self.warning else ""
        )
        contents = f'<nav aria-label="Contents"><ol>{links}</ol></nav>' if links else ""
        body = (
            '<a class="skip" href="#content">Skip to the content</a>\n'
            f'{self._bar}<button type="button" id="theme">Dark</button></header>\n'
            f'<main id="content"><div class="opening"><h1>{escape(self.title)}</h1>'
            f'{warning}<p class="question">{markup(self.question)}</p>'
            f'<p class="answer">{markup(self.answer)}</p>'
            "<noscript><p>The charts of this page are drawn by JavaScript, which is switched off; "
            "the text and the claims can be read without it.</p></noscript>"
            + "".join(part.html() for part in self.opening)
            + f"</div>\n{contents}\n"
            + "\n".join(section.html() for section in self.sections)
            + f"\n</main>\n<footer><p>{escape(self.footer)}</p></footer>\n"
        )
        (name, count), *_ = Counter(ID.findall(body)).most_common(1)
        if count > 1:
            raise ValueError(
                f"page: expected titles that make different names, got {name!r} twice; give one of "
                "the sections or charts another title"
            )
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
            + body
            + "\n".join(f"<script>{script}</script>" for script in scripts)
            + "\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> str:
        """Write the page to ``path``, completely or not at all; say where it is, in a line.

        Raises
        ------
        FileExistsError
            if there is a file that is not a page of this kind.
        OSError
            if it cannot be written.
        """
        self._expect_own(Path(path))
        html = self.html()
        with whole_file(path) as file:
            file.write(html)
        return f"written to {printable(str(path))}, {len(html.encode()) / 1e6:.1f} MB"

    def _expect_own(self, path: Path) -> None:
        try:
            with open_to_read(path) as file:
                head = file.read(HEAD)
        except FileNotFoundError:
            head = self._bar.encode()
        if path.is_symlink() or self._bar.encode() not in head:
            raise FileExistsError(
                f"{path}: expected no file, or an earlier page with the heading {self.kind!r}, "
                "got another file; choose another name"
            )

    @property
    def _bar(self) -> str:
        return f'<header class="bar"><p>{escape(self.kind)}</p>'


@cache
def asset(name: str) -> str:
    """The text of a file of this package, like ``assets/page.css``."""
    return (HERE / name).read_text("utf-8")


def _closed(tag: str, text: str) -> str:
    """``text``, after a check that nothing in it ends ``<script>`` or ``<style>``."""
    for end in (f"</{tag}", "<!--"):
        if end in text.lower():
            raise ValueError(
                f"a {tag} for a page: expected no {end!r} in it, got one; split it in two strings"
            )
    return text


def _policy(scripts: Sequence[str]) -> str:
    """The policy that allows no request, and only these scripts, by their SHA-256."""
    hashes = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
