"""Where two pixels of a window are equal, or a unit is exactly at its kink.

There f has two slopes along a direction, one to the left and one to the right, and any
number between them is a gradient, but no other.  A max pooling that gives dy to
both of two equal pixels is caught by the direction in which both rise together: there
the two slopes agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidl.backend import Array, namespace, to_numpy
from minidl.gradcheck.numeric import along, one_sided
from minidl.gradcheck.subjects import LayerSubject, Problems

_OUTPUTS = 3  # how many outputs at a kink are checked by themselves, per direction


class _Slopes(NamedTuple):
    """Of every output, along one direction."""

    low: np.ndarray
    high: np.ndarray
    doubt: np.ndarray  # how much they changed with the step


def check_ties(
    subject: LayerSubject, rng: np.random.Generator, count: int, problems: Problems
) -> None:
    """Check that the gradients lie between the slopes from the left and from the right.

    ``subject`` is one layer, without inner layers, at a point with ties.  In a network,
    the chain rule may give a number outside both slopes although every layer is right:
    relu(x) − relu(−x) has slope 1 at 0, and the chain rule with relu'(0) = 0 gives 0.
    """
    with np.errstate(all="ignore"):
        if not bool(namespace(subject.x).isfinite(subject.forward()).all()):
            return  # the layer is not meant for such numbers
        for name, variable in subject.variables.items():
            ones = np.ones(variable.shape)
            drawn = [rng.standard_normal(variable.shape) for _ in range(count)]
            for u in (ones, *drawn):
                u /= np.linalg.norm(u)
                found = _outside(subject, name, variable, u, rng)
                if found:
                    problems.append(found)
                    break


def _outside(
    subject: LayerSubject, name: str, variable: Array, u: np.ndarray, rng: np.random.Generator
) -> str:
    """What is wrong along u; an empty string if nothing is."""
    slopes = _slopes(subject, variable, u)
    if not all(np.isfinite(values).all() for values in slopes):
        return ""
    shape = slopes.low.shape
    kinked = np.argwhere(slopes.high - slopes.low > 1e-3 * abs(slopes.high) + 100 * slopes.doubt)
    upstreams = [rng.standard_normal(shape)]
    for place in rng.permutation(kinked)[:_OUTPUTS]:
        dy = np.zeros(shape)
        dy[tuple(place)] = 1
        upstreams.append(dy)
    for dy in upstreams:
        subject.dy = namespace(variable).asarray(dy)
        subject.forward()
        gradient = subject.backward([]).get(name)
        if gradient is None:
            return ""  # of another shape: reported already
        analytic = float(np.sum(gradient * u))
        ends = dy * slopes.low, dy * slopes.high
        low, high = float(np.minimum(*ends).sum()), float(np.maximum(*ends).sum())
        steepest = np.maximum(abs(slopes.low), abs(slopes.high))
        slack = float((abs(dy) * (1e-6 * steepest + 100 * slopes.doubt)).sum()) + 1e-12
        if not low - slack <= analytic <= high + slack:
            return (
                f"at a point with ties the gradient of {name} says {analytic:.6g} along a "
                f"direction, expected from {low:.6g} to {high:.6g}, the slopes from both sides"
            )
    return ""


def _slopes(subject: LayerSubject, variable: Array, u: np.ndarray) -> _Slopes:
    y_at = along(variable, u, lambda: to_numpy(subject.forward()).copy())
    (left, right), (finer_left, finer_right) = (one_sided(y_at, h) for h in (1e-5, 2e-6))
    doubt = abs(left - finer_left) + abs(right - finer_right)
    return _Slopes(np.minimum(left, right), np.maximum(left, right), doubt)
