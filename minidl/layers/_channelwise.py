"""What layers with parameters per channel share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidl.backend import IN_CACHE, Array, checks, namespace
from minidl.backend.arrays import BLOCK
from minidl.layers._base import Layer


class Channelwise(Layer):
    """Base of layers that treat all values of a channel in the same way.

    The channels are axis 1: the units of (N, C), the feature maps of (N, C, H, W).  The
    formulas see them as rows (C, m), m values per channel, a few channels at a time.
    """

    def __init__(self, channels: int) -> None:
        self.channels = checks.integer(type(self).__name__, "channels", channels)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        C = self.channels
        if len(input_shape) not in (1, 3) or input_shape[0] != C:  # of (T, D), axis 0 are tokens
            hint = f"does the layer before give {C} units or channels?"
            raise self.misfit(f"(N, {C}) or (N, {C}, H, W)", input_shape, hint)
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, …)
        self.y, y = empty_with_rows(x)
        self.forward_rows(channel_rows(x), y, training)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dx, dx_rows = empty_with_rows(dy) if input_gradient else (None, None)
        self.backward_rows(channel_rows(dy), dx_rows)
        return dx

    def forward_rows(self, x: Array, y: Array, training: bool) -> None:
        """Write the output into ``y``; both are (C, m)."""
        raise NotImplementedError

    def backward_rows(self, dy: Array, dx: Array | None) -> None:
        """Write the gradients of the parameters, and that of the input into ``dx``, if wanted."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels})"


def channel_rows(x: Array) -> Array:
    """(N, C, …) as (C, m), one row per channel: a view unless images are stored batch first."""
    if x.ndim == 2:
        return x.T
    return x.transpose(1, *range(2, x.ndim), 0).reshape(x.shape[1], -1)


def empty_with_rows(x: Array) -> tuple[Array, Array]:
    """An uninitialized array of the shape of ``x``, and a view of it as rows (C, m)."""
    N, C, *image = x.shape
    made = namespace(x).empty((C, *image, N) if image else x.shape, x.dtype)
    array = made.transpose(-1, *range(len(image) + 1)) if image else made
    return array, channel_rows(array)


def channel_blocks(x: Array) -> Iterator[slice]:
    """The channels of rows (C, m), as many at a time as fit in the cache."""
    C, m = x.shape
    step = max(1, (IN_CACHE if namespace(x) is np else x.size) // m)
    for start in range(0, C, step):
        yield slice(start, start + step)


def columns(*vectors: Array) -> list[Array]:
    """Each (C,) as (C, 1), to go with rows (C, m)."""
    return [a[:, None] for a in vectors]


def total(a: Array) -> Array:
    """Σ a of each channel: (c,) for (c, m)."""
    return a.sum(axis=1)


def dot(a: Array, b: Array) -> Array:
    """Σ a ∘ b of each channel, in one pass: (c,) for two arrays (c, m).

    BLAS adds up in few accumulators, so it gets blocks; NumPy's ``sum`` goes pairwise by itself.
    """
    c, m = a.shape
    n = m // BLOCK if namespace(a) is np else 0
    if n == 0:
        return _dot(a, b)
    whole = (x[:, : n * BLOCK].reshape(c, n, BLOCK) for x in (a, b))
    rest = (x[:, n * BLOCK :] for x in (a, b))
    return _dot(*whole).sum(axis=1) + _dot(*rest)


def _dot(a: Array, b: Array) -> Array:
    """Σ a ∘ b along the last axis."""
    return (a[..., None, :] @ b[..., :, None])[..., 0, 0]
