"""Published claims, each judged by one criterion on the study's own figures and on ours.

A claim that the study's own figures do not bear out is seen as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

NOT_REPORTED = "not reported"

R = TypeVar("R")  # what a run is, as far as the claims are about it
Judged = tuple[str, bool] | None  # the figures and whether the claim holds; None: cannot be judged


@dataclass(frozen=True)
class Claim:
    """A published claim and what became of it."""

    claim: str
    criterion: str
    published: str  # the study's own figures under the criterion
    measured: str  # ours
    holds: bool | None  # in more than half of the seeds; None where it cannot be judged


def verdict(holds: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "not judged"}[holds]


def judge(
    claims: Sequence[tuple[str, str, Callable[[R], Judged]]], study: R, runs: Sequence[R]
) -> list[Claim]:
    """Every ``(claim, criterion, test)``, tested on the study's figures and on each of our runs."""
    judged = []
    for claim, criterion, test in claims:
        theirs = test(study)
        ours = [found for found in map(test, runs) if found is not None]
        judged.append(Claim(claim, criterion, _said(theirs), _measured(ours), _majority(ours)))
    return judged


def _said(judged: Judged) -> str:
    if judged is None:
        return NOT_REPORTED
    return judged[0] + ("" if judged[1] else " (does not meet the criterion)")


def _measured(ours: list[tuple[str, bool]]) -> str:
    if not ours:
        return "cannot be judged in this set-up"
    held = sum(holds for _, holds in ours)
    several = f"; in {held} of {len(ours)} seeds, first seed shown" if len(ours) > 1 else ""
    return ours[0][0] + several


def _majority(ours: list[tuple[str, bool]]) -> bool | None:
    return sum(holds for _, holds in ours) > len(ours) / 2 if ours else None
