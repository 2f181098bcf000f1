"""The activation functions of the engine: the declaration of the gallery, and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import CPU
from minidl.pages import Chart, Prose, Series, Table, Told
from minidl.pages.colours import BLACK, FUNCTIONS, function_colour, tone
from minidl.study import Conditions, Report, RunFolder, Section, Study, Verdicts, Work
from minidl.study.claims import FAILS, HOLDS, count
from minidl.study.environment import Stopwatch
from minidl.study.report import set_up_section
from minidl.study.tables import figure, text_list
from studies.activation_gallery.claims import REASONS, claims
from studies.activation_gallery.entries import Entry, gallery
from studies.activation_gallery.theory import theory_of, theory_table

# The published inputs, and points around them.
POINTS = (-4.0, -2.0, -1.0, -0.7, 0.0, 0.5, 1.0, 1.2, 2.0, 4.0)
CURVE = np.round(np.linspace(-4, 4, 161), 2)


class ActivationGallery(Study):
    name = "activation_gallery"
    about = (
        "The activation functions of the engine: values, derivatives, curves, published figures."
    )
    work = Work(
        "Activation Functions Demystified. Part 2: Classification of Activation Functions",
        "om pramod",
        2023,
    )

    def run(self, arguments: Sequence[str] | None = None) -> Path:
        chosen, since = self.options(arguments), Stopwatch()
        folder = RunFolder(chosen.output_dir, self.name)
        found = {"z": list(POINTS), "functions": {e.name: _figures_of(e) for e in gallery()}}
        judged = [claim.as_dict() for claim in claims()]
        conditions = Conditions.now(CPU, "float32", 1, self.command(arguments), since)
        self.finish(folder, found | {"claims": judged} | conditions.as_dict())
        return folder.path

    def results(self, summary: Mapping[str, Any]) -> str:
        return text_list(
            [[c["verdict"], f"{c['claim']}: {c['measured']}"] for c in summary["claims"]]
        )

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        functions, judged = summary["functions"], summary["claims"]
        entries = [entry for entry in gallery() if entry.name in functions]
        worst = max(function["numeric_difference"] for function in functions.values())
        checked = (
            "Each derivative is the analytic one that training uses; compared with central "
            "differences in float64 with steps of 1e-6, away from the kinks, all are correct to "
            f"{worst:.0e}. At a kink, f' is the value from one side: from the left at 0, from the "
            "right at the b of apl. α and λ are the parameters in the last column; for selu, "
            "α = 1.6733 and λ = 1.0507."
        )
        values = [
            Table(
                f"{title} at z",
                [title, *(f"{z:g}" for z in summary["z"])],
                [[name, *map(figure, f[key])] for name, f in functions.items()],
            )
            for title, key in (("f(z)", "values"), ("f'(z)", "slopes"))
        ]
        one_by_one: list[Told] = [
            _one_by_one(entries),
            _formulas(functions),
            Prose([checked]),
            *theory_table(functions),
            *values,
        ]
        return Report(
            "The activation functions",
            self.work,
            "Is a published description of the common activation functions right, in the values "
            "that it gives and in what it says about them?",
            _answer(judged),
            [_together(entries)],
            f"Of {len(judged)} published statements, {count(judged)}",
            [
                Verdicts({"this engine": judged}).section(REASONS),
                Section("The functions", one_by_one),
                set_up_section([], summary),
            ],
        )


def _figures_of(entry: Entry) -> dict[str, Any]:
    y, slope = entry.at(np.array(POINTS))
    return {
        "formula": entry.formula,
        "derivative": entry.derivative_formula,
        "range": list(entry.range),
        "kinks": list(entry.kinks),
        "max_slope": entry.max_slope,
        "note": entry.note,
        "values": y.tolist(),
        "slopes": slope.tolist(),
        "numeric_difference": entry.numeric_difference(),
        "theory": theory_of(entry),
    }


def _answer(judged: Sequence[Mapping[str, Any]]) -> str:
    wrong = [claim["claim"] for claim in judged if claim["verdict"] == FAILS]
    hold = sum(claim["verdict"] == HOLDS for claim in judged)
    if wrong:
        said = f"{hold} of {len(judged)} statements hold, but not these: {'; '.join(wrong)}"
        return f"No, not entirely: {said}."
    verdict = "Yes" if hold == len(judged) else "Not decided"
    return f"{verdict}: {hold} of {len(judged)} statements hold, and none is wrong."


def _formulas(functions: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        [
            *(name, f["formula"], f["derivative"]),
            " to ".join(_number(end, sign) for end, sign in zip(f["range"], "-+", strict=True)),
            ", ".join(_number(kink) for kink in f["kinks"]) or "none",
            *(_number(f["max_slope"]), f["note"]),
        ]
        for name, f in functions.items()
    ]
    head = ["function", "f(z)", "f'(z)", "range", "kinks", "steepest slope", "note"]
    return Table("Formulas", head, rows)


def _number(value: float | None, sign: str = "+") -> str:
    """Five digits and a proper minus sign; a number that JSON cannot hold is infinite."""
    if value is None or np.isnan(value):
        return "−∞" if sign == "-" else "∞"
    return f"{value:.5g}".replace("-", "−")


def _curves(entry: Entry) -> tuple[list[float], list[float]]:
    """f and f' on the curve; f' has a gap where the slope jumps."""
    y, slope = entry.at(CURVE)
    jumps = np.isin(CURVE, np.round(entry.kinks, 2))
    return y.tolist(), np.where(jumps, np.nan, slope).tolist()


def _one_by_one(entries: Sequence[Entry]) -> Chart:
    def series() -> Iterator[Series]:
        for entry in entries:
            y, slope = _curves(entry)
            yield Series("f(z)", CURVE.tolist(), y, BLACK, panel=entry.name)
            yield Series("f'(z)", CURVE.tolist(), slope, tone(1, 2), panel=entry.name)

    about = "Each function and its derivative; a gap in f' is a kink of f."
    return Chart("One by one", about, "z", "", list(series()))


def _together(entries: Sequence[Entry]) -> Chart:
    def series() -> Iterator[Series]:
        for place, shown in enumerate(("f(z)", "f'(z)")):
            for entry in entries:
                if entry.name in FUNCTIONS and entry.name != "linear":
                    y = _curves(entry)[place]
                    colour = function_colour(entry.name)
                    yield Series(entry.name, CURVE.tolist(), y, colour, where={"shown": shown})

    about = (
        "On the page, a click on a name hides its function. Where f' is 0, no gradient passes back "
        "through the unit."
    )
    return Chart("Functions side by side", about, "z", "", list(series()), name="overview")


STUDY = ActivationGallery()
