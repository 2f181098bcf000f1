"""Adaptive piecewise linear units: a learned activation function."""

from __future__ import annotations

import math

import numpy as np
from numpy import maximum

from minidl.backend import Array, checks, namespace
from minidl.layers._channelwise import (
    Channelwise,
    by_channel,
    channels,
    columns,
    dot,
    empty_like,
    places,
    rows,
    total,
)


@by_channel
def apl(x, y, a, b):
    for c in channels(len(x)):
        for i in places(x.shape[1]):
            y[c, i] = maximum(x[c, i], 0)
        for s in range(len(a)):
            for i in places(x.shape[1]):
                y[c, i] += a[s, c] * maximum(b[s, c] - x[c, i], 0)


@by_channel
def apl_backward(dy, x, dx, h, a, b, da, db, input_gradient):
    for c in channels(len(x)):
        if input_gradient:
            for i in places(x.shape[1]):
                dx[c, i] = dy[c, i] * (x[c, i] > 0)
        for s in range(len(a)):
            for i in places(x.shape[1]):
                h[c, i] = maximum(b[s, c] - x[c, i], 0)
            da[s, c] = dot(dy[c], h[c])
            for i in places(x.shape[1]):
                h[c, i] = dy[c, i] * (x[c, i] < b[s, c])
            db[s, c] = a[s, c] * total(h[c])
            if input_gradient:
                for i in places(x.shape[1]):
                    dx[c, i] -= a[s, c] * h[c, i]


class APL(Channelwise):
    """y = max(0, x) + Σ_s a_s max(0, b_s − x), with a sum of S hinges per unit or channel.

    Backward, where [·] is 1 if true and 0 otherwise, and sums go over all axes but the channels::

        da_s = Σ dy ∘ max(0, b_s − x)                    (C,)
        db_s = a_s Σ dy ∘ [x < b_s]                      (C,)
        dx   = dy ∘ ([x > 0] − Σ_s a_s [x < b_s])

    The kinks are at 0 and at each b_s; the slope there is the one from the left
    at 0 and the one from the right at b_s.  Source: Agostinelli et al., Learning
    Activation Functions to Improve Deep Neural Networks, ICLR 2015 workshop,
    equation 1.  Initially, a is drawn from U(−1/√S, 1/√S) and b is 0, so that
    y = x on the right and −(Σ_s a_s) x on the left.

    Parameters
    ----------
    channels : units of the input (N, C), or channels of (N, C, H, W)
    hinges : S, the number of hinges
    """

    a: Array  # (S, C) slopes
    b: Array  # (S, C) places
    da: Array
    db: Array

    def __init__(self, channels: int, hinges: int) -> None:
        super().__init__(channels)
        self.hinges = checks.integer("APL", "hinges", hinges)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"a": (self.hinges, self.channels), "b": (self.hinges, self.channels)}

    def initialize(self, rng: np.random.Generator) -> None:
        limit = 1 / math.sqrt(self.hinges)
        self.a[...] = namespace(self.a).asarray(rng.uniform(-limit, limit, self.a.shape))
        self.b[...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, …)
        self.y, y = empty_like(x)
        apl(rows(x), y, *columns(self.a, self.b))
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dx, dx_rows = empty_like(dy)
        h = namespace(dy).empty(dx_rows.shape, dy.dtype)  # (C, m) of one hinge at a time
        hinges = columns(self.a, self.b, self.da, self.db)
        apl_backward(rows(dy), rows(self.x), dx_rows, h, *hinges, input_gradient)
        return dx if input_gradient else None

    def __repr__(self) -> str:
        return f"APL({self.channels}, hinges={self.hinges})"
