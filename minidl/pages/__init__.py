"""Pages: HTML files that need neither a server nor a network connection.

A page is a :class:`Page` of sections, a section is a list of parts, and a part
is anything with a method ``html()``::

    from minidl.pages import Chart, Page, Prose, Section, Series

    epochs = [1, 2, 3]
    chart = Chart(
        title="Accuracy by epoch",
        about="Share of the test images that are recognised.",
        x="epoch",
        y="accuracy",
        series=[
            Series("relu", epochs, [0.31, 0.35, 0.39], colour=1, panel="test"),
            Series("relu, published", epochs, [0.30, 0.36, 0.38], colour=1, published=True,
                   panel="test"),
        ],
        scales=("linear", "log"),
    )
    page = Page(
        title="Sigmoid against ReLU",
        kind="Report of a run",
        question="Does ReLU learn faster?",
        answer="Yes: 0.39 to 0.21 after three epochs.",
        opening=[chart],
        sections=[Section("How it was done", [Prose(["Two networks, one seed."])])],
        footer="minidl",
    )
    page.write("report.html")

Each chart has a legend that hides and shows its series, a choice for every key
of ``Series.where``, a table with the same numbers, and buttons that save it as
SVG, PNG or CSV; pointer and arrow keys move along x and show the values.

For anything else, write your own part: a class whose
``html()`` escapes its texts with ``html.escape`` and carries its data in a
:func:`json_block`, with its script and style sheet in ``Page.scripts`` and
``Page.styles``.  These scripts run after the frame's and see its functions
(``element``, ``number``, ``startChart``, ``saveFile``, …), ``d3`` and ``Plot``.
Colours are those of :mod:`minidl.pages.colours`, for light and dark.  The page's
policy blocks every request and every other script; an event handler or a ``<script>``
in a part's HTML does nothing.
"""

from minidl.pages.chart import Chart, Series, in_order
from minidl.pages.page import Page, Section
from minidl.pages.parts import (
    Badge,
    Part,
    Picture,
    Points,
    Prose,
    Table,
    Told,
    Typed,
    json_block,
    markup,
    slug,
    told,
)

__all__ = [
    "Badge",
    "Chart",
    "Page",
    "Part",
    "Picture",
    "Points",
    "Prose",
    "Section",
    "Series",
    "Table",
    "Told",
    "Typed",
    "in_order",
    "json_block",
    "markup",
    "slug",
    "told",
]
