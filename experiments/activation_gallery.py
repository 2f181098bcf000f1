"""The activation functions of the engine: values, derivatives, curves, and the published ones.

Every function, the learned and the gated ones too, with its formula, range, derivative and a
table of values; each published value is computed again.  ``report.md`` in the output folder is
the overview.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from activation_gallery_claims import REASONS, claims, published
from activation_gallery_entries import Entry, gallery
from activation_gallery_page import page
from study import command_line, folder_name, new_parser, run_script

from minidl.backend import CPU
from minidl.study import Claim, Conditions, RunFolder, count, markdown_table
from minidl.study.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The published inputs, and what lies around them.
POINTS = (-4.0, -2.0, -1.0, -0.7, 0.0, 0.5, 1.0, 1.2, 2.0, 4.0)
CURVE = np.linspace(-4, 4, 1601)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    folder = Path("runs/activation_gallery")
    parser.add_argument(
        "--output-dir", type=folder_name, default=folder, help="folder for the results"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    start = time.perf_counter()
    folder = RunFolder(chosen.output_dir, "activation_gallery")
    entries = gallery()
    judged = claims()
    folder.write_figure("figures/overview", overview(entries))
    for entry in entries:
        folder.write_figure(f"figures/{entry.name}", curve(entry))
    folder.write_json("summary.json", summary(entries, judged))
    command = command_line("activation_gallery", arguments)
    conditions = Conditions.now(CPU, "float32", 1, command, start)
    folder.write_text("report.md", report(entries, judged, conditions))
    folder.write_text("report.html", page(folder.path).html())
    for claim in judged:
        print(f"{claim.claim}\n    {claim.verdict}: {claim.measured}")
    print(f"written to {folder.path / 'report.md'} after {conditions.seconds:.0f} s")


# -- figures ----------------------------------------------------------------------------------


def overview(entries: Sequence[Entry]) -> Figure:
    """All functions small, four in a row."""
    from matplotlib.figure import Figure

    rows = -(-len(entries) // 4)
    figure = Figure(figsize=(10, 2.4 * rows), dpi=110)
    figure.set_layout_engine("constrained")
    figure.suptitle("f(z), and f'(z) dashed", fontsize=11, fontweight="bold")
    axes = figure.subplots(rows, 4, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, entry in zip(axes, entries, strict=False):
        ax.set_title(entry.name, fontsize=9.5)
        ax.grid(color="#dddddd", linewidth=0.6)
        draw(ax, entry)
        ax.set_ylim(-1.6, 3.1)
    for ax in axes[len(entries) :]:
        ax.set_axis_off()
    return figure


def curve(entry: Entry) -> Figure:
    """One function with its derivative."""
    figure, (ax,) = new_figure(entry.name)
    figure.set_dpi(100)
    draw(ax, entry)
    ax.set_xlabel("z" + (f"   ({entry.note})" if entry.note else ""), fontsize=8)
    ax.legend(fontsize=8)
    return figure


def draw(ax: Axes, entry: Entry) -> None:
    """f(z) and f'(z), cut where the slope jumps."""
    y, slope = entry.at(CURVE)
    colour = COLOURS.get(entry.name, "#222222")
    ax.plot(CURVE, y, color=colour, label=f"f(z) = {entry.formula}")
    jumps = np.isin(np.round(CURVE, 6), entry.kinks)
    label = f"f'(z) = {entry.derivative_formula}"
    ax.plot(CURVE, np.where(jumps, np.nan, slope), "--", color=colour, label=label, linewidth=1.2)


# -- report -----------------------------------------------------------------------------------


def summary(entries: Sequence[Entry], judged: Sequence[Claim]) -> dict[str, Any]:
    """``summary.json``: what the tables show, with all digits."""
    z = np.array(POINTS)
    functions = {}
    for entry in entries:
        y, slope = entry.at(z)
        functions[entry.name] = {
            "formula": entry.formula,
            "derivative": entry.derivative_formula,
            "range": list(entry.range),
            "kinks": list(entry.kinks),
            "max_slope": entry.max_slope,
            "note": entry.note,
            "values": y.tolist(),
            "slopes": slope.tolist(),
            "numeric_difference": entry.numeric_difference(),
        }
    return {"z": list(POINTS), "functions": functions, "claims": [c.as_dict() for c in judged]}


def report(entries: Sequence[Entry], judged: Sequence[Claim], conditions: Conditions) -> str:
    """The overview as Markdown."""
    worst = max(entry.numeric_difference() for entry in entries)
    values, slopes = zip(*(entry.at(np.array(POINTS)) for entry in entries), strict=True)
    claim_rows = [
        [c.claim, c.criterion, c.published, c.measured, f"**{c.verdict}**"] for c in judged
    ]
    function_rows = [
        [
            e.name,
            e.formula,
            e.derivative_formula,
            _range(e),
            _kinks(e),
            _number(e.max_slope),
            e.note,
        ]
        for e in entries
    ]
    head = ["function", "f(z)", "f'(z)", "range", "kinks", "steepest", "shown"]
    reasons = [
        f"- **{c.claim}.** {text}"
        for c in judged
        for start, text in REASONS.items()
        if c.claim.startswith(start)
    ]
    inputs = ", ".join(f"{v:g}" for v in published()["input"])
    parts = [
        "# The activation functions\n",
        "What does each activation function of the engine compute, how steep is it, and are the "
        "values and statements of a published description of the common ones right?\n",
        f"**Of {len(judged)} published statements, {count([c.as_dict() for c in judged])}.** Each "
        "derivative here is the "
        "analytic one that training uses; against a central difference in float64, away from the "
        f"kinks and with steps of 1e-6, all are right to {worst:.0e}.\n",
        "![overview](figures/overview.png)\n",
        "## The published values and statements\n",
        f"Its values are those of the inputs {inputs} and of two examples of softmax.\n",
        markdown_table(["statement", "criterion", "published", "ours", "verdict"], claim_rows),
        "",
        *reasons,
        "\n## The functions\n",
        markdown_table(head, function_rows),
        "\nAt a kink f' is the value from one side: from the left at 0, from the right at the b of "
        "apl. α, λ: the parameters in the last column, or for selu α = 1.6733, λ = 1.0507.\n",
        "## Values\n",
        _values_table("f(z)", entries, values),
        "",
        _values_table("f'(z)", entries, slopes),
        "\n## One by one\n",
        *(f"![{entry.name}](figures/{entry.name}.png)\n" for entry in entries),
        "## Set-up\n",
        markdown_table(["", ""], conditions.rows()) + "\n",
    ]
    return "\n".join(parts)


def _values_table(what: str, entries: Sequence[Entry], rows: Sequence[np.ndarray]) -> str:
    cells = [[e.name, *map(_number, row.tolist())] for e, row in zip(entries, rows, strict=True)]
    return markdown_table([what, *(f"{z:g}" for z in POINTS)], cells)


def _number(value: float) -> str:
    """Five digits, ∞, and a true minus."""
    return f"{value:.5g}".replace("inf", "∞").replace("-", "−")


def _range(entry: Entry) -> str:
    return " to ".join(map(_number, entry.range))


def _kinks(entry: Entry) -> str:
    return ", ".join(map(_number, entry.kinks)) or "none"


if __name__ == "__main__":
    run_script("activation_gallery", main)
