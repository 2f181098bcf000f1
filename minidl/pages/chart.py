"""Charts that a reader can ask: lines over a number, or dots over names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minidl.pages.parts import json_block, slug

COLOURS = 10  # --series-0 … --series-9 of page.css


@dataclass(frozen=True)
class Series:
    """One line of a chart (dots, where ``x`` are names).

    A chart has a panel for each ``panel`` there is, side by side on one scale,
    and a choice for each key of ``where``, of which it shows one value at a
    time: ``where={"parameter": "biases"}``.
    """

    name: str  # in the legend; one entry for all series of that name
    x: Sequence[float] | Sequence[str]
    y: Sequence[float | None]  # None or not finite: a gap
    colour: int = 0  # 0 to 9
    dashed: bool = False
    panel: str = ""
    low: Sequence[float] | None = None  # a band around the line, as that of several seeds
    high: Sequence[float] | None = None
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in (("y", self.y), ("low", self.low), ("high", self.high)):
            if values is not None and len(values) != len(self.x):
                raise ValueError(
                    f"Series {self.name!r}: expected {len(self.x)} numbers in {name}, "
                    f"one for each x, got {len(values)}"
                )
        if not 0 <= self.colour < COLOURS:
            raise ValueError(
                f"Series {self.name!r}: expected a colour from 0 to {COLOURS - 1}, "
                f"got {self.colour}"
            )

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "x": list(self.x),
            "y": _finite(self.y),
            "colour": self.colour,
            "dashed": self.dashed,
            "panel": self.panel,
            "low": None if self.low is None else _finite(self.low),
            "high": None if self.high is None else _finite(self.high),
            "where": dict(self.where),
        }


@dataclass(frozen=True)
class Chart:
    """A chart with its legend, choices, table and files to save; drawn by ``assets/chart.js``.

    Arrow keys or the pointer move along ``x`` and show the figures there.
    """

    title: str  # different from that of every other chart on the page
    about: str  # a sentence on what is drawn and in which unit
    x: str  # the name of the axis
    y: str
    series: Sequence[Series]
    scales: Sequence[str] = ("linear",)  # of y: "linear", "log"; the first one is shown first
    from_zero: bool = True  # a linear scale of y includes 0

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError(f"Chart {self.title!r}: expected one series or more, got none")
        if not self.scales or not {"linear", "log"} >= set(self.scales):
            raise ValueError(
                f"Chart {self.title!r}: expected scales of 'linear' and 'log', got {self.scales}"
            )
        if len({tuple(series.where) for series in self.series}) > 1:
            raise ValueError(f"Chart {self.title!r}: expected the same keys in where of all series")

    def html(self) -> str:
        name = slug(self.title)
        block = {
            "name": name,
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "scales": list(self.scales),
            "fromZero": self.from_zero,
            "series": [series.as_dict() for series in self.series],
        }
        return (
            f'<figure class="chart" id="chart-{name}" aria-labelledby="chart-{name}-title">'
            f'<figcaption><h3 id="chart-{name}-title">{escape(self.title)}</h3>'
            f"<p>{escape(self.about)}</p></figcaption>{json_block(block)}</figure>"
        )


def _finite(values: Sequence[float | None]) -> list[float | None]:
    return [None if v is None or not math.isfinite(v) else float(v) for v in values]
