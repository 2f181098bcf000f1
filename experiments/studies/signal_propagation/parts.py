"""Charts and tables of the report on signal propagation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.pages import Chart, Series, Table, Told
from minidl.pages.colours import BLACK, function_colour
from minidl.study.estimates import Estimate
from minidl.study.figures import new_figure
from studies.signal_propagation.training import SIGMA_B2, Cell, reach

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEEP = 60  # hidden layers of the networks that start at a critical point
SHOWN = ("sigmoid", "relu")  # functions of the first chart
START = "glorot_uniform"


def heat_map(cells: Sequence[Cell]) -> Figure:
    """Accuracy by depth and σ_w², with the line 6 ξ_c."""
    depths = sorted({cell.depth for cell in cells})
    sigmas = sorted({cell.sigma_w2 for cell in cells})
    values = np.full((len(depths), len(sigmas)), np.nan)
    for cell in cells:
        values[depths.index(cell.depth), sigmas.index(cell.sigma_w2)] = cell.accuracy
    figure, (ax,) = new_figure(f"Test accuracy, tanh, σ_b² = {SIGMA_B2:g}")
    ax.grid(visible=False)
    mesh = ax.pcolormesh(sigmas, depths, values, cmap="viridis", shading="nearest", vmin=0, vmax=1)
    figure.colorbar(mesh, ax=ax, label="accuracy")
    w = np.unique([*np.linspace(sigmas[0], sigmas[-1], 20), *sigmas])
    ax.plot(w, [reach(v) for v in w], color="white", linewidth=2, label="6 ξ_c, predicted")
    ax.set(xlabel="σ_w²", ylabel="hidden layers", yscale="log", ylim=(depths[0], depths[-1]))
    ax.legend(fontsize=8, loc="upper right", facecolor="#444444", labelcolor="white")
    return figure


def by_layer(summary: Mapping[str, Any]) -> Chart:
    series = []
    for one in summary["layers"]:
        if one["start"] == START and one["function"] in SHOWN:
            rows, f = one["rows"][:-1], one["function"]
            places = list(range(1, len(rows) + 1))
            for by, colour in (("predicted", BLACK), ("measured", function_colour(f))):
                values = [row[by]["dz2"] for row in rows]
                series.append(Series(f"{f}, {by}", places, values, colour))
    about = "Mean square of dz in each hidden layer before any training; means over the seeds."
    return Chart("The squared gradient by layer", about, "hidden layer", "E dz²", series, ("log",))


def factors(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = []
    for one in summary["layers"]:
        low, high = _interval(one["off"])
        rows.append(
            [
                one["function"],
                one["start"],
                f"{one['predicted']:.4f}",
                f"{one['measured']:.4f}",
                f"{100 * np.expm1(low):+.1f}% to {100 * np.expm1(high):+.1f}%",
            ]
        )
    head = ["function", "start", "predicted", "measured", "difference (95%)"]
    return Table("Factor by which a hidden layer multiplies the squared gradient", head, rows)


def _interval(estimate: Mapping[str, Any]) -> tuple[float, float]:
    """The 95% interval of an estimate of a summary, in which no number is infinite."""
    given = (estimate[key] for key in ("value", "error", "freedom"))
    value, error, freedom = (np.inf if n is None or np.isnan(n) else n for n in given)
    return Estimate(value, error, freedom).interval()


def trained(summary: Mapping[str, Any]) -> Table:
    depths = sorted({cell["depth"] for cell in summary["map"]})
    rows: list[list[str | Told]] = []
    for line in summary["reach"]:
        found = {
            c["depth"]: c["accuracy"] for c in summary["map"] if c["sigma_w2"] == line["sigma_w2"]
        }
        cells = ["–" if found[d] is None else f"{found[d]:.2f}" for d in depths]
        rows.append([f"{line['sigma_w2']:g}", _depth(line["depth"]), *cells])
    head = ["σ_w²", "6 ξ_c", *(f"{depth} layers" for depth in depths)]
    return Table("Accuracy on test images", head, rows)


def _depth(value: float | None) -> str:
    known = value is not None and np.isfinite(value)
    return f"{value:.0f}" if known else "∞"


def widths(summary: Mapping[str, Any]) -> Chart:
    n = [one["width"] for one in summary["widths"]]
    values = [one["value"] for one in summary["widths"]]
    theory = [values[0] * n[0] / width for width in n]
    about = "Mean of log²(measured / predicted) of E z² in the fifth layer of tanh networks."
    series = [
        Series("measured", n, values, function_colour("tanh")),
        Series("1/n through the first point", n, theory, BLACK),
    ]
    return Chart(
        "Error of the prediction by width",
        about,
        "units of a layer",
        "mean square",
        series,
        ("log",),
    )


def powers(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = []
    for one in summary["powers"]:
        low, high = _interval({k: one[k] for k in ("value", "error", "freedom")})
        rows.append([one["function"], f"{one['value']:+.2f} ({low:+.2f} to {high:+.2f})"])
    caption = f"p of E dz² ∝ L^p in networks of L = {DEEP} hidden layers"
    return Table(caption, ["function", "p (95%)"], rows)


def born_dead(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = [
        [
            *(str(one["width"]), str(one["layers"])),
            f"{one['share']:.3f} ({one['low']:.3f} to {one['high']:.3f})",
            f"{one['lower']:.3f} to {one['upper']:.3f}",
        ]
        for one in summary["dead"]
    ]
    head = ["units", "layers", "share of dead networks (95%)", "bounds of Lu et al."]
    return Table(
        f"Of {summary['sizes']['born']:,} ReLU networks with one input, those born dead", head, rows
    )


def drift(summary: Mapping[str, Any]) -> Chart:
    places = [one["epoch"] for one in summary["drift"]]
    series = [
        Series(by, places, [one[by] for one in summary["drift"]], colour)
        for by, colour in (("measured", function_colour("tanh")), ("predicted", BLACK))
    ]
    about = (
        "Factor of E dz² per hidden layer, tanh; predicted from the sizes of W and b at that epoch."
    )
    return Chart("A prediction through training", about, "epoch", "factor", series)


def batch_norm(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = [
        [one["function"], f"{one['predicted']:.4f}", f"{one['value']:.4f}"]
        for one in summary["batch_norm"]
    ]
    head = ["function", "predicted", "measured"]
    return Table(
        "Factor by which a layer with BatchNorm multiplies the squared gradient", head, rows
    )
