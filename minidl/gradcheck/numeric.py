"""Derivatives of φ along a direction, from values of φ alone.

The numeric derivative is ``scipy.differentiate.derivative`` (central differences of
order 8 with shrinking steps), accurate to about 1e-11 in float64.  If it does not
converge, the point is at a kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minidl.backend import Array, namespace
from minidl.gradcheck.subjects import Subject

T = TypeVar("T")

_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # of φ, relative to the terms that it sums
_STEPS = (0.5, 0.02, 1e-3, 1e-4, 1e-5)  # first steps, which then shrink


class Numeric(NamedTuple):
    """A numeric derivative, and how far to trust it."""

    value: float
    doubt: float  # how much it still changed with the step
    rounding: float  # what the rounding of φ may contribute
    step: float  # the smallest |t| used
    magnitude: float  # the size of φ, or of the terms that it sums


def directions(
    shape: tuple[int, ...], rng: np.random.Generator, count: int, elementwise: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Directions u of length 1, with their names."""
    if elementwise:
        for index in np.ndindex(shape):
            u = np.zeros(shape)
            u[index] = 1
            yield str(list(index)), u
    else:
        for number in range(1, count + 1):
            u = rng.standard_normal(shape)
            yield f"direction {number}", u / np.linalg.norm(u)


def directional_derivative(
    subject: Subject, variable: Array, u: np.ndarray, largest: float = math.inf
) -> Numeric:
    """d/dt φ(v + t u) at 0, with steps up to ``largest``.

    Large steps come first: where φ is smooth, they outweigh the rounding.  Smaller ones
    follow if the estimate does not converge; near a kink, it only does
    once the steps stay on one side.
    """
    from scipy.differentiate import derivative

    phi_at = along(variable, u, subject.value)
    start = phi_at(0.0)  # subtracted, so that a constant φ has a derivative of exactly 0
    smallest = math.inf

    def phi(t: np.ndarray) -> np.ndarray:
        nonlocal smallest
        values = np.empty(t.size)
        for i, step in enumerate(t.ravel()):
            values[i] = phi_at(float(step)) - start
            if step != 0:
                smallest = min(smallest, abs(float(step)))
        return values.reshape(t.shape)

    best = Numeric(math.nan, math.inf, 0.0, math.inf, 0.0)
    try:
        for step in (step for step in _STEPS if step <= largest):
            smallest, subject.magnitude = math.inf, 0.0
            with np.errstate(all="ignore"):  # a large step may leave the domain of φ
                found = derivative(
                    phi, 0.0, initial_step=step, maxiter=5, tolerances={"rtol": 1e-10, "atol": 0.0}
                )
            rounding = _ROUNDING * subject.magnitude / smallest
            if max(found.error, rounding) < max(best.doubt, best.rounding):
                best = Numeric(
                    float(found.df), float(found.error), rounding, smallest, subject.magnitude
                )
            if found.success or found.error <= rounding:  # with smaller steps it would only grow
                break
    finally:
        phi_at(0.0)  # restores the variable and the state to the point itself
    return best


def along(variable: Array, u: np.ndarray, value: Callable[[], T]) -> Callable[[float], T]:
    """t ↦ value() at v + t u; ``variable`` keeps the last v + t u."""
    kept = variable.copy()
    u = namespace(variable).asarray(u)

    def value_at(t: float) -> T:
        variable[...] = kept + t * u
        return value()

    return value_at


def one_sided(value_at: Callable[[float], Any], h: float) -> tuple[Any, Any]:
    """The slopes at 0 from the left and from the right, each from three values."""
    # 0 last: it restores the state to the point itself
    at = {i: value_at(i * h) for i in (-2, -1, 1, 2, 0)}
    left = (3 * at[0] - 4 * at[-1] + at[-2]) / (2 * h)
    right = (-3 * at[0] + 4 * at[1] - at[2]) / (2 * h)
    return left, right


def jump(subject: Subject, variable: Array, u: np.ndarray) -> float:
    """How much the slopes of φ from the left and from the right differ.

    At the kink itself, a central difference converges, to the mean of the two.
    """
    left, right = one_sided(along(variable, u, subject.value), 1e-5)
    return abs(right - left)
