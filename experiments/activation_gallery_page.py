"""The overview of the activation functions as a page, made from the summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from activation_gallery_claims import REASONS
from activation_gallery_entries import Entry, gallery

from minidl.pages import Chart, Page, Section, Series, Table
from minidl.study.figures import COLOURS
from minidl.study.page import claims_section, held, read_summary, report_page
from minidl.study.page_charts import function_colour
from minidl.study.tables import figure

CURVE = np.round(np.linspace(-4, 4, 161), 2)


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    entries, functions = gallery(), summary["functions"]
    claims = summary["claims"]
    reasons = [
        next((why for start, why in REASONS.items() if claim["claim"].startswith(start)), "")
        for claim in claims
    ]
    worst = max(function["numeric_difference"] for function in functions.values())
    values = [
        Table(
            f"{title} at z",
            [title, *map(figure, summary["z"])],
            [[name, *(figure(v) for v in f[key])] for name, f in functions.items()],
        )
        for title, key in (("f(z)", "values"), ("f'(z)", "slopes"))
    ]
    formulas = Table(
        "Formulas",
        ["function", "f(z)", "f'(z)", "shown"],
        [[name, f["formula"], f["derivative"], f["note"]] for name, f in functions.items()],
    )
    return report_page(
        "The activation functions",
        "What does each activation function compute, how steep is it, and are the values and "
        "statements of a published description right?",
        f"{held(claims)}; every derivative here agrees with a central difference to {worst:.0e}.",
        [_one(entries)],
        [
            Section("Side by side", [_together(entries)]),
            claims_section({"this engine": claims}, reasons),
            Section("The functions", [formulas, *values]),
        ],
    )


def _curves(entry: Entry) -> tuple[list[float], list[float | None]]:
    """f and f' on the curve; f' has a gap where the slope jumps."""
    y, slope = entry.at(CURVE)
    jumps = np.isin(CURVE, np.round(entry.kinks, 2))
    return y.tolist(), np.where(jumps, np.nan, slope).tolist()


def _one(entries: Sequence[Entry]) -> Chart:
    def series() -> Iterator[Series]:
        for entry in sorted(entries, key=lambda entry: entry.name == "linear"):  # the dull one last
            where = {"function": entry.name}
            y, slope = _curves(entry)
            yield Series("f(z)", CURVE.tolist(), y, 4, where=where)
            yield Series("f'(z)", CURVE.tolist(), slope, 1, dashed=True, where=where)

    about = "One function and its derivative; a gap in f' is a kink of f."
    return Chart("A function and its slope", about, "z", "", list(series()))


def _together(entries: Sequence[Entry]) -> Chart:
    def series() -> Iterator[Series]:
        for shown in (0, 1):
            for entry in entries:
                if entry.name in COLOURS and entry.name != "linear":
                    where = {"shown": ("f(z)", "f'(z)")[shown]}
                    y = _curves(entry)[shown]
                    colour = function_colour(entry.name)
                    yield Series(entry.name, CURVE.tolist(), y, colour, where=where)

    about = (
        "Take functions away by their names. Where f' is 0, nothing comes back through the unit."
    )
    return Chart("Functions side by side", about, "z", "", list(series()))
