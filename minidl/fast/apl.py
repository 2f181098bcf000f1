"""Adaptive piecewise linear units, compiled: a channel stays in the cache for all its hinges."""

# mypy: disable-error-code="no-untyped-def, name-defined, attr-defined"
# ruff: noqa: F821  # channels, total and dot are named by over_channels

from __future__ import annotations

import numpy as np
from numpy import maximum

from minidl.backend import Array
from minidl.fast.channels import are_rows, over_channels
from minidl.layers._channelwise import channel_rows
from minidl.layers.apl import APL


def forward_rows(layer: APL, x: Array, y: Array, training: bool) -> None:
    """:meth:`APL.forward_rows`."""
    if are_rows(x, y):
        apl(x, y, layer.a, layer.b)
    else:
        APL.forward_rows.__wrapped__(layer, x, y, training)


def backward_rows(layer: APL, dy: Array, dx: Array | None) -> None:
    """:meth:`APL.backward_rows`."""
    x = channel_rows(layer.x)
    if are_rows(dy, dx, x):
        dx = dy[:, :0] if dx is None else dx
        apl_backward(dy, x, dx, layer.a, layer.b, layer.da, layer.db)
    else:
        APL.backward_rows.__wrapped__(layer, dy, dx)


@over_channels
def apl(x, y, a, b):
    for c in channels(len(x)):
        for i in range(x.shape[1]):
            y[c, i] = maximum(x[c, i], 0)
        for s in range(len(a)):
            for i in range(x.shape[1]):
                y[c, i] += a[s, c] * maximum(b[s, c] - x[c, i], 0)


@over_channels
def apl_backward(dy, x, dx, a, b, da, db):
    for c in channels(len(x)):
        h = np.empty_like(x[c])  # of one hinge at a time
        for i in range(dx.shape[1]):
            dx[c, i] = dy[c, i] * (x[c, i] > 0)
        for s in range(len(a)):
            for i in range(x.shape[1]):
                h[i] = maximum(b[s, c] - x[c, i], 0)
            da[s, c] = dot(dy[c], h)
            for i in range(x.shape[1]):
                h[i] = dy[c, i] * (x[c, i] < b[s, c])
            db[s, c] = a[s, c] * total(h)
            for i in range(dx.shape[1]):
                dx[c, i] -= a[s, c] * h[i]
