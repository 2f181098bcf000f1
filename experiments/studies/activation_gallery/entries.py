"""The functions of the gallery: each function of the engine as y = f(z) of one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minidl import ACTIVATIONS, APL, GLU, Layer, PReLU, SwiGLU
from minidl.activations import Activation, Softmax

Evaluated = tuple[np.ndarray, np.ndarray]  # f(z), f'(z)


@dataclass(frozen=True)
class Entry:
    """One function of the gallery."""

    name: str
    formula: str
    derivative_formula: str
    range: tuple[float, float]
    kinks: tuple[float, ...]
    max_slope: float
    note: str  # the example parameters, or what is shown of a function of several numbers
    at: Callable[[np.ndarray], Evaluated]
    is_of_one_number: bool = True

    def numeric_difference(self, h: float = 1e-6) -> float:
        """Largest |f'(z) − (f(z + h) − f(z − h)) / 2h| for z from −6 to 6, away from the kinks."""
        z = np.linspace(-6, 6, 1201)
        for kink in self.kinks:
            z = z[np.abs(z - kink) > 2 * h]
        numeric = (self.at(z + h)[0] - self.at(z - h)[0]) / (2 * h)
        return float(np.abs(self.at(z)[1] - numeric).max())


def gallery() -> list[Entry]:
    """Every function that the engine has: fixed, learned, gated."""
    fixed = [_softmax() if cls is Softmax else _fixed(cls()) for cls in ACTIVATIONS.values()]
    return [*fixed, *_learned(), *_gated()]


def _fixed(f: Activation) -> Entry:
    note = "" if repr(f) == f.name else repr(f)
    formulas = f.formula, f.derivative_formula
    return Entry(
        *(f.name, *formulas, f.range, f.kinks, f.max_slope, note),
        at=lambda z: (f(z), f.derivative(z)),
    )


def _softmax() -> Entry:
    f = Softmax()

    def at(z: np.ndarray) -> Evaluated:
        rows = np.stack([z, np.zeros_like(z), np.zeros_like(z)], axis=-1)
        return f(rows)[:, 0], f.derivative(rows)[:, 0, 0]

    note = "shown: y₁ of (z, 0, 0)"
    formulas = f.formula, f.derivative_formula
    return Entry(f.name, *formulas, f.range, (), f.max_slope, note, at, False)


def _learned() -> list[Entry]:
    prelu = PReLU(1).build(dtype="float64")  # α = 0.25, its initial value
    apl = APL(1, hinges=2).build(dtype="float64")
    apl.a[:, 0] = -0.5, 0.75
    apl.b[:, 0] = 1, -1
    infinite = (-math.inf, math.inf)
    return [
        Entry(
            "prelu",
            "max(0, z) + α min(0, z)",
            "1 for z > 0, else α",
            *(infinite, (0.0,), 1.0, "learned; shown: α = 0.25, its initial value"),
            at=lambda z: _through(prelu, z[:, None]),
        ),
        Entry(
            "apl",
            "max(0, z) + Σ_s a_s max(0, b_s − z)",
            "[z > 0] − Σ_s a_s [z < b_s]",
            *((-1.0, math.inf), (-1.0, 0.0, 1.0), 1.5),
            note="learned; shown: S = 2, a = (−0.5, 0.75), b = (1, −1)",
            at=lambda z: _through(apl, z[:, None]),
        ),
    ]


def _gated() -> list[Entry]:
    glu, swiglu = GLU().build(dtype="float64"), SwiGLU().build(dtype="float64")
    note = "gated, a function of two numbers; shown: a = b = z"
    return [
        Entry(
            "glu",
            "a σ(b)",
            "∂a: σ(b), ∂b: a σ'(b)",
            *((-math.inf, math.inf), (), math.inf, note),
            at=lambda z: _through(glu, np.stack([z, z], axis=1)),
            is_of_one_number=False,
        ),
        Entry(
            "swiglu",
            "Swish(a) b",
            "∂a: b Swish'(a), ∂b: Swish(a)",
            *((-math.inf, math.inf), (), math.inf, note),
            at=lambda z: _through(swiglu, np.stack([z, z], axis=1)),
            is_of_one_number=False,
        ),
    ]


def _through(layer: Layer, x: np.ndarray) -> Evaluated:
    """The layer's output for x (N, n), and the sum of its slopes with respect to the n numbers."""
    y = layer.forward(x)[:, 0].copy()
    dx = layer.backward(np.ones((len(x), 1)))
    assert dx is not None
    return y, dx.sum(axis=1)
