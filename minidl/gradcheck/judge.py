"""Analytic against numeric gradients: what counts as equal, and what explains a difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minidl.backend import Array, checks
from minidl.gradcheck.numeric import Numeric, directional_derivative, directions, jump
from minidl.gradcheck.point import moved
from minidl.gradcheck.result import CheckedGradient, GradientCheck
from minidl.gradcheck.subjects import Gradients, LayerSubject, Subject, described

_SMALL_STEP = 1e-3  # below it, rounding is large because a kink is near: try another point
_NEAR = 1e-3  # up to this error, a second, more accurate derivative is computed
_COARSE = 1e-3  # the share of a gradient that rounding may hide
_NEARBY = 4  # points at which a gradient that may be zero is checked again


class Judge:
    """Compares the gradients of subjects with numeric derivatives along directions."""

    def __init__(
        self,
        owner: str,
        rng: np.random.Generator,
        directions: int,
        elementwise: bool,
        tolerance: float,
    ) -> None:
        self.rng, self.elementwise = rng, elementwise
        self.directions = checks.whole(owner, "directions", directions)
        self.tolerance = checks.positive(owner, "tolerance", tolerance)

    def at_a_smooth_point(
        self, name: str, subjects: Callable[[Any], list[Subject]], point: Any, attempts: int
    ) -> GradientCheck:
        """The findings on the ``subjects`` at ``point``, or near it if it is at a kink.

        The point is moved up to ``attempts`` times.
        """
        for attempt in range(attempts + 1):
            result = GradientCheck(name, self.tolerance, moved=attempt)
            if self.settled(subjects(point), result):
                return result
            point = moved(point, self.rng)
        if not result.undecided:
            result.problems.append(
                f"the numeric derivative did not settle at {attempts + 1} points: "
                "is the function discontinuous, or random in each forward?"
            )
        return result

    def settled(self, subjects: list[Subject], result: GradientCheck) -> bool:
        """Add the findings to ``result``; False if a numeric derivative does not converge."""
        settled = True
        of_the_first: list[np.ndarray] = []
        for subject in subjects:
            problems: list[str] = []
            try:
                ways = subject.every_way(problems)
            except Exception as error:  # in training, the caller should see it
                if subject is subjects[0]:
                    raise
                result.problems.append(
                    "a forward in inference and a backward after it raised "
                    f"{described(error)}; training=True leaves inference out"
                )
                continue
            result.problems += [p + subject.mode for p in problems if p not in result.problems]
            computed = [a for gradients in ways.values() for a in gradients.values()]
            if isinstance(subject, LayerSubject) and subject.y is not None:
                computed.append(subject.y)
            if of_the_first and _identical(of_the_first, computed):
                continue  # in inference it is the same function as in training
            of_the_first = of_the_first or computed
            for name, variable in subject.variables.items():
                gradients = {way: found[name] for way, found in ways.items() if name in found}
                if "" in gradients:
                    settled &= self._variable(subject, name, variable, gradients, result)
        return settled

    def _variable(
        self,
        subject: Subject,
        name: str,
        variable: Array,
        gradients: Gradients,
        result: GradientCheck,
    ) -> bool:
        """Add the worst direction of one variable; False if nothing converges.

        ``gradients`` are those of this variable by the way in which they were requested.
        """
        for way, gradient in gradients.items():
            if not np.isfinite(gradient).all():
                text = f"the gradient of {name} is not written, or not finite"
                if text not in result.problems:
                    result.problems.append(text + (f" by {way}" if way else "") + subject.mode)
        first = gradients[""]
        # The typical size of ⟨g, u⟩ for a random u of length 1: a projection that happens to be
        # much smaller should not be judged by its own size.
        typical = 0.0 if self.elementwise else float(np.sqrt(np.mean(np.square(first))))
        settled = True
        others: dict[str, None] = {}  # the ways that give a different gradient
        for where, u in directions(first.shape, self.rng, self.directions, self.elementwise):
            numeric = directional_derivative(subject, variable, u)
            analytic = float(np.sum(first * u))
            if self.tolerance < self._error(analytic, numeric, typical) < _NEAR:
                # Across a jump of f'' (ELU), large steps may converge to a slightly wrong value.
                finer = directional_derivative(subject, variable, u, largest=_SMALL_STEP)
                if self._error(analytic, finer, typical) <= self.tolerance:
                    numeric = finer
            errors = {}
            for way, gradient in gradients.items():
                errors[way] = self._error(float(np.sum(gradient * u)), numeric, typical)
                if errors[way] > self.tolerance >= errors[""]:
                    others[way] = None
            row = CheckedGradient(name, analytic, numeric.value, errors[""], where + subject.mode)
            settled &= self._one(subject, variable, u, row, numeric, typical, result)
        for way in others:
            text = f"{way} gave another gradient of {name}"
            if text not in result.problems:
                result.problems.append(text + subject.mode)
        return settled

    def _one(
        self,
        subject: Subject,
        variable: Array,
        u: np.ndarray,
        row: CheckedGradient,
        numeric: Numeric,
        typical: float,
        result: GradientCheck,
    ) -> bool:
        """Add the row; False if the numeric derivative does not converge."""
        scale = max(abs(row.analytic), abs(row.numeric), typical)
        difference = abs(row.analytic - row.numeric)
        explained = self.tolerance * scale < difference <= numeric.rounding
        if explained and numeric.rounding <= _COARSE * scale:
            row = replace(row, where=f"{row.where}, to {numeric.rounding / scale:.0e}")
        result.add(row)
        if numeric.doubt > 0.5 * max(self.tolerance * scale, numeric.rounding):  # NaN is no kink
            return False
        if math.inf > row.error > self.tolerance:
            return jump(subject, variable, u) < difference
        lost = explained and numeric.rounding > _COARSE * scale
        if not lost or self._is_zero(subject, row, u):
            return True
        result.undecided = [r for r in result.undecided if not r.startswith(f"{row.name}: ")]
        result.undecided.append(
            f"{row.name}: a gradient of {scale:.1e} is lost in the rounding of φ, which sums terms "
            f"of {numeric.magnitude:.1e}: any error up to {numeric.rounding:.1e} would pass; "
            "rescale the input, the targets or the parameters to sizes around 1"
        )
        return numeric.step > _SMALL_STEP

    def _error(self, analytic: float, numeric: Numeric, typical: float) -> float:
        """Their relative difference; at most the tolerance if rounding alone explains it."""
        floor = max(abs(numeric.value), typical, numeric.rounding / self.tolerance)
        scale = max(abs(analytic), floor)
        error = abs(analytic - numeric.value) / scale if scale != 0 else 0.0
        return error if math.isfinite(error) else math.inf

    def _is_zero(self, subject: Subject, row: CheckedGradient, u: np.ndarray) -> bool:
        """Whether the gradient is 0 except for rounding, like that of a bias before BatchNorm.

        Then none of its digits remains when the point moves by a billionth.  A gradient that
        is small and right keeps almost all of them.
        """
        for _ in range(_NEARBY):
            gradient = subject.nearby(self.rng).get(row.name)
            if gradient is None:
                return False
            analytic = float(np.sum(gradient * u))
            if abs(analytic - row.analytic) > 0.01 * max(abs(analytic), abs(row.analytic)):
                return True
        return False


def _identical(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))
