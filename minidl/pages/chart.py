"""Interactive charts: lines over a number, or dots over names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minidl.pages.colours import PALETTE, SHADES, tone
from minidl.pages.markdown import picture_markdown
from minidl.pages.parts import json_block, markup, slug, told

TICKS = 6  # along x, approximately
# The markers of a line, as Plot names them; with three shades, this makes 21 variants of a line.
MARKERS = ("circle", "square", "triangle", "diamond", "star", "cross", "wye")
VARIANTS = len(MARKERS) * len(SHADES)
NEXT = pow(len(SHADES), -1, len(MARKERS))
THINNEST, THICKER, THICKEST = 1.8, 0.7, 4.6  # of lines; one that lies under another is thicker


@dataclass(frozen=True)
class Series:
    """One line of a chart (dots, if ``x`` are names).

    A chart has one panel per ``panel``, side by side on one scale,
    and a choice for each key of ``where``, of which it shows one value at a
    time: ``where={"parameter": "biases"}``.  Only ``published`` series are dashed (or have
    empty dots).
    """

    name: str  # in the legend; one entry for all series of that name
    x: Sequence[float] | Sequence[str]
    y: Sequence[float | None]  # None or not finite: a gap
    colour: int = 0  # of PALETTE
    published: bool = False
    panel: str = ""
    low: Sequence[float] | None = None  # a band around the line, like that of several seeds
    high: Sequence[float] | None = None
    band: str = ""  # what the band shows
    where: Mapping[str, str] = field(default_factory=dict)
    variant: int = 0  # 0 to 20: distinguishes lines of one colour by shade and marker

    def __post_init__(self) -> None:
        for name, values in (("y", self.y), ("low", self.low), ("high", self.high)):
            if values is not None and len(values) != len(self.x):
                raise ValueError(
                    f"Series {self.name!r}: expected {len(self.x)} numbers in {name}, "
                    f"one for each x, got {len(values)}"
                )
        if not 0 <= self.colour < len(PALETTE):
            raise ValueError(
                f"Series {self.name!r}: expected a colour from 0 to {len(PALETTE) - 1}, "
                f"got {self.colour}"
            )
        if not 0 <= self.variant < VARIANTS:
            raise ValueError(
                f"Series {self.name!r}: expected a variant from 0 to {VARIANTS - 1}, "
                f"got {self.variant}"
            )
        if self.low is not None and not self.band:
            raise ValueError(
                f"Series {self.name!r}: expected band, a description of what lies between low and "
                "high, got none"
            )

    @property
    def shade(self) -> int:
        return self.variant % len(SHADES)

    @property
    def marker(self) -> str:
        return MARKERS[self.variant % len(MARKERS)]

    def as_dict(self) -> dict[str, Any]:
        variant = {"shade": self.shade, "marker": self.marker} if self.variant else {}
        return {
            "name": self.name,
            "x": list(self.x),
            "y": finite(self.y),
            "colour": self.colour,
            "dashed": self.published,
            "panel": self.panel,
            "low": None if self.low is None else finite(self.low),
            "high": None if self.high is None else finite(self.high),
            "where": dict(self.where),
            **variant,
        }


@dataclass(frozen=True)
class Chart:
    """A chart with its legend, choices, table and files to save; drawn by ``assets/chart.js``.

    Arrow keys or the pointer move along ``x`` and show the values there.  In Markdown it is the
    picture ``figures/name.png``.
    """

    title: str  # different from that of every other chart on the page
    about: str  # a sentence on what is drawn and in which unit
    x: str  # the name of the axis
    y: str
    series: Sequence[Series]
    scales: Sequence[str] = ("linear",)  # of y: "linear", "log"; the first one is shown first
    from_zero: bool = True  # a linear scale of y includes 0
    name: str = ""  # of the file; made from the title if empty
    joined: bool = False  # names along x have an order: a line joins their dots

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError(f"Chart {self.title!r}: expected one series or more, got none")
        if not self.scales or not {"linear", "log"} >= set(self.scales):
            raise ValueError(
                f"Chart {self.title!r}: expected scales of 'linear' and 'log', got {self.scales}"
            )
        if len({tuple(series.where) for series in self.series}) > 1:
            raise ValueError(
                f"Chart {self.title!r}: expected where to have the same keys in all series"
            )

    @property
    def file(self) -> str:
        return self.name or slug(self.title)

    @property
    def legend(self) -> str:
        """``about``, and what dashes, empty dots and bands mean."""
        said = [self.about]
        if any(series.published for series in self.series):
            said.append("Empty: published." if self.is_named else "Dashed: published.")
        said += [f"Band: {band}." for band in {s.band: None for s in self.series if s.band}]
        return " ".join(said)

    @property
    def is_named(self) -> bool:
        """Whether x are names."""
        return any(isinstance(x, str) for series in self.series for x in series.x)

    def ticks(self, where: Mapping[str, str]) -> list[float]:
        """The ticks along x for that choice; the first and last are at the ends of the data."""
        if self.is_named:
            return []
        return ticks([float(x) for s in self.series if s.where == where for x in s.x])

    def widths(self) -> list[float]:
        """The widths of the lines: in each panel, lines under others are thicker, to stay visible.

        Lines are drawn in their order, the published ones on top.
        """
        places: dict[Any, list[int]] = {}
        for i, series in enumerate(self.series):
            if not series.published:
                key = (series.panel, tuple(series.where.values()))
                places.setdefault(key, []).append(i)
        found = [THINNEST] * len(self.series)
        for together in places.values():
            for i, place in enumerate(reversed(together)):
                found[place] = min(THICKEST, THINNEST + i * THICKER)
        return found

    def markdown(self) -> str:
        return f"{picture_markdown(self.title, self.file)}\n\n{told(self.legend)}"

    def html(self) -> str:
        name = slug(self.title)
        block = {
            "name": name,
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "scales": list(self.scales),
            "fromZero": self.from_zero,
            "joined": self.joined,
            "series": [
                series.as_dict() | {"width": round(width, 1), "ticks": self.ticks(series.where)}
                for series, width in zip(self.series, self.widths(), strict=True)
            ],
        }
        return (
            f'<figure class="chart" id="chart-{name}" aria-labelledby="chart-{name}-title">'
            f'<figcaption><h3 id="chart-{name}-title">{escape(self.title)}</h3>'
            f"<p>{markup(self.legend)}</p></figcaption>{json_block(block)}</figure>"
        )


def in_order(place: int, count: int) -> dict[str, Any]:
    """Colour and variant of one of ``count`` layers, or of other things in an order, from 0.

    Neighbouring tones are similar, so all but the first have a marker as well.
    """
    marker = len(SHADES) * (place * NEXT % len(MARKERS))  # the variant with shade 0
    return {"colour": tone(place, count), "variant": marker}


def ticks(places: Sequence[float]) -> list[float]:
    """About six round numbers from the smallest to the largest place, including these two."""
    known = sorted(set(places))
    if len(known) <= TICKS + 1:
        return known
    low, high = known[0], known[-1]
    rough = (high - low) / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    inner = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    apart = [t for t in inner if min(t - low, high - t) > 0.45 * step]
    return [low, *apart, high]


def finite(values: Sequence[float | None]) -> list[float | None]:
    return [None if v is None or not math.isfinite(v) else float(v) for v in values]
