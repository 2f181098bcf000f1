"""Published claims, each judged by one criterion on the study's own figures and on ours.

A criterion turns a run into a text and into numbers that are positive if the claim is right.  Each
number has a 95% interval.  The claim holds if all intervals lie above 0, and does not hold if one
lies below 0; otherwise it is not decided, since chance could explain either result.  With one seed,
an interval covers the uncertainty within a training run (the number of test images, the scatter of
the epochs); with several, it is Student's t interval over the seeds.  What the run cannot show,
however large it is, is not judged: a criterion then raises :class:`NotJudged`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from minidl.study.estimates import Estimate, Interval, over_seeds

NOT_REPORTED = "not reported"
TOO_EARLY = "no figure after so few epochs"
BEYOND = "Beyond the study"  # the beginning of a claim that the study did not make

HOLDS = "holds"
FAILS = "does not hold"
OPEN = "not decided"
UNJUDGED = "not judged"
MISSING = "a figure is missing in this set-up"
VERDICTS = (HOLDS, FAILS, OPEN, UNJUDGED)

R = TypeVar("R")  # a run, as the claims see it
T = TypeVar("T")


@dataclass(frozen=True)
class Evidence:
    """What a criterion finds in a run: a text for the reader, and numbers for the verdict."""

    said: str
    numbers: Mapping[str, Estimate]  # by name; positive if the claim is right
    within: float | None = None  # if given: the claim is that each is 0 within this
    together: int = field(default=0)  # comparisons made, for Bonferroni; 0: one per number

    @property
    def comparisons(self) -> int:
        return self.together or len(self.numbers)


class NotJudged(Exception):
    """The claim cannot be judged on a run, for a ``reason`` that the report shows.

    A figure is missing, a cap was reached, or the machine decides.  ``said`` is what the criterion
    found all the same, for the reader.
    """

    def __init__(self, reason: str = MISSING, said: str = "") -> None:
        super().__init__(reason)
        self.reason, self.said = reason, said

    def __str__(self) -> str:
        return f"{self.said}; {UNJUDGED}: {self.reason}" if self.said else self.reason


def known(figure: T | None) -> T:
    """``figure``; raises :class:`NotJudged` if it is None or empty."""
    if figure is None or (isinstance(figure, Sized) and len(figure) == 0):
        raise NotJudged
    return figure


def all_of(found: Mapping[str, Evidence], between: str = ": ") -> Evidence:
    """The evidence from several places as one: the claim must hold in each of them."""
    known(found)
    return Evidence(
        "; ".join(f"{where}{between}{one.said}" for where, one in found.items()),
        {
            f"{where}, {name}": number
            for where, one in found.items()
            for name, number in one.numbers.items()
        },
    )


Criterion = Callable[[R], Evidence]  # may raise NotJudged
Found = Sequence[Evidence] | NotJudged  # in each run


@dataclass(frozen=True)
class Statement(Generic[R]):
    """A statement of a study, and how it is judged."""

    claim: str
    criterion: str  # in words
    test: Criterion[R]
    why: str = ""  # a remark on it that applies to every run


@dataclass(frozen=True)
class Claim:
    """A published claim and its verdict."""

    claim: str
    criterion: str
    published: str  # the study's own figures under the criterion
    measured: str  # ours
    verdict: str  # one of VERDICTS

    @property
    def holds(self) -> bool | None:
        """None if it is not decided or not judged."""
        return {HOLDS: True, FAILS: False}.get(self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return asdict(self) | {"holds": self.holds}


def judge(
    claims: Sequence[Statement[R]],
    study: R,
    runs: Sequence[R],
    whole_study: R | None = None,
) -> list[Claim]:
    """Every claim, tested on the study's figures and on our runs.

    ``runs`` has one run per seed.  If they have fewer epochs than the study, ``study`` has its
    figures after as many epochs, and ``whole_study`` those after all of them.  Infinity and NaN
    make a claim undecided, without a warning.
    """
    judged = []
    for one in claims:
        with np.errstate(all="ignore"):
            theirs = _found(one, [study])
            whole = theirs if whole_study is None else _found(one, [whole_study])
            ours = _found(one, runs)
        is_early = isinstance(theirs, NotJudged) and not isinstance(whole, NotJudged)
        published = TOO_EARLY if is_early else _published(theirs)
        claim = Claim(one.claim, one.criterion, published, measured(ours), verdict(ours))
        judged.append(claim)
    return judged


def _found(claim: Statement[R], runs: Sequence[R]) -> Found:
    """What the criterion of a claim finds in each run that has the figures.

    Or why it cannot judge: without the runs that a cap has cut off, the rest say something else.
    """
    found, missing = [], NotJudged()
    for run in runs:
        try:
            found.append(claim.test(run))
        except NotJudged as why:
            if why.reason != MISSING:
                return why
    return found or missing


def verdict(found: Found) -> str:
    """The verdict on the evidence of all seeds."""
    if isinstance(found, NotJudged):
        return UNJUDGED
    first, numbers = found[0], _over_seeds(found)
    intervals = [number.interval(first.comparisons) for number in numbers.values()]
    clear = [low > 0 or high < 0 for low, high in intervals]
    if first.within is not None:
        if any(clear):
            return FAILS
        near = [-first.within < low and high < first.within for low, high in intervals]
        return HOLDS if all(near) else OPEN
    if any(high < 0 for _, high in intervals):
        return FAILS
    return HOLDS if all(clear) else OPEN


def count(claims: Sequence[Mapping[str, Any]]) -> str:
    """``4 hold, 1 does not, 3 are not decided, 1 is not judged``, for the claims of a summary."""
    given = [claim["verdict"] for claim in claims]
    hold, fail, open_, unjudged = (given.count(verdict) for verdict in VERDICTS)
    said = [
        f"{hold} hold" + ("s" if hold == 1 else ""),
        f"{fail} " + ("does not" if fail == 1 else "do not"),
        f"{open_} {'is' if open_ == 1 else 'are'} not decided",
    ]
    unknown = f"{unjudged} {'is' if unjudged == 1 else 'are'} not judged"
    return ", ".join([*said, unknown] if unjudged else said)


def published_title(epochs: int, theirs: int) -> str:
    """``published``, and after which epoch, if a run is shorter than the study's."""
    return "published" if epochs == theirs else f"published, epoch {min(epochs, theirs)}"


