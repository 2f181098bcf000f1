"""Links from notebooks to other pages, which mkdocs-jupyter leaves unchanged.

MkDocs calls ``on_page_content``.
"""

from __future__ import annotations

import re
from typing import Any

LINK = re.compile(r'(?<=href=")(?P<path>(?:\.\./)[^":#]+)\.(?:md|ipynb)(?=[#"])')


def on_page_content(html: str, page: Any, **kwargs: Any) -> str:
    """``../results/cifar100/report.md`` becomes ``….html`` in the notebooks."""
    return LINK.sub(r"\g<path>.html", html) if page.file.src_uri.endswith(".ipynb") else html
