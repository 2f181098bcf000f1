"""The verdicts of a summary: in words, in the terminal, and as the first section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from minidl.pages import Badge, Points, Prose, Table
from minidl.study.claims import FAILS, HOLDS, NOT_REPORTED, OPEN, Statement, count, made
from minidl.study.report import Section
from minidl.study.tables import text_list

BADGES = {HOLDS: "good", FAILS: "bad"}
WORDS = {HOLDS: "yes", FAILS: "no", OPEN: "not decided"}

# How verdicts come about; under the claims of every report.
RULE = (
    "One criterion is applied to the published figures and to ours. In brackets the 95% interval "
    "of what the criterion is about (all of them at once where a claim is about several): the "
    "claim holds where it lies above 0, does not hold where it lies below, and is not decided "
    "where it holds 0. With one seed it knows the number of the images and the scatter of the "
    "epochs, not what another seed would give; with several it is Student's, over the seeds. "
    f'"{NOT_REPORTED.capitalize()}": the study claims it without a figure.'
)


Claims = Sequence[Mapping[str, Any]]  # of a summary


@dataclass(frozen=True)
class Verdicts:
    """The claims of a summary in one set-up or several, by its title: the same claims in each."""

    set_ups: Mapping[str, Claims]

    def word(self, claim: str) -> str:
        """What became of a claim; of several set-ups ``yes as run, no as described``, or once."""
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
        """Every claim with its verdicts and the reason, where one is given, say by claim."""
        if not isinstance(tested, Mapping):
            tested = {one.claim: one.why for one in tested}
        shown = ClaimList(self.set_ups, tested, published)
        return Section("The claims", [shown, Prose([f"{RULE} {note}".strip()])])

    def text(self) -> str:
        """For the terminal."""
        rows = [
            [*(claim["verdict"] for claim in claims), claims[0]["claim"]]
            for claims in zip(*self.set_ups.values(), strict=True)
        ]
        head = [[*self.set_ups, "claim"]] if len(self.set_ups) > 1 else []
        return text_list([*head, *rows]) if rows else ""


def word(claims: Claims, claim: str) -> str:
    """``yes``, ``no``, ``not decided``: what became of that claim of a summary."""
    found = [c["verdict"] for c in claims if c["claim"] == claim]
    return WORDS.get(found[0], "cannot be judged") if found else "cannot be judged"


def both(first: str, second: str) -> str:
    """Two words on two questions as one."""
    if first != second:
        return f"{first} to the first, {second} to the second"
    return f"{first} to both" if first in ("yes", "no") else f"{first}, neither of them"


@dataclass(frozen=True)
class ClaimList:
    """Claims of a summary in one set-up or several, the published figures beside ours."""

    set_ups: Mapping[str, Sequence[Mapping[str, Any]]]  # the same claims in each, by its title
    reasons: Mapping[str, str]  # by claim, where one is given
    published: str = "published"  # and after which epoch

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
        """A table, and the reasons under it."""
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
