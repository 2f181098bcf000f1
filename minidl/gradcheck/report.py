"""The findings of a gradient check, as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckedGradient:
    """One variable: the direction (or entry) in which its two derivatives differ most."""

    name: str  # "x", "W", "dense_1.W", "logits"
    analytic: float
    numeric: float
    error: float  # |analytic − numeric| relative to the larger of them
    # "direction 2", or "[3, 1]" element by element; with ", inference" in inference,
    # and ", to 4e-07" if rounding hides a smaller error
    where: str


class GradientError(AssertionError):
    """Analytic and numeric gradients differ, or cannot be compared."""


@dataclass
class GradientCheck:
    """The findings of :func:`~minidl.gradcheck.check_gradients`; prints as a table."""

    subject: str
    tolerance: float
    rows: list[CheckedGradient] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # broken rules of the layer contract
    undecided: list[str] = field(default_factory=list)  # what cannot be known, and the way out
    moved: int = 0  # how often the point was at a kink and was moved

    @property
    def verdict(self) -> str:
        """``"passed"``, ``"FAILED"``, or ``"NOT DECIDED"`` if rounding hides the answer."""
        if self.problems or not all(row.error <= self.tolerance for row in self.rows):
            return "FAILED"
        return "NOT DECIDED" if self.undecided else "passed"

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    @property
    def worst(self) -> float:
        """The largest relative error."""
        return max((row.error for row in self.rows), default=math.inf)

    def raise_if_failed(self) -> GradientCheck:
        """Return this check if it has passed; else raise :class:`GradientError` with its table."""
        __tracebackhide__ = True
        if not self.passed:
            raise GradientError(str(self))
        return self

    def add(self, row: CheckedGradient) -> None:
        """Keep the worst row of each variable, at the place of its first."""
        for i, other in enumerate(self.rows):
            if other.name == row.name:
                if row.error > other.error:
                    self.rows[i] = row
                return
        self.rows.append(row)

    def __str__(self) -> str:
        width = max(len(name) for name in ("name", *(row.name for row in self.rows)))
        lines = [
            f"gradient check of {self.subject}: {self.verdict} (tolerance {self.tolerance:.0e})",
            f"{'name':<{width}}  {'analytic':>17}  {'numeric':>17}  {'error':>8}  where",
        ]
        for row in self.rows:
            mark = "" if row.error <= self.tolerance else "  <--"
            lines.append(
                f"{row.name:<{width}}  {row.analytic:>17.10e}  {row.numeric:>17.10e}  "
                f"{row.error:>8.1e}  {row.where}{mark}"
            )
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += [f"not decided: {reason}" for reason in self.undecided]
        if self.moved:
            times = "once" if self.moved == 1 else f"{self.moved} times"
            lines.append(f"the point was at a kink and was moved {times}")
        return "\n".join(lines)
