"""The report page of a run: what the pages of all studies have in common.

A page is made from the files in the folder of a run alone, so that it can be made again without
training; ``experiments/report_page.py`` does so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

from minidl import __version__
from minidl.pages import Badge, Page, Part, Picture, Prose, Section, Table
from minidl.storage.files import read_bytes, read_json
from minidl.study.claims import FAILS, HOLDS, NOT_REPORTED, count, made
from minidl.study.conditions import Conditions

KIND = "minidl · report of a run"
FOOTER = f"Made by minidl {__version__} from the summary of the run. The page asks for nothing: "
FOOTER += "it can be kept, sent and opened without a network."
BADGES = {HOLDS: "good", FAILS: "bad"}


# How verdicts come about; under the claims of every report.
RULE = (
    "One criterion is applied to the published figures and to ours. In brackets the 95% interval "
    "of what the criterion is about (all of them at once where a claim is about several): the "
    "claim holds where it lies above 0, does not hold where it lies below, and is not decided "
    "where it holds 0. With one seed it knows the number of the images and the scatter of the "
    "epochs, not what another seed would give; with several it is Student's, over the seeds. "
    f'"{NOT_REPORTED.capitalize()}": the study claims it without a figure.'
)


LARGEST = 64 << 20  # bytes of a file that a page is made from


def read_summary(folder: Path) -> dict[str, Any]:
    """``summary.json``; what JSON cannot hold as a number is NaN again in every list."""
    return _with_nan(read_json(folder / "summary.json", "the summary of a run", LARGEST))


def _with_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _with_nan(value) for key, value in data.items()}
    if isinstance(data, list):
        return [math.nan if value is None else _with_nan(value) for value in data]
    return data


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
    published: str = "published"  # and after which epoch

    def html(self) -> str:
        rows = zip(zip(*self.set_ups.values(), strict=True), self.reasons, strict=True)
        return f'<ol class="claims">{"".join(self._item(*row) for row in rows)}</ol>'

    def _item(self, claims: Sequence[Mapping[str, Any]], reason: str) -> str:
        first = claims[0]
        ours = "".join(
            f"<div><dt>{escape(title)} {_badge(c['verdict'])}</dt>"
            f"<dd>{escape(c['measured'])}</dd></div>"
            for title, c in zip(self.set_ups, claims, strict=True)
        )
        return (
            f"<li><h3>{escape(first['claim'])}</h3>"
            f'<dl class="figures"><div><dt>{escape(self.published)}</dt>'
            f"<dd>{escape(first['published'])}</dd></div>{ours}</dl>"
            + (f"<p>{escape(reason)}</p>" if reason else "")
            + f'<p class="criterion">Judged by: {escape(first["criterion"])}.</p></li>'
        )


def _badge(verdict: str) -> str:
    return Badge(verdict, BADGES.get(verdict, "open")).html()


def held(claims: Sequence[Mapping[str, Any]]) -> str:
    """``Of 8 published claims, 5 hold, 1 does not, 2 are not decided``."""
    known = made(claims)
    return f"Of {len(known)} published claims, {count(known)}"


def claims_section(
    set_ups: Mapping[str, Sequence[Mapping[str, Any]]],
    reasons: Sequence[str] = (),
    note: str = "",
    published: str = "published",
) -> Section:
    """Every claim with its verdicts and the reason, where one is given."""
    claims = next(iter(set_ups.values()))
    given = reasons or [""] * len(claims)
    shown = Claims(set_ups, given, published)
    return Section("The claims", [shown, Prose([f"{RULE} {note}".strip()])])


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
