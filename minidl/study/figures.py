"""Figures in one style, without pyplot: no window, no global state, safe in any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.pages.chart import MARKERS, Chart, Series, finite
from minidl.pages.colours import FUNCTIONS, function_colour, ink
from minidl.pages.picture import new_grid
from minidl.storage.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {name: ink(function_colour(name)) for name in FUNCTIONS}
MOST_COLUMNS = 5  # panels side by side at most
MARKED = 30  # markers on a line at most
SHAPES = dict(zip(MARKERS, "os^D*P2", strict=True))  # as matplotlib names them


def new_figure(title: str, panels: Sequence[str] = ("",)) -> tuple[Figure, list[Axes]]:
    """A figure with its panels side by side on a common scale, each with its own small title."""
    size = (6.4, 3.7) if len(panels) == 1 else (5.2, 3.7)
    figure, axes = new_grid(title, 1, len(panels), size)
    for ax, name in zip(axes[0], panels, strict=True):
        ax.set_title(name, fontsize=9.5)
    return figure, list(axes[0])


# -- charts -----------------------------------------------------------------------------------


def drawn(chart: Chart, stamp: str = "") -> Figure:
    """The chart as on its page: one row per choice, one column per panel.

    ``stamp`` is a second line of the title, for what a reader of the figure alone must know.
    """
    choices = [dict(where) for where in {tuple(s.where.items()): None for s in chart.series}]
    varying = {key for key in choices[0] if len({where[key] for where in choices}) > 1}
    panels = list({s.panel: None for s in chart.series})
    size = (6.4, 3.7) if len(panels) == 1 else (4.2 if len(panels) == 2 else 3.3, 2.9)
    # many panels of a single choice take several rows
    columns = min(len(panels), MOST_COLUMNS) if len(choices) == 1 else len(panels)
    rows = len(choices) * -(-len(panels) // columns)
    title = f"{chart.title}\n{stamp}" if stamp else chart.title
    figure, axes = new_grid(title, rows, columns, size, sharey=False)
    places = axes.reshape(len(choices), -1)
    for ax in places[:, len(panels) :].flat:
        ax.set_axis_off()
    widths = chart.widths()
    for row, where in zip(places[:, : len(panels)], choices, strict=True):
        some = [(s, w) for s, w in zip(chart.series, widths, strict=True) if s.where == where]
        shown = {
            ax: [(s, w) for s, w in some if s.panel == panel]
            for ax, panel in zip(row, panels, strict=True)
        }
        for (ax, lines), panel in zip(shown.items(), panels, strict=True):
            if not lines:  # this choice has no series in it
                ax.set_axis_off()
                continue
            for series, width in sorted(lines, key=lambda line: line[0].published):
                _draw(ax, series, width, chart.joined)
            ax.set_title(panel, fontsize=9)
            _set_x(ax, chart, where)
        drawn_on = [ax for ax, lines in shown.items() if lines]
        _set_y(drawn_on, chart, [s for s, _ in some])
        said = ", ".join(value for key, value in where.items() if value and key in varying)
        drawn_on[0].set_ylabel(" · ".join(filter(None, (said, chart.y))), fontsize=9)
    _add_legend(figure, chart)
    return figure


def _draw(ax: Axes, series: Series, width: float, joined: bool) -> None:
    """Draw a line with its band, or dots over names, ``joined`` or not."""
    colour, y = (
        ink(series.colour, series.shade),
        [np.nan if v is None else v for v in finite(series.y)],
    )
    style: dict[str, Any] = {"color": colour, "label": series.name}
    if any(isinstance(x, str) for x in series.x):
        line = ("--" if series.published else "-") if joined else "none"
        style |= {"linestyle": line, "linewidth": 0.8 * width, "marker": "o"}
        style |= {"markerfacecolor": "none"} if series.published else {}
        ax.plot(series.x, y, markersize=3 + 1.8 * width, **style)
        return
    if series.low is not None and series.high is not None:
        low, high = (np.array(finite(v), float) for v in (series.low, series.high))
        ax.fill_between(series.x, low, high, color=colour, alpha=0.15, lw=0)
    style |= {"linestyle": "--" if series.published else "-", "linewidth": 0.8 * width}
    every = -(-len(y) // MARKED)  # only markers are thinned out
    if series.variant:
        style |= {"marker": SHAPES[series.marker], "markersize": 6, "markevery": every}
    elif every <= 1 and not series.published:
        style |= {"marker": "o", "markersize": 0.6 * width + 1.8}
    ax.plot(series.x, y, **style)


def _set_x(ax: Axes, chart: Chart, where: Mapping[str, str]) -> None:
    ax.set_xlabel(chart.x, fontsize=9)
    ax.tick_params(labelsize=8)
    if chart.is_named:
        crowded = sum(len(str(x)) for x in chart.series[0].x) > 45
        ax.tick_params("x", rotation=40 if crowded else 0)
    else:
        ax.set_xticks(chart.ticks(where))


def _set_y(axes: Sequence[Axes], chart: Chart, series: Sequence[Series]) -> None:
    """One scale for all panels of a choice."""
    parts = [part for s in series for part in (s.y, s.low, s.high) if part is not None]
    known = [v for part in parts for v in finite(part) if v is not None]
    log = chart.scales[0] == "log"
    known = [v for v in known if v > 0] if log else known
    if not known:
        return
    low, high = min(known), max(known)
    if log:
        low, high = (low / 1.15, high * 1.15)
    else:
        low, high = (min(low, 0), max(high, 0)) if chart.from_zero else (low, high)
        room = 0.03 * (high - low) or 0.5
        low, high = (low if low == 0 else low - room), high + room
    for ax in axes:
        ax.set_yscale("log" if log else "linear")
        ax.set_ylim(low, high)


def _add_legend(figure: Figure, chart: Chart) -> None:
    from matplotlib.lines import Line2D

    first = {series.name: series for series in reversed(chart.series)}
    names = list(dict.fromkeys(series.name for series in chart.series))
    handles = []
    for name in names:
        series = first[name]
        style: dict[str, Any] = {"color": ink(series.colour, series.shade), "label": name}
        if chart.is_named:
            style |= {"linestyle": "", "marker": "o"}
            style |= {"markerfacecolor": "none"} if series.published else {}
        else:
            style["linestyle"] = "--" if series.published else "-"
            style |= {"marker": SHAPES[series.marker]} if series.variant else {}
        handles.append(Line2D([], [], **style))
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)


# -- pictures ---------------------------------------------------------------------------------


def image_rows(title: str, rows: Mapping[str, Sequence[tuple[np.ndarray, str]]]) -> Figure:
    """Images (H, W) or (H, W, 3) of bytes in named rows, each with a caption above it."""
    columns = max(map(len, rows.values()))
    figure, axes = new_grid(title, len(rows), columns, (1.15, 1.45), sharey=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        place = {"transform": line[0].transAxes, "rotation": 90, "va": "center", "ha": "right"}
        line[0].text(-0.15, 0.5, name, fontsize=9.5, **place)
        for ax in line:
            ax.set_axis_off()
        for ax, (image, caption) in zip(line, images, strict=False):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
            ax.set_title(caption, fontsize=7)
    return figure


def write_figure(path: Path, figure: Figure) -> None:
    """Write the figure as ``path.png`` and ``path.svg``.

    It is laid out once, for the PNG; then its layout engine is removed, since matplotlib would
    draw the SVG twice to lay it out again.
    """
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with whole_file(path.with_name(f"{path.name}.png"), "wb") as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    FigureCanvasBase(figure)  # replaces the canvas that keeps the pixels
    figure.set_layout_engine(None)
    with whole_file(path.with_name(f"{path.name}.svg"), "wb") as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
