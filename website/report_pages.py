"""A study's ``report.html``, which on the site would replace the page of ``report.md``.

MkDocs turns ``report.md`` into a ``report.html`` of its own.  So ``mkdocs.yml`` excludes the report
pages; this hook adds them under another name and redirects the links.  MkDocs calls
``on_files`` and ``on_page_markdown``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"(?<=/)report\.html(?=\))")


def on_files(files: Files, config: Any) -> Files:
    for page in sorted(DOCS.glob("results/*/report.html")):
        name = page.relative_to(DOCS).with_name("report_page.html").as_posix()
        files.append(File.generated(config, name, abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    return LINK.sub("report_page.html", markdown)
