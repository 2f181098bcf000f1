"""Search lists the reference before other pages, and methods with the name of their class.

mkdocstrings gives ``Network.save`` the heading ``save``.  MkDocs calls ``on_page_content``.
"""

from __future__ import annotations

import re
from typing import Any

FIRST = ("api/network.md", "api/layers.md", "api/training.md")  # what most people look for
MEMBER = re.compile(
    r'<h\d id="minidl\.[\w.]*\b(?P<owner>[A-Z]\w*)\.(?P<name>\w+)" class="doc doc-heading">\s*'
    r"<code[^>]*>(?=(?:<span[^>]*>)?(?P=name)\b)"
)


def on_page_content(html: str, page: Any, **kwargs: Any) -> str:
    name = page.file.src_uri
    if name.startswith("api/"):
        page.meta["search"] = {"boost": 8 if name in FIRST else 2}
    return MEMBER.sub(r"\g<0>\g<owner>.", html)
