"""What counts as equal: a table of rules, and the comparisons that it decides.

Of the rules for what is compared, the first that holds says what it means.  The error is the
difference relative to ``scale``, the larger of both derivatives and of a typical ⟨g, u⟩; a
difference is hidden if it is at most 10 × what is not known of the two, and then no error.
``size`` is that of the largest entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from minidl.backend import Array, checks, namespace, to_numpy
from minidl.gradcheck.numeric import EPSILON, Line, Numeric, derivative, moves, sizes
from minidl.gradcheck.report import CheckedGradient, GradientCheck
from minidl.gradcheck.subjects import (
    Gradients,
    LayerSubject,
    Subject,
    broadcast,
    described,
    jittered,
)

DERIVATIVES, GRADIENTS = "two derivatives along a line", "the gradients of two calls"
OUTPUTS, KINKS = "the outputs of two calls", "a derivative at a kink"
EQUAL, ZERO, WRONG, NO_NUMBER = "equal", "equal: both are 0", "wrong", "wrong: no number"
MOVE = "another point is tried"
FEW_DIGITS, HIDDEN = "not decided: too few digits", "not decided: hidden by rounding"
ELSEWHERE = 1e-6  # the tolerance with many examples, for all variables at once


class Rule(NamedTuple):
    """A condition, in words and as a function, and what it means if it holds."""

    condition: str
    holds: Callable[..., bool]
    meaning: str


OTHERWISE = Rule("otherwise", lambda *_: True, WRONG)
RULES: dict[str, tuple[Rule, ...]] = {
    DERIVATIVES: (
        Rule("error ≤ tolerance, and at most 1e-5 × scale hidden", lambda d: d.agree(), EQUAL),
        Rule("NaN or infinity", lambda d: not math.isfinite(d.analytic), NO_NUMBER),
        Rule("no more than 1000 × the rounding of φ, and no digit", lambda d: d.is_zero(), ZERO),
        Rule("error > tolerance, at a kink", lambda d: d.differ() and d.has_kink(), MOVE),
        Rule("error > tolerance, with noise", lambda d: d.differ() and d.noise > 0, FEW_DIGITS),
        Rule("error > tolerance", lambda d: d.differ(), WRONG),
        Rule("dependent on the step", lambda d: not d.has_converged(), MOVE),
        Rule("more than 1e-5 × scale hidden", lambda d: True, HIDDEN),
    ),
    GRADIENTS: (
        Rule("NaN or infinity", lambda c: not np.isfinite(c.second).all(), NO_NUMBER),
        Rule("≤ 1e-9 × size + 100 × what rounding changes", lambda c: c.are_the_same(), EQUAL),
        Rule("≤ 1000 × the rounding of φ", lambda c: c.difference <= c.rounding, EQUAL),
        OTHERWISE,
    ),
    OUTPUTS: (
        Rule("≤ 1e-4 × size", lambda a, b: not _size(a - b) > 1e-4 * _size(b), EQUAL),
        OTHERWISE,
    ),
    KINKS: (
        Rule("between the slopes from both sides", lambda g, low, high: low <= g <= high, EQUAL),
        OTHERWISE,
    ),
}


def decide(compared: str, *numbers: Any) -> str:
    """What the first rule that holds means."""
    return next(rule.meaning for rule in RULES[compared] if rule.holds(*numbers))


class NotSmooth(Exception):
    """φ has no derivative at this point, or its numeric one does not converge."""

    def __init__(self, found: Derivatives) -> None:
        self.found = found


class Comparison:
    """Compares the gradients of subjects with numeric derivatives along directions."""

    def __init__(
        self,
        owner: str,
        rng: np.random.Generator | int,
        directions: int,
        elementwise: bool,
        tolerance: float,
        attempts: int,
    ) -> None:
        self.rng, self.elementwise = checks.generator(owner, rng), elementwise
        self.directions = checks.integer(owner, "directions", directions)
        self.tolerance = checks.positive(owner, "tolerance", tolerance)
        self.attempts = checks.integer(owner, "attempts", attempts, least=0)

    def at_a_smooth_point(
        self, name: str, subjects: Callable[[Any], list[Subject]], point: Any
    ) -> GradientCheck:
        """The findings on the ``subjects`` at ``point``, or near it if it is at a kink.

        The point is moved up to ``attempts`` times.
        """
        for attempt in range(self.attempts + 1):
            result = GradientCheck(name, self.tolerance, moved=attempt)
            try:
                self._all(subjects(point), result)
                return result
            except NotSmooth as error:
                rough = error.found
            point = jittered(point, self.rng)
        if rough.noise:
            result.undecided = [_few_digits(rough.noise)]
        else:
            result.problems.append(
                f"the numeric derivative did not settle at {self.attempts + 1} points: is the "
                "function discontinuous, or random in each call?"
            )
        return result

    def _all(self, subjects: list[Subject], result: GradientCheck) -> None:
        of_the_first: list[np.ndarray] = []
        for subject in subjects:
            try:
                variants, problems = self._variants(subject)
            except Exception as error:  # in training, the caller should see it
                if subject is subjects[0]:
                    raise
                result.problems.append(
                    "a forward in inference and a backward after it raised "
                    f"{described(error)}; training=True leaves inference out"
                )
                continue
            result.problems += [p + subject.mode for p in problems if p not in result.problems]
            computed = [subject.y, *(a for found in variants.values() for a in found.values())]
            if len(of_the_first) == len(computed) and all(
                map(np.array_equal, of_the_first, computed)
            ):
                continue  # in inference it is the same function as in training
            of_the_first = of_the_first or computed
            self._two_calls(subject, variants, result)
            if all(map(_is_float32, subject.near_outputs)):
                result.undecided = [_few_digits(1e-7)]
                continue
            for name, gradient in variants[""].items():
                self._expect_digits(subject, name, gradient, result)
            for name, gradient in variants[""].items():
                self._variable(subject, name, gradient, result)
        if not result.problems and all(row.error <= self.tolerance for row in result.rows):
            self._elsewhere(subjects[0], result)

    # -- two calls ----------------------------------------------------------------------

    def _variants(self, subject: Subject) -> tuple[dict[str, Gradients], list[str]]:
        """The gradients of the first call, under ``""``, and of all others; what is wrong."""
        found = {"": subject.gradients()}
        returned, y, problems = subject.returned, subject.y, subject.problems
        for number, (way, call) in enumerate(subject.call_variants().items()):
            subject.problems = []
            try:
                found[way] = call()
            except Exception as error:  # noqa: BLE001  whatever a layer raises is a finding
                problems.append(f"{way} raised {described(error)}")
            problems += [f"{way}: {text}" for text in subject.problems if text not in problems]
            if decide(OUTPUTS, subject.y, y) == WRONG:
                problems.append(f"{way} gave another output")
            if number == 0:  # not before: the second backward follows the first
                subject.near_outputs, subject.near = subject.nearby()
                with suppress(Exception):  # the other ways raise it, too
                    subject.use_otherwise()
                problems += [
                    f"a later call changed the {name} that an earlier one had returned"
                    for name, array, kept in returned
                    if not bool((array == kept).all())
                ]
        return found, problems

    def _two_calls(
        self,
        subject: Subject,
        variants: dict[str, Gradients],
        result: GradientCheck,
        most: float = 1e-3,
    ) -> None:
        rounding = 1e3 * EPSILON * _norm(subject.terms())
        for way, gradients in variants.items():
            for name, second in gradients.items():
                first = variants[""].get(name, second)
                near, size = subject.near.get(name, first), sizes(subject.variables[name])
                allowed = rounding / float(np.linalg.norm(size))
                meaning = decide(GRADIENTS, TwoCalls(first, second, near, most, allowed))
                if meaning == EQUAL:
                    continue
                text = f"{way} gave another gradient of {name}"
                if meaning == NO_NUMBER:
                    by = f" by {way}" if way else ""
                    text = f"the gradient of {name} is not written, or not finite{by}"
                known = [problem.removesuffix(subject.mode) for problem in result.problems]
                if not any(text.startswith(problem) for problem in known):
                    result.problems.append(text + subject.mode)

    def _expect_digits(
        self, subject: Subject, name: str, gradient: np.ndarray, result: GradientCheck
    ) -> None:
        """Report float32 inside backward, where all digits beyond it are zero."""
        near = subject.near.get(name, gradient)
        of_no_digit = abs(gradient - near).max() > 0.01 * abs(near).max()
        if name in subject.near and _is_float32(near) and not of_no_digit:
            result.problems.append(
                f"the gradient of {name} has only the digits of float32, φ has those of "
                "float64: something in backward is computed in float32" + subject.mode
            )

    # -- analytic and numeric -----------------------------------------------------------

    def _variable(
        self, subject: Subject, name: str, gradient: np.ndarray, result: GradientCheck
    ) -> None:
        """Add the worst direction of one variable."""
        size = sizes(subject.variables[name])
        for where, move in moves(size, self.rng, self.directions, self.elementwise):
            near = [[subject.near.get(name, gradient)]]
            d = self._derivatives(subject, {name: gradient}, [size], [move], near, self.elementwise)
            if d.is_doubtful():  # look again
                near = [[subject.nearby()[1].get(name, gradient)] for _ in range(4)]
                d = replace(d, neighbours=near)
            meaning = decide(DERIVATIVES, d)
            if meaning == MOVE:
                raise NotSmooth(d)
            if meaning == FEW_DIGITS:
                result.undecided = [_few_digits(d.noise)]
                continue
            where += subject.mode
            if 0 < self.tolerance * d.scale < d.hidden:
                where += f", to {d.hidden / d.scale:.0e}"
            error = 0.0 if meaning == ZERO else d.error
            result.add(CheckedGradient(name, d.analytic, d.numeric.value, error, where))
            if meaning == HIDDEN:
                result.undecided = [r for r in result.undecided if not r.startswith(f"{name}: ")]
                result.undecided.append(
                    f"{name}: a gradient of {d.scale:.1e} is lost in the rounding of φ, which "
                    f"sums terms of {d.numeric.magnitude:.1e}: an error of {d.hidden:.1e} would "
                    "not show; rescale the input, the targets or the parameters to sizes around 1"
                )

    def _derivatives(
        self,
        subject: Subject,
        gradients: Gradients,
        size: list[np.ndarray],
        move: list[np.ndarray],
        neighbours: list[list[np.ndarray]],
        elementwise: bool = False,
    ) -> Derivatives:
        """Both derivatives along the line on which these variables move."""
        variables, g = [subject.variables[name] for name in gradients], [*gradients.values()]
        typical = 0.0 if elementwise else _typical(g, size, move)
        floor = max(typical, abs(_along(g, move)) / _length(move))

        def good(value: float) -> float:
            if math.isnan(value):
                return 0.0
            return self.tolerance / 10 * max(floor, abs(value)) or math.inf

        def at(largest: float) -> Derivatives:
            numeric = derivative(subject.terms, variables, move, good, largest)
            line, analytic = Line(subject.terms, variables, move), _along(g, numeric.u)
            return Derivatives(
                *(line, analytic, numeric, g, neighbours, size, move, self.tolerance, elementwise)
            )

        found = at(largest=1.0)
        if found.difference > self.tolerance * found.scale:
            # Large steps may converge to a wrong value: across a jump of f'' (ELU), or if φ is
            # periodic.
            finer = at(largest=1e-3)
            nearer = finer.difference <= self.tolerance * found.scale
            if nearer and finer.numeric.uncertainty <= good(finer.numeric.value):
                return finer
        return found

    # -- elsewhere ----------------------------------------------------------------------

    def _elsewhere(self, subject: Subject, result: GradientCheck) -> None:
        """With equal examples and a stride of 0, and with many examples and other parameters."""
        problems: list[str] = []
        way = "a call with x of stride 0"
        try:
            if isinstance(subject, LayerSubject) and (alike := subject.with_equal_examples()):
                variants, y = {"": alike.gradients()}, alike.y
                alike.problems = problems
                variants[way] = alike.gradients(
                    lambda a: broadcast(a) if a is alike.x else a.copy()
                )
                if decide(OUTPUTS, alike.y, y) == WRONG:
                    problems.append(f"{way} gave another output")
                alike.problems = []  # what its neighbour does is not told again
                _, alike.near = alike.nearby()
                self._two_calls(alike, variants, result, most=1e9)
            if many := subject.elsewhere():
                way = f"with {many.examples} examples" if many.examples else "at other inputs"
                many.problems = problems
                gradients = many.gradients()
                if self._is_wrong(many, gradients):
                    wrong = [n for n, g in gradients.items() if self._is_wrong(many, {n: g})]
                    problems.append(f"{way} the gradient of {' and '.join(wrong)} is wrong")
        except Exception as error:  # noqa: BLE001  whatever a layer raises is a finding
            problems.append(f"{way}: raised {described(error)}")
        result.problems += problems
        subject.outputs()  # what the subject keeps is again of the point itself

    def _is_wrong(self, subject: Subject, gradients: Gradients) -> bool:
        """Whether any of them is, where all variables move together; False if it is not known."""
        size = [sizes(subject.variables[name]) for name in gradients]
        move = [next(moves(s, self.rng, 1, elementwise=False))[1] for s in size]
        d = self._derivatives(subject, gradients, size, move, [])
        d = replace(d, tolerance=max(ELSEWHERE, self.tolerance))
        meaning = decide(DERIVATIVES, d)
        return meaning == WRONG or (meaning == NO_NUMBER and math.isfinite(d.numeric.value))


# -- what is compared -------------------------------------------------------------------------


@dataclass
class Derivatives:
    """The analytic and the numeric derivative along a line, and how well they are known."""

    line: Line
    analytic: float
    numeric: Numeric
    gradients: list[np.ndarray]
    neighbours: list[list[np.ndarray]]  # the gradients at points that differ by rounding
    size: list[np.ndarray]
    move: list[np.ndarray]
    tolerance: float
    elementwise: bool  # then each is judged by its own size

    @property
    def difference(self) -> float:
        return abs(self.analytic - self.numeric.value)

    @cached_property
    def scale(self) -> float:
        typical = 0.0 if self.elementwise else _typical(self.gradients, self.size, self.move)
        return max(typical, abs(self.analytic), abs(self.numeric.value))

    @cached_property
    def unknown(self) -> float:
        """How far the two may be off together."""
        unknown = self.numeric.uncertainty
        for near in self.neighbours:  # analytic gradients have rounding, too
            change = [g - n for g, n in zip(self.gradients, near, strict=True)]
            unknown += abs(_along(change, self.move)) / _length(self.move) / len(self.neighbours)
            if not self.elementwise:
                unknown = max(unknown, _typical(change, self.size, self.move))
        if abs(self.analytic) * _length(self.move) <= 4 * EPSILON * self.numeric.magnitude:
            unknown = max(unknown, abs(self.analytic))  # less than the rounding of φ
        return unknown

    @property
    def hidden(self) -> float:
        """The largest difference that says nothing."""
        return 10 * self.unknown

    @property
    def error(self) -> float:
        """The difference relative to ``scale``; at most the tolerance where it says nothing."""
        error = self.difference / (max(self.scale, self.hidden / self.tolerance) or 1.0)
        return error if math.isfinite(error) else math.inf

    @cached_property
    def noise(self) -> float:
        """The noise of a φ with fewer digits than float64, relative to its terms; otherwise 0."""
        if float(self.line(0.0).sum()) != float(self.line(0.0).sum()):
            return 0.0  # random
        for t in (1e-3, 1e-6):
            rough, finer = (_roughness(self.line, h) for h in (t, t / 4))
            if 1e-10 < finer <= 1e-5 and rough < 100 * finer:  # of a smooth φ it is 4⁵ times
                return finer
        return 0.0

    def differ(self) -> bool:
        return self.error > self.tolerance

    def agree(self) -> bool:
        most = max(self.tolerance, 1e-5) * self.scale or math.inf
        return not self.differ() and self.hidden <= most

    def is_doubtful(self) -> bool:
        """Whether a closer look at what is unknown may change the decision."""
        return not self.agree() and self.difference <= 1e3 * self.hidden

    def has_converged(self) -> bool:
        """Whether the numeric one is known as well as rounding allows."""
        return self.numeric.uncertainty <= max(3 * self.numeric.rounding, self.unknown / 2)

    def has_kink(self, step: float = 1e-4) -> bool:
        """Whether the slopes from both sides explain the difference: theirs is half of it at least.

        At the kink itself, a central difference converges, to the mean of the two.
        """
        length = _length([to_numpy(move) for move in self.line.moves])
        rounding = 32 * EPSILON * _norm(self.line(0.0)) / (step * length)
        jumps = []
        for t in (step, step / 4):
            left, right = self.line.slopes(t)
            jumps.append(abs(float((right - left).sum())) / length)
        explained = max(self.error * self.scale / 2, rounding)
        return jumps[0] > explained and jumps[1] > jumps[0] / 2

    def is_zero(self) -> bool:
        """Whether it has no digits: one that is small and right keeps almost all of them nearby."""
        here = _along(self.gradients, self.move)  # by which φ changes
        if not abs(here) <= 1e3 * EPSILON * self.numeric.magnitude:
            return False
        changed = [_along(near, self.move) for near in self.neighbours]
        return any(abs(there - here) > 0.01 * max(abs(there), abs(here)) for there in changed)


class TwoCalls(NamedTuple):
    """A gradient from two calls."""

    first: np.ndarray
    second: np.ndarray
    near: np.ndarray  # the first with all variables rounded differently
    most: float  # how much that may excuse, as a share of the largest entry
    rounding: float  # the gradient that changes φ by 1000 × its rounding

    @property
    def difference(self) -> float:
        return _size(self.second - self.first)

    def are_the_same(self) -> bool:
        size = _size(self.first)
        change = min(100 * _size(self.near - self.first), self.most * size)
        return not self.difference > 1e-9 * size + change


def _few_digits(noise: float) -> str:
    return (
        f"φ is computed to about {-math.log10(noise):.0f} digits, which are too few for a "
        "numeric derivative: compute in float64 throughout, inside the function, too"
    )


def _is_float32(a: np.ndarray) -> bool:
    """Whether all digits beyond float32 are zero; of numbers with few digits one cannot know."""
    digits = np.frexp(a)[0]
    return bool((digits * 2**24 % 1 == 0).all() and (digits * 2**12 % 1 != 0).any())


def _size(a: np.ndarray) -> float:
    return float(abs(a).max(initial=0.0))


def _norm(terms: Array) -> float:
    return float((terms * terms).sum()) ** 0.5


def _along(gradients: Sequence[np.ndarray], move: Sequence[np.ndarray]) -> float:
    """⟨g, u⟩."""
    return float(sum(np.sum(g * u) for g, u in zip(gradients, move, strict=True)))


def _length(move: Sequence[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(m))) for m in move))


def _typical(gradients: list[np.ndarray], size: list[np.ndarray], move: list[np.ndarray]) -> float:
    """The size of ⟨g, u⟩ for a typical direction u of length 1.

    A projection that happens to be much smaller should not be judged by its own size.
    """
    of_each = [np.mean(np.square(g * s)) for g, s in zip(gradients, size, strict=True)]
    typical = math.sqrt(float(sum(of_each))) / _length(move)
    return typical if math.isfinite(typical) else 0.0


def _roughness(line: Line, t: float) -> float:
    values = [float(line(k * t).sum()) for k in range(10)]
    noise = math.sqrt(float(np.mean(np.square(np.diff(values, 5)))) / 252)
    return noise / (_norm(line(0.0)) or 1.0)


# -- kinks --------------------------------------------------------------------------------------


def check_kinks(
    subject: LayerSubject, rng: np.random.Generator, count: int, problems: list[str]
) -> None:
    """Check that the gradients at a point with ties lie between the slopes from both sides.

    Where two pixels of a window are equal, or a unit is exactly at its kink, f has two slopes
    along a direction, and any number between them is a gradient, but no other.  A max pooling that
    gives dy to both of two equal pixels is caught by the direction in which both rise together:
    there the two slopes agree.

    ``subject`` is one layer, without inner layers.  In a network, the chain rule may give a
    number outside both slopes although every layer is right: relu(x) − relu(−x) has slope 1
    at 0, and the chain rule with relu'(0) = 0 gives 0.
    """
    with np.errstate(all="ignore"):
        if not bool(namespace(subject.x).isfinite(subject.forward()).all()):
            return  # the layer is not meant for such numbers
        for name, variable in subject.variables.items():
            size = sizes(variable)
            together = size / np.sqrt(size.size)
            drawn = [move for _, move in moves(size, rng, count, elementwise=False)]
            for move in (together, *drawn):
                if found := _outside(subject, name, variable, move, rng):
                    problems.append(found)
                    break


def _outside(
    subject: LayerSubject, name: str, variable: Array, move: np.ndarray, rng: np.random.Generator
) -> str:
    """What is wrong along ``move``; an empty string if nothing is."""
    line = Line(lambda: to_numpy(subject.forward()).copy(), [variable], [move])
    (left, right), finer = (line.slopes(h) for h in (1e-5, 2e-6))
    low, high = np.minimum(left, right), np.maximum(left, right)  # of every output
    unknown = abs(left - finer[0]) + abs(right - finer[1])  # how much they changed with the step
    if not all(np.isfinite(values).all() for values in (low, high, unknown)):
        return ""
    kinks = np.argwhere(high - low > 1e-3 * abs(high) + 100 * unknown)
    upstreams = [rng.standard_normal(low.shape)]
    for index in rng.permutation(kinks)[:3]:  # some outputs at a kink by themselves
        dy = np.zeros(low.shape)
        dy[tuple(index)] = 1
        upstreams.append(dy)
    for dy in upstreams:
        subject.dy = namespace(variable).asarray(dy)
        subject.forward()
        gradient = subject.backward().get(name)
        if gradient is None:
            return ""  # of another shape: reported already
        ends = dy * low, dy * high
        steepest = np.maximum(abs(low), abs(high))
        slack = float((abs(dy) * (1e-6 * steepest + 100 * unknown)).sum()) + 1e-12
        least, most = float(np.minimum(*ends).sum()), float(np.maximum(*ends).sum())
        analytic = float(np.sum(gradient * move))
        if decide(KINKS, analytic, least - slack, most + slack) == WRONG:
            return (
                f"at a point with ties the gradient of {name} says {analytic:.6g} along a "
                f"direction, expected from {least:.6g} to {most:.6g}, the slopes from both sides"
            )
    return ""
