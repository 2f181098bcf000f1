"""Which numbers count as equal, and what a difference means.

=========================== =====================================================================
compared                    equal if they differ by at most
=========================== =====================================================================
analytic and numeric        tolerance × scale, the larger of them and of a typical ⟨g, u⟩; or 10 ×
derivative along a line     what is not known of the two, if that is at most 1e-5 × scale
the same, elsewhere         1e-6 × scale, for all variables at once
outputs of two calls        1e-4 × the largest entry
gradients of two calls      1e-9 × the largest entry; or 100 × what rounding the variables changes,
                            up to a thousandth; or what the rounding of φ allows
a gradient and 0            what the rounding of φ allows, if rounding the variables changes it
an analytic derivative and  nothing: it must lie between the slopes from both sides
the slopes at a kink
=========================== =====================================================================

A numeric derivative that is not known well enough has one of three reasons.  The point is at a
kink: another one is tried.  φ is discontinuous or random: the check fails.  Rounding hides the
answer: then it is not decided, whatever the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minidl.backend import Array, checks, namespace, to_numpy
from minidl.gradcheck.numeric import EPSILON, Line, Numeric, derivative, moves, sizes
from minidl.gradcheck.report import CheckedGradient, GradientCheck
from minidl.gradcheck.subjects import (
    OUTPUT,
    Gradients,
    LayerSubject,
    Problems,
    Subject,
    broadcast,
    described,
    jittered,
)

# The numbers of the table, in its order.
_SURE = 10  # times its uncertainty, a derivative is never off
_KNOWN = 1e-6  # how well it must be known at least, relative to scale
_ELSEWHERE = 1e-6
_SAME = 1e-9
_CHANGES, _MOST = 100, 1e-3
_ROUNDING = 1e3 * EPSILON  # the largest share of φ by which a gradient of 0 may seem to change it
_POINTS = 4  # at which a gradient that may be zero is looked at again
_KINK = 1e-4  # the step, relative to the size of v, at which the slopes of both sides are compared
_FEW_DIGITS = 1e-10, 1e-5  # the noise of an inaccurate arithmetic, as a share of φ
_TIED_OUTPUTS = 3  # how many outputs at a kink are checked by themselves, per direction


class NotSmooth(Exception):
    """The numeric derivative does not converge at this point."""

    def __init__(self, line: Line) -> None:
        self.line = line


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
                rough = error
            point = jittered(point, self.rng)
        if noise := _noise(rough.line):
            self._few_digits(noise, result)
        else:
            result.problems.append(
                f"the numeric derivative did not settle at {self.attempts + 1} points: is the "
                "function discontinuous, or random in each call?"
            )
        return result

    def _all(self, subjects: list[Subject], result: GradientCheck) -> None:
        of_the_first: list[np.ndarray] = []
        for subject in subjects:
            problems: Problems = []
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
            computed = [subject.y, *(a for found in ways.values() for a in found.values())]
            if len(of_the_first) == len(computed) and all(
                map(np.array_equal, of_the_first, computed)
            ):
                continue  # in inference it is the same function as in training
            of_the_first = of_the_first or computed
            self._two_calls(subject, ways, result)
            if all(map(_is_float32, subject.near_outputs)):
                self._few_digits(1e-7, result)
                continue
            self._digits(subject, ways[""], result)
            for name, gradient in ways[""].items():
                self._variable(subject, name, gradient, result)
        if not result.problems and all(row.error <= self.tolerance for row in result.rows):
            self._elsewhere(subjects[0], result)

    # -- gradients of two calls ---------------------------------------------------------

    def _two_calls(
        self,
        subject: Subject,
        ways: dict[str, Gradients],
        result: GradientCheck,
        most: float = _MOST,
    ) -> None:
        magnitude = _size(subject.terms())
        for way, gradients in ways.items():
            for name, gradient in gradients.items():
                text = ""
                if not np.isfinite(gradient).all():
                    by = f" by {way}" if way else ""
                    text = f"the gradient of {name} is not written, or not finite{by}"
                elif way and name in subject.near:
                    expected = ways[""][name]
                    difference, scale = abs(gradient - expected).max(), abs(expected).max()
                    change = abs(expected - subject.near[name]).max()
                    allowed = _SAME * scale + min(_CHANGES * change, most * scale)
                    size = float(np.linalg.norm(sizes(subject.variables[name])))
                    if difference > max(allowed, _ROUNDING * magnitude / size):
                        text = f"{way} gave another gradient of {name}"
                known = [problem.removesuffix(subject.mode) for problem in result.problems]
                if text and not any(text.startswith(problem) for problem in known):
                    result.problems.append(text + subject.mode)

    def _digits(self, subject: Subject, gradients: Gradients, result: GradientCheck) -> None:
        """Report float32 inside backward, where all digits beyond it are zero."""
        for name, near in subject.near.items():
            of_no_digit = abs(gradients[name] - near).max() > 0.01 * abs(near).max()
            if _is_float32(near) and not of_no_digit:
                result.problems.append(
                    f"the gradient of {name} has only the digits of float32, φ has those of "
                    "float64: something in backward is computed in float32" + subject.mode
                )

    # -- analytic and numeric -------------------------------------------------------------

    def _variable(
        self, subject: Subject, name: str, gradient: np.ndarray, result: GradientCheck
    ) -> None:
        """Add the worst direction of one variable."""
        variable = subject.variables[name]
        size = sizes(variable)
        for where, move in moves(size, self.rng, self.directions, self.elementwise):
            typical = 0.0 if self.elementwise else _typical([gradient], [size], [move])
            numeric, analytic = self._derivative(subject, [variable], [move], [gradient], typical)
            scale = max(typical, abs(analytic), abs(numeric.value))
            most = max(self.tolerance, _SURE * _KNOWN) * scale or math.inf  # that may be hidden
            neighbours = [subject.near.get(name, gradient)]
            hidden, error = self._error(analytic, numeric, scale, gradient, neighbours, size, move)
            doubtful = error > self.tolerance or hidden > most
            if doubtful and abs(analytic - numeric.value) <= 1e3 * hidden:
                neighbours = [subject.nearby()[1].get(name, gradient) for _ in range(_POINTS)]
                hidden, error = self._error(
                    analytic, numeric, scale, gradient, neighbours, size, move
                )
            where += subject.mode
            if 0 < self.tolerance * scale < hidden:
                where += f", to {hidden / scale:.0e}"
            row = CheckedGradient(name, analytic, numeric.value, error, where)
            known = error <= self.tolerance and hidden <= most
            if known or not math.isfinite(analytic):
                result.add(row)
                continue
            if _is_zero(analytic, numeric, gradient, neighbours, move):
                result.add(replace(row, error=0.0))
                continue
            line = Line(subject.terms, [variable], [move])
            if error > self.tolerance:
                if _has_kink(line, error * scale):
                    raise NotSmooth(line)
                if noise := _noise(line):
                    self._few_digits(noise, result)
                    continue
            result.add(row)
            if error <= self.tolerance:
                if numeric.uncertainty > max(3 * numeric.rounding, hidden / _SURE / 2):
                    raise NotSmooth(line)
                result.undecided = [r for r in result.undecided if not r.startswith(f"{name}: ")]
                result.undecided.append(
                    f"{name}: a gradient of {scale:.1e} is lost in the rounding of φ, which sums "
                    f"terms of {numeric.magnitude:.1e}: an error of {hidden:.1e} would not show; "
                    "rescale the input, the targets or the parameters to sizes around 1"
                )

    def _derivative(
        self,
        subject: Subject,
        variables: list[Array],
        move: list[np.ndarray],
        gradients: list[np.ndarray],
        typical: float,
    ) -> tuple[Numeric, float]:
        """The numeric and the analytic derivative along a line."""

        def along(u: Any) -> float:
            return float(sum(np.sum(g * d) for g, d in zip(gradients, u, strict=True)))

        floor = max(typical, abs(along(move)) / _length(move))

        def good(value: float) -> float:
            if math.isnan(value):
                return 0.0
            return self.tolerance / _SURE * max(floor, abs(value)) or math.inf

        numeric = derivative(subject.terms, variables, move, good)
        analytic = along(numeric.u)
        scale = max(typical, abs(analytic), abs(numeric.value))
        if abs(analytic - numeric.value) > self.tolerance * scale:
            # Large steps may converge to a wrong value: across a jump of f'' (ELU), or if φ is
            # periodic.
            finer = derivative(subject.terms, variables, move, good, largest=1e-3)
            nearer = abs(along(finer.u) - finer.value) <= self.tolerance * scale
            if nearer and finer.uncertainty <= good(finer.value):
                return finer, along(finer.u)
        return numeric, analytic

    def _error(
        self,
        analytic: float,
        numeric: Numeric,
        scale: float,
        gradient: np.ndarray,
        neighbours: list[np.ndarray],
        size: np.ndarray,
        move: np.ndarray,
    ) -> tuple[float, float]:
        """The difference that says nothing, and the relative one, at most the tolerance then."""
        unknown = numeric.uncertainty
        for near in neighbours:  # analytic gradients have rounding, too
            change = gradient - near
            unknown += abs(float(np.sum(change * move))) / _length([move]) / len(neighbours)
            if not self.elementwise:
                unknown = max(unknown, _typical([change], [size], [move]))
        if abs(analytic) * _length([move]) <= 4 * EPSILON * numeric.magnitude:
            unknown = max(unknown, abs(analytic))  # less than the rounding of φ
        error = abs(analytic - numeric.value)
        error /= max(scale, _SURE * unknown / self.tolerance) or 1.0
        return _SURE * unknown, error if math.isfinite(error) else math.inf

    def _few_digits(self, noise: float, result: GradientCheck) -> None:
        result.undecided = [
            f"φ is computed to about {-math.log10(noise):.0f} digits, which are too few for a "
            "numeric derivative: compute in float64 throughout, inside the function, too"
        ]

    # -- elsewhere ------------------------------------------------------------------------

    def _elsewhere(self, subject: Subject, result: GradientCheck) -> None:
        """With equal examples and a stride of 0, and with many examples and other parameters."""
        problems: Problems = []
        way = "a call with x of stride 0"
        try:
            if isinstance(subject, LayerSubject) and (alike := subject.with_equal_examples()):
                ways, y = {"": alike.gradients([])}, alike.y
                ways[way] = alike.gradients(
                    problems, lambda a: broadcast(a) if a is alike.x else a.copy()
                )
                if abs(alike.y - y).max() > OUTPUT * abs(y).max():
                    problems.append(f"{way} gave another output")
                _, alike.near = alike.nearby()
                self._two_calls(alike, ways, result, most=1e9)
            if many := subject.elsewhere():
                way = f"with {many.examples} examples" if many.examples else "at other inputs"
                gradients = many.gradients(problems)
                if self._is_wrong(many, gradients):
                    wrong = [n for n, g in gradients.items() if self._is_wrong(many, {n: g})]
                    problems.append(f"{way} the gradient of {' and '.join(wrong)} is wrong")
        except Exception as error:  # noqa: BLE001  whatever a layer raises is a finding
            problems.append(f"{way}: raised {described(error)}")
        result.problems += problems
        subject.outputs()  # what the subject keeps is again of the point itself

    def _is_wrong(self, subject: Subject, gradients: Gradients) -> bool:
        """Whether any of them is, where all variables move together; False if it is not known."""
        variables, found = [subject.variables[name] for name in gradients], [*gradients.values()]
        size = [sizes(variable) for variable in variables]
        move = [next(moves(s, self.rng, 1, elementwise=False))[1] for s in size]
        typical = _typical(found, size, move)
        numeric, analytic = self._derivative(subject, variables, move, found, typical)
        difference = abs(analytic - numeric.value)
        scale = max(typical, abs(analytic), abs(numeric.value))
        allowed = max(_ELSEWHERE, self.tolerance) * scale + _SURE * numeric.uncertainty
        line = Line(subject.terms, variables, move)
        return difference > allowed and not (_has_kink(line, difference) or _noise(line))


def _is_zero(
    analytic: float,
    numeric: Numeric,
    gradient: np.ndarray,
    neighbours: list[np.ndarray],
    move: np.ndarray,
) -> bool:
    """Whether the gradient is 0 except for rounding, like that of a bias before BatchNorm.

    A gradient that is small and right keeps almost all of its digits nearby.
    """
    here = float(np.sum(gradient * move))  # the change of φ, which sums terms of some magnitude
    if not abs(here) <= _ROUNDING * numeric.magnitude:
        return False
    changes = [float(np.sum(near * move)) for near in neighbours]
    return any(abs(there - here) > 0.01 * max(abs(there), abs(here)) for there in changes)


def _size(terms: Array) -> float:
    return float((terms * terms).sum()) ** 0.5


def _is_float32(a: np.ndarray) -> bool:
    """Whether all digits beyond float32 are zero; of numbers with few digits one cannot know."""
    digits = np.frexp(a)[0]
    return bool((digits * 2**24 % 1 == 0).all() and (digits * 2**12 % 1 != 0).any())


def _length(move: list[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(m))) for m in move))


def _typical(gradients: list[np.ndarray], size: list[np.ndarray], move: list[np.ndarray]) -> float:
    """The size of ⟨g, u⟩ for a typical direction u of length 1.

    A projection that happens to be much smaller should not be judged by its own size.
    """
    of_each = [np.mean(np.square(g * s)) for g, s in zip(gradients, size, strict=True)]
    typical = math.sqrt(float(sum(of_each))) / _length(move)
    return typical if math.isfinite(typical) else 0.0


def _has_kink(line: Line, difference: float) -> bool:
    """Whether the slopes from both sides explain the difference.

    At the kink itself, a central difference converges, to the mean of the two.
    """
    length, terms = _length([to_numpy(move) for move in line.moves]), line(0.0)
    rounding = 32 * EPSILON * _size(terms) / (_KINK * length)
    jumps = []
    for t in (_KINK, _KINK / 4):
        left, right = line.slopes(t)
        jumps.append(abs(float((right - left).sum())) / length)
    return jumps[0] > max(difference / 2, rounding) and jumps[1] > jumps[0] / 2


def _noise(line: Line) -> float:
    """The noise of a φ with fewer digits than float64, relative to its terms; otherwise 0."""
    if float(line(0.0).sum()) != float(line(0.0).sum()):
        return 0.0  # random
    for t in (1e-3, 1e-6):
        rough, finer = _roughness(line, t), _roughness(line, t / 4)  # a smooth φ: 4⁵ times smaller
        if _FEW_DIGITS[0] < finer <= _FEW_DIGITS[1] and rough < 100 * finer:
            return finer
    return 0.0


def _roughness(line: Line, t: float) -> float:
    values = [float(line(k * t).sum()) for k in range(10)]
    noise = math.sqrt(float(np.mean(np.square(np.diff(values, 5)))) / 252)
    return noise / (_size(line(0.0)) or 1.0)


# -- kinks --------------------------------------------------------------------------------------


def check_kinks(
    subject: LayerSubject, rng: np.random.Generator, count: int, problems: Problems
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
    doubt = abs(left - finer[0]) + abs(right - finer[1])  # how much they changed with the step
    if not all(np.isfinite(values).all() for values in (low, high, doubt)):
        return ""
    kinked = np.argwhere(high - low > 1e-3 * abs(high) + 100 * doubt)
    upstreams = [rng.standard_normal(low.shape)]
    for place in rng.permutation(kinked)[:_TIED_OUTPUTS]:
        dy = np.zeros(low.shape)
        dy[tuple(place)] = 1
        upstreams.append(dy)
    for dy in upstreams:
        subject.dy = namespace(variable).asarray(dy)
        subject.forward()
        gradient = subject.backward([]).get(name)
        if gradient is None:
            return ""  # of another shape: reported already
        analytic = float(np.sum(gradient * move))
        ends = dy * low, dy * high
        least, most = float(np.minimum(*ends).sum()), float(np.maximum(*ends).sum())
        steepest = np.maximum(abs(low), abs(high))
        slack = float((abs(dy) * (1e-6 * steepest + 100 * doubt)).sum()) + 1e-12
        if not least - slack <= analytic <= most + slack:
            return (
                f"at a point with ties the gradient of {name} says {analytic:.6g} along a "
                f"direction, expected from {least:.6g} to {most:.6g}, the slopes from both sides"
            )
    return ""
