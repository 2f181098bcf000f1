"""The interactive step of the microscope, in the pages of the guide that compute it by hand.

On the site, each paragraph of the guide that names ``python -m minidl.microscope``, without
arguments, is followed by the page that this command makes.  MkDocs calls ``on_files`` and
``on_page_markdown``.
"""

from __future__ import annotations

import re
from typing import Any

from mkdocs.structure.files import File, Files

from minidl.microscope.page import microscope_page

NAME = "guide/one_step.html"
PARAGRAPH = re.compile(r"(?:^[^\n]+\n)*^[^\n]*`python -m minidl\.microscope`[^\n]*\n", re.MULTILINE)
ALONE = ".bar, .opening, main > nav, #content h2, footer { display: none }"  # within another page
FRAME = """
<iframe class="step" src="one_step.html" loading="lazy" title="One training step"></iframe>

[On a page of its own](one_step.html){ target=_blank }
"""


def on_files(files: Files, config: Any) -> Files:
    page = microscope_page(None).html().replace("</style>", f"{ALONE}</style>", 1)
    files.append(File.generated(config, NAME, content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    if not page.file.src_uri.startswith("guide/"):
        return markdown
    return PARAGRAPH.sub(lambda found: found[0] + FRAME, markdown)
