"""The verdicts of a summary: as words, for the terminal, and as a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from minidl.pages import Badge, Points, Prose, Table
from minidl.study.claims import FAILS, HOLDS, NOT_REPORTED, UNJUDGED, Statement, count, made
from minidl.study.report import Section
from minidl.study.tables import text_list

BADGES = {HOLDS: "good", FAILS: "bad"}
WORDS = {HOLDS: "yes", FAILS: "no"}

# How verdicts are reached; printed under the claims of every report.
RULE = (
    "The same criterion is applied to the published figures and to ours. In brackets: the 95% "
    "interval of the number that the criterion tests (simultaneous intervals if a claim involves "
    "several numbers). The claim holds if the interval lies above 0, does not hold if it lies "
    "below 0, and is not decided if it contains 0. With one seed, the interval covers the "
    "uncertainty from the number of images and the scatter of the epochs, but not from the choice "
    "of seed; with several seeds, it is Student's t interval over the seeds, or that within a seed "
    "if it is wider. Shares have Wilson's interval, their differences Newcombe's, ratios (×) an "
    "interval on a logarithmic scale, and Kendall's τ one on the scale of Fisher's z, which leaves "
    'out 0 exactly if the exact test does. "Image by image" means that two networks were compared '
    "on the same images, of which each run has stored those that were recognised; without that, as "
    "in runs of earlier versions, the interval is that of different images, which is wider. "
    "It is not judged if the run cannot show it at all: a figure is missing, training was cut off, "
    "or the machine decides. "
    f'"{NOT_REPORTED.capitalize()}": the study makes the claim without a figure.'
)


Claims = Sequence[Mapping[str, Any]]  # of a summary


@dataclass(frozen=True)
class Verdicts:
    """The claims of a summary in one or several set-ups, by title; the same claims in each."""

    set_ups: Mapping[str, Claims]

    def word(self, claim: str) -> str:
        """The verdict on a claim; if set-ups disagree, ``yes as run, no as described``."""
        words = {title: word(claims, claim) for title, claims in self.set_ups.items()}
        if len(set(words.values())) == 1:
            return next(iter(words.values()))
        return ", ".join(f"{said} {title}" for title, said in words.items())

    def held(self) -> str:
        """``Of 8 published claims, 5 hold, 1 does not, 2 are not decided``, for each set-up."""
        known = {title: made(claims) for title, claims in self.set_ups.items()}
        each = [f"{title} {count(claims)}" for title, claims in known.items()]
        first = next(iter(known.values()))
        said = each if len(known) > 1 else [count(first)]
        return f"Of {len(first)} published claims, {'; '.join(said)}"

    def section(
        self,
        tested: Sequence[Statement[Any]] | Mapping[str, str],
        note: str = "",
        published: str = "published",
    ) -> Section:
        """The section with every claim, its verdicts, and the reason if there is one."""
        if not isinstance(tested, Mapping):
            tested = {one.claim: one.why for one in tested}
        shown = ClaimList(self.set_ups, tested, published)
        return Section("The claims", [shown, Prose([f"{RULE} {note}".strip()])])

    def text(self) -> str:
        """The verdicts for the terminal."""
        rows = [
            [*(claim["verdict"] for claim in claims), claims[0]["claim"]]
            for claims in zip(*self.set_ups.values(), strict=True)
        ]
        head = [[*self.set_ups, "claim"]] if len(self.set_ups) > 1 else []
        return text_list([*head, *rows]) if rows else ""


def word(claims: Claims, claim: str) -> str:
    """The verdict on that claim of a summary: ``yes``, ``no``, ``not decided``, ``not judged``."""
    found = [c["verdict"] for c in claims if c["claim"] == claim]
    return WORDS.get(found[0], found[0]) if found else UNJUDGED


def both(first: str, second: str) -> str:
    """The verdicts on two questions in one phrase."""
    if first != second:
        return f"{first} to the first, {second} to the second"
    return f"{first} to both" if first in ("yes", "no") else f"{first}, neither of them"


@dataclass(frozen=True)
class ClaimList:
    """Claims of a summary in one or several set-ups, with the published figures beside ours."""

    set_ups: Mapping[str, Sequence[Mapping[str, Any]]]  # by title; the same claims in each
    reasons: Mapping[str, str]  # by claim, if there is one
    published: str = "published"  # the heading; may name the epoch

    def _rows(self) -> Iterator[tuple[Mapping[str, Any], ...]]:
        return zip(*self.set_ups.values(), strict=True)

    def html(self) -> str:
        return f'<ol class="claims">{"".join(map(self._item, self._rows()))}</ol>'

    def _item(self, claims: Sequence[Mapping[str, Any]]) -> str:
        first, reason = claims[0], self.reasons.get(claims[0]["claim"])
        ours = "".join(
            f"<div><dt>{escape(title)} {_badge(c['verdict']).html()}</dt>"
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

    def markdown(self) -> str:
        """A table, with the reasons below it."""
        rows = [
            [first["claim"], first["criterion"], first["published"]]
            + [f"{_badge(c['verdict']).markdown()}: {c['measured']}" for c in (first, *others)]
            for first, *others in self._rows()
        ]
        head = ["claim", "judged by", self.published, *self.set_ups]
        known = [(claim, self.reasons.get(claim)) for claim, *_ in rows]
        reasons = Points([(f"{claim}.", reason) for claim, reason in known if reason])
        return f"{Table('', head, rows).markdown()}\n\n{reasons.markdown()}"


def _badge(verdict: str) -> Badge:
    return Badge(verdict, BADGES.get(verdict, "open"))
