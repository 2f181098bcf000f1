"""Checks of an activation function of the engine, or of a user's f and f'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minidl.activations import Activation, get_activation
from minidl.backend import Array

Pair: TypeAlias = tuple[Callable[[Array], Array], Callable[[Array], Array]]
AnyFunction: TypeAlias = str | Activation | Pair

# Where they are compared: on no round number, where a kink may be that nobody named.
TEST_POINTS = np.linspace(-8, 8, 321) + 0.0123456789
STEP = 1e-5
DIFFERENCE = 1e-4  # of f' and the difference quotient, as a share of the slope there
ROUNDING = 1e-6  # and of the steepest


def as_activation(owner: str, function: AnyFunction) -> Activation:
    """The function with f and f', after a check that f' is the slope of f at many points.

    Raises
    ------
    ValueError
        if it is not such a function, returns NaN or infinity, or f' is not the derivative of f.
    """
    f = UserFunction(*function) if _is_pair(function) else get_activation(function)  # type: ignore
    if not f.elementwise:
        raise ValueError(f"{owner}: expected a function of one number, got {f!r}")
    return _compared(owner, f)


class UserFunction(Activation):
    """f and f', given as two functions of arrays."""

    name = "f"

    def __init__(self, f: Callable[[Array], Array], derivative: Callable[[Array], Array]) -> None:
        self.name = getattr(f, "__name__", "f")  # type: ignore[misc]
        self._f, self._derivative = f, derivative

    def f(self, z: Array) -> Array:
        return np.broadcast_to(self._f(z), z.shape)

    def slope(self, z: Array, y: Array) -> Array:
        return np.broadcast_to(self._derivative(z), z.shape)


def _is_pair(function: object) -> bool:
    return isinstance(function, tuple) and len(function) == 2 and all(map(callable, function))


def _compared(owner: str, f: Activation) -> Activation:
    away = np.array([all(abs(z - k) > 2 * STEP for k in f.kinks) for z in TEST_POINTS])
    z = TEST_POINTS[away]
    with np.errstate(all="ignore"):
        y, slope = f(z), f.derivative(z)
        for name, found in (("f", y), ("f'", slope)):
            wrong = ~np.isfinite(found)
            if wrong.any():
                place = np.flatnonzero(wrong)[0]
                raise ValueError(
                    f"{owner}: expected finite {name} of {f!r}, got {found[place]} at "
                    f"z = {z[place]:.4g}"
                )
        quotient = (f(z + STEP) - f(z - STEP)) / (2 * STEP)
    size = np.maximum(np.abs(slope), np.abs(quotient))
    off = np.abs(slope - quotient) > DIFFERENCE * size + ROUNDING * size.max()
    if off.any():
        place = np.flatnonzero(off)[0]
        raise ValueError(
            f"{owner}: expected f' of {f!r} to be the derivative of f, got {slope[place]:.6g} "
            f"at z = {z[place]:.4g}, where f has the slope {quotient[place]:.6g}"
        )
    return f
