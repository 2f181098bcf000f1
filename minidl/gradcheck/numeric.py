"""Derivatives of φ along a line, from values of φ alone.

Central differences with the steps h, h/2, h/4, … are extrapolated to h = 0 (Richardson; Ridders,
Advances in Engineering Software 4, 1982).  What still changes from step to step says how far the
result may be off.  h follows the size of v: it begins with half of it, becomes smaller until φ is
smooth within it and in its domain, and larger if the rounding of φ is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.backend import Array, namespace, to_numpy

EPSILON = float(np.finfo(np.float64).eps)
_STEPS = (0.5, 0.02, 1e-3, 5e-5, 2e-6, 1e-7, 4e-9, 2e-10)  # the first h, relative to the size of v
_LARGER = (10.0, 300.0, 1e4)
_HALVINGS = 6  # of each of them
_TINY = 1e-3  # an entry smaller than this share of the others is moved by its own size


class Numeric(NamedTuple):
    """A numeric derivative, and how far to trust it."""

    value: float  # d/dt φ(v + t u) at 0, for u of length 1
    uncertainty: float  # how far it may be off
    rounding: float  # what the rounding of φ alone may contribute to that
    magnitude: float  # the size of φ, or of the terms that it sums
    step: float  # the first h, relative to the size of v
    u: Sequence[np.ndarray]  # the direction, rounded so that every v + t u is exact


def derivative(
    terms: Callable[[], Any],
    variables: Sequence[Array],
    moves: Sequence[np.ndarray],
    good: Callable[[float], float],
    largest: float = 1.0,
) -> Numeric:
    """d/dt φ(v + t u), where ``terms()`` are what φ sums and u points along ``moves``.

    It is sought until its uncertainty is at most ``good(value)``; ``largest`` limits the step.
    """
    start = [to_numpy(variable).copy() for variable in variables]

    def at(step: float) -> Numeric:
        smallest = [_exact(v, m * step / 2**_HALVINGS) for v, m in zip(start, moves, strict=True)]
        return _extrapolated(Line(terms, variables, smallest), step, smallest, good)

    best = Numeric(np.nan, np.inf, 0.0, 0.0, 0.0, moves)
    with np.errstate(all="ignore"):  # a large step may leave the domain of φ
        for step in (step for step in _STEPS if step <= largest):
            found = at(step)
            best = min(best, found, key=lambda numeric: numeric.uncertainty)
            if best.uncertainty <= max(good(best.value), found.rounding):
                break
        for step in _LARGER if best.step == _STEPS[0] else ():
            if best.uncertainty <= good(best.value):
                break
            found = at(step)
            if not found.uncertainty < best.uncertainty:
                break
            best = found
    return best


def _extrapolated(
    line: Line, step: float, smallest: Sequence[np.ndarray], good: Callable[[float], float]
) -> Numeric:
    """Ridders' table: each row has half the step of the one above, each column a higher order."""
    length = float(np.sqrt(sum(np.sum(np.square(move)) for move in smallest)))
    if length == 0:  # below the spacing of the numbers
        return Numeric(np.nan, np.inf, np.inf, 0.0, step, smallest)
    largest = 0.0  # of the lengths of the terms
    value, error, at = np.nan, np.inf, 1.0
    above: list[float] = []
    try:
        for k in reversed(range(_HALVINGS + 1)):
            up, down = line(2.0**k), line(-(2.0**k))
            largest = max(largest, *(float((side * side).sum()) ** 0.5 for side in (up, down)))
            row = [float((up - down).sum()) / (2 * length * 2**k)]
            for j, coarser in enumerate(above):
                finer = row[j] + (row[j] - coarser) / (4.0 ** (j + 1) - 1)
                if not np.isfinite(finer):
                    break
                row.append(finer)
                change = max(abs(finer - row[j]), abs(finer - coarser))
                if change < error:
                    value, error, at = finer, change, 2.0**k
            if error <= good(value) / 100:
                break
            if len(above) > 1 and len(row) > 1 and not abs(row[-1] - above[-1]) < 2 * error:
                break  # rounding, or a kink
            above = row
    finally:
        line(0.0)
    rounding = EPSILON * largest / (at * length)
    return Numeric(
        value, max(error, rounding), rounding, largest, step, [d / length for d in smallest]
    )


class Line:
    """φ at v + t u, for one variable v or several that move together."""

    def __init__(
        self, terms: Callable[[], Any], variables: Sequence[Array], moves: Sequence[np.ndarray]
    ) -> None:
        self.terms, self.variables = terms, variables
        self.kept = [variable.copy() for variable in variables]
        self.moves = [namespace(v).asarray(m) for v, m in zip(variables, moves, strict=True)]

    def __call__(self, t: float) -> Any:
        """The terms that φ sums, at v + t u; the variables keep that value."""
        for variable, kept, move in zip(self.variables, self.kept, self.moves, strict=True):
            variable[...] = kept + t * move
        try:
            return self.terms()
        except Exception:  # outside the domain of φ, where others give NaN
            if t == 0:
                raise
            return namespace(self.kept[0]).full(1, np.nan)

    def slopes(self, t: float) -> tuple[Any, Any]:
        """From the left and from the right, each from three values."""
        at = {i: self(i * t) for i in (-2, -1, 1, 2, 0)}  # 0 last: it restores the point
        left = (3 * at[0] - 4 * at[-1] + at[-2]) / (2 * t)
        right = (-3 * at[0] + 4 * at[1] - at[2]) / (2 * t)
        return left, right


def sizes(v: Array) -> np.ndarray:
    """By how much each entry of ``v`` is moved at most: the size of ``v``, or its own if tiny."""
    own = abs(to_numpy(v))
    common = float(np.sqrt(np.mean(np.square(own)))) if own.any() else 1.0
    return np.where((own > 0) & (own < _TINY * common), own, common)


def moves(
    size: np.ndarray, rng: np.random.Generator, count: int, elementwise: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Directions with their names; each as long as the largest relative step, 1."""
    if elementwise:
        for index in np.ndindex(size.shape):
            move = np.zeros(size.shape)
            move[index] = size[index]
            yield str(list(index)), move
    else:
        for number in range(1, count + 1):
            move = rng.standard_normal(size.shape)
            yield f"direction {number}", size * move / np.linalg.norm(move)


def _exact(v: np.ndarray, d: np.ndarray) -> np.ndarray:
    """``d`` rounded such that v ± d, v ± 2 d, … are numbers of float64."""
    spacing = 4 * np.spacing(np.maximum(abs(v), abs(d)))
    return np.rint(d / spacing) * spacing
