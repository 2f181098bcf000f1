"""The report page of a run: what the pages of all studies have in common.

A page is made from the files in the folder of a run alone, so that it can be made again without
training; ``experiments/report_page.py`` does so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

from minidl import __version__
from minidl.files import read_bytes, read_json
from minidl.pages import Badge, Page, Part, Picture, Prose, Section, Table
from minidl.reporting.claims import NOT_REPORTED, verdict
from minidl.reporting.conditions import Conditions

KIND = "minidl · report of a run"
FOOTER = f"Made by minidl {__version__} from the summary of the run. The page asks for nothing: "
FOOTER += "it can be kept, sent and opened without a network."
BADGES = {True: "good", False: "bad", None: "open"}


LARGEST = 64 << 20  # bytes of a file that a page is made from


def read_summary(folder: Path) -> dict[str, Any]:
    return read_json(folder / "summary.json", "the summary of a run", LARGEST)


def report_page(
    title: str,
    question: str,
    answer: str,
    opening: Sequence[Part],
    sections: Sequence[Section],
    warning: str = "",
) -> Page:
    """The page of a run; ``opening`` is the picture that shows the answer."""
    return Page(title, KIND, question, answer, opening, sections, warning, FOOTER)


@dataclass(frozen=True)
class Claims:
    """Claims of a summary in one set-up or several, the published figures beside ours."""

    set_ups: Mapping[str, Sequence[Mapping[str, Any]]]  # the same claims in each, by its title
    reasons: Sequence[str]  # one for each claim, empty where none is given

    def html(self) -> str:
        rows = zip(zip(*self.set_ups.values(), strict=True), self.reasons, strict=True)
        return f'<ol class="claims">{"".join(self._item(*row) for row in rows)}</ol>'

    def _item(self, claims: Sequence[Mapping[str, Any]], reason: str) -> str:
        first = claims[0]
        ours = "".join(
            f"<div><dt>{escape(title)} {Badge(verdict(c['holds']), BADGES[c['holds']]).html()}</dt>"
            f"<dd>{escape(c['measured'])}</dd></div>"
            for title, c in zip(self.set_ups, claims, strict=True)
        )
        return (
            f"<li><h3>{escape(first['claim'])}</h3>"
            f'<dl class="figures"><div><dt>published</dt><dd>{escape(first["published"])}</dd>'
            f"</div>{ours}</dl>"
            + (f"<p>{escape(reason)}</p>" if reason else "")
            + f'<p class="criterion">Judged by: {escape(first["criterion"])}.</p></li>'
        )


def held(claims: Sequence[Mapping[str, Any]]) -> str:
    """``5 of 8 published claims``: those that hold, of those that the study made."""
    made = [c for c in claims if not c["claim"].startswith("Beyond the study")]
    return f"{sum(c['holds'] is True for c in made)} of {len(made)} published claims"


def claims_section(
    set_ups: Mapping[str, Sequence[Mapping[str, Any]]], reasons: Sequence[str] = (), note: str = ""
) -> Section:
    """Every claim with its verdicts and the reason, where one is given."""
    claims = next(iter(set_ups.values()))
    rule = (
        "One criterion is applied to the published figures and to ours. "
        f'"{NOT_REPORTED.capitalize()}": the study claims it without a figure. {note}'
    )
    given = reasons or [""] * len(claims)
    return Section("The claims", [Claims(set_ups, given), Prose([rule.strip()])])


def set_up_section(rows: Sequence[Sequence[str]], summary: Mapping[str, Any]) -> Section:
    """What was run; then machine, versions and time, as far as the summary has them."""
    machine = conditions(summary) if "versions" in summary else []
    return Section("Set-up", [Table("What was run, and on what", [], [*rows, *machine])])


def conditions(summary: Mapping[str, Any]) -> list[list[str]]:
    """The rows of :class:`Conditions` without the command, which a summary does not have."""
    known = {f.name: summary[f.name] for f in fields(Conditions) if f.name in summary}
    return Conditions(**known, command="").rows()[:-1]


def pictures(folder: Path, shown: Mapping[str, str]) -> list[Picture]:
    """The figures of the run that are there, of ``shown``: what each is, by its name."""
    paths = {name: folder / "figures" / f"{name}.png" for name in shown}
    return [
        Picture(read_bytes(path, LARGEST), shown[name], shown[name])
        for name, path in paths.items()
        if path.exists()
    ]