def read_published(module: str) -> dict[str, Any]:
    """The figures of the published work: ``published.json`` beside the file ``module``."""
    text = Path(module).with_name("published.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def made(claims: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The claims of a summary that the study made, without our own questions."""
    return [claim for claim in claims if not claim["claim"].startswith(BEYOND)]


def _over_seeds(found: Sequence[Evidence]) -> dict[str, Estimate]:
    """The estimates over all seeds, of the numbers that every seed has."""
    names = [n for n in found[0].numbers if all(n in one.numbers for one in found)]
    together = found[0].comparisons
    return {name: over_seeds([one.numbers[name] for one in found], together) for name in names}


def _published(found: Found) -> str:
    if isinstance(found, NotJudged):
        return found.said or NOT_REPORTED
    notes = {
        HOLDS: "",
        FAILS: " (does not meet the criterion)",
        OPEN: f"{_shown(found)} (within chance)",
    }
    return found[0].said + notes[verdict(found)]


def measured(ours: Found) -> str:
    """The figures of the first seed, and the number over all seeds that decides the verdict."""
    if isinstance(ours, NotJudged):
        return str(ours)
    several = f" (first of {len(ours)} seeds)" if len(ours) > 1 else ""
    return ours[0].said + several + _shown(ours)


def _shown(ours: Sequence[Evidence]) -> str:
    """The number that decides the verdict, with its interval; empty if no chance is involved."""
    first = ours[0]
    numbers = {name: number for name, number in _over_seeds(ours).items() if not number.is_exact}
    if not numbers:
        return ""
    if first.within is None:
        name = min(numbers, key=lambda name: _distance(numbers[name]))
    else:
        name = max(numbers, key=lambda name: abs(_distance(numbers[name])))
    number = numbers[name]
    low, high = number.interval(first.comparisons)
    if not math.isfinite(high - low):
        return f"; {name}: uncertain by an unknown amount"
    if number.is_log:
        value, *ends = (_factor(one) for one in (number.value, low, high))
    else:
        value, *ends = _rounded(number.value, (low, high))
    paired = ", image by image" if number.is_paired else ""
    return f"; {name} {'× ' if number.is_log else ''}{value} ({' to '.join(ends)}{paired})"


def _factor(logarithm: float) -> str:
    """Three significant digits of a ratio, and zeros in place of the others of a large one."""
    value = math.exp(min(logarithm, 700.0))  # as much as a float can hold
    return f"{float(f'{value:.3g}'):,.0f}" if 100 <= value < 1e6 else f"{value:#.3g}"


def _distance(number: Estimate) -> float:
    """The distance from 0, in standard errors."""
    is_known = math.isfinite(number.value) and math.isfinite(number.error)
    return number.value / number.standard_error() if is_known else 0.0


def _rounded(value: float, interval: Interval) -> tuple[str, str, str]:
    """Value and interval, rounded to the digits that the width of the interval justifies."""
    width = interval[1] - interval[0]
    digits = max(2, 1 - math.floor(math.log10(width))) if 0 < width < 100 else 0
    low, high = interval
    return f"{value:+.{digits}f}", f"{low:+.{digits}f}", f"{high:+.{digits}f}"
