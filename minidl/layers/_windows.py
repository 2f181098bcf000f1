"""A small window that slides over images, and how images lie in memory.

Layers take and return images as (N, C, height, width).  In memory the batch comes
last, (C, height, width, N): a window at any position then consists of contiguous runs
of at least N numbers, whatever its stride, and NumPy is fast on those.
Either form is a view of the other.  Images in another layout are copied once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl.backend import Array, checks
from minidl.layers._base import Layer

Pair = tuple[int, int]


def batch_last(images: Array) -> Array:
    """(N, C, height, width) seen as (C, height, width, N)."""
    return images.transpose(1, 2, 3, 0)


def batch_first(images: Array) -> Array:
    """(C, height, width, N) seen as (N, C, height, width)."""
    return images.transpose(3, 0, 1, 2)


def expect_images(layer: Layer, shape: tuple[int, ...], channels: int | None = None) -> None:
    """Raise ``ValueError`` unless ``shape`` is (C, height, width); C is ``channels``, if given."""
    if len(shape) == 3 and channels in (None, shape[0]):
        return
    if len(shape) != 3:
        hint = "put no Flatten before it, and reshape vectors to (N, channels, height, width)"
    elif shape[2] == channels:
        hint = "the channels come first: images.transpose(0, 3, 1, 2)"
    else:
        hint = "is channels_in that of the layer before?"
    raise layer.misfit(f"(N, {channels or 'C'}, height, width)", shape, hint)


class Windows:
    """A window that slides in steps of ``stride`` over images with a border of ``padding``.

    It has ⌊(height + 2 padding − size) / stride⌋ + 1 positions from top to
    bottom, and likewise from left to right; rows and columns that are left over are
    ignored.  ``size``, ``stride``, ``padding``: one number, or one per axis.
    """

    def __init__(
        self, layer: str, size: int | Pair, stride: int | Pair, padding: int | Pair
    ) -> None:
        self.size = _pair(layer, "the size of its windows", size, 1)
        self.stride = _pair(layer, "stride", stride, 1)
        self.padding = _pair(layer, "padding", padding, 0)

    def positions_in(self, layer: Layer, height: int, width: int) -> Pair:
        """How many positions the window has in images of that size, once they are padded."""
        around = [n + 2 * p for n, p in zip((height, width), self.padding, strict=True)]
        if any(n < size for n, size in zip(around, self.size, strict=True)):
            raise ValueError(
                f"{layer!r}: expected images of at least {by(self.size)} with their padding, "
                f"got {height}x{width}; use a smaller window, or padding"
            )
        return self.positions(*around)

    def positions(self, height: int, width: int) -> Pair:
        """The same in images of that size, padding included."""
        down, across = (
            (n - size) // stride + 1
            for n, size, stride in zip((height, width), self.size, self.stride, strict=True)
        )
        return down, across

    def padded(self, x: Array, border: float = 0.0) -> Array:
        """``x`` ``(N, C, height, width)`` with the batch last and ``border`` around it.

        Shape (C, height + 2 padding, width + 2 padding, N); a view of ``x``
        if it already has that layout.
        """
        x = batch_last(x)
        if not any(self.padding) and x.flags.c_contiguous:
            return x
        padded = self._filled(x, border)
        self.unpadded(padded)[...] = x
        return padded

    def padded_zeros(self, x: Array) -> Array:
        """Zeros of the shape of ``padded``, in which to add up the gradients of all windows."""
        return self._filled(batch_last(x), 0.0)

    def _filled(self, x: Array, border: float) -> Array:
        C, height, width, N = x.shape
        shape = (C, height + 2 * self.padding[0], width + 2 * self.padding[1], N)
        return np.full_like(x, border, shape=shape, order="C")

    def unpadded(self, padded: Array) -> Array:
        """The part of padded images within their border."""
        p, q = self.padding
        return padded[:, p : padded.shape[1] - p, q : padded.shape[2] - q]

    def columns(self, padded: Array) -> Iterator[Array]:
        """For each column j of the window, what lies under it at all positions in a row.

        Shape (C, height + 2 padding, across, N).
        """
        (_, step), (_, across) = self.stride, self.positions(*padded.shape[1:3])
        for j in range(self.size[1]):
            yield padded[:, :, j : j + step * across : step]

    def window_views(self, padded: Array) -> Iterator[Array]:
        """For each pixel (i, j) of the window, what lies under it at all positions, row by row.

        Shape (C, down, across, N).
        """
        (step, _), (down, _) = self.stride, self.positions(*padded.shape[1:3])
        for i in range(self.size[0]):
            for column in self.columns(padded):
                yield column[:, i : i + step * down : step]

    def describe(self, usual_stride: Pair) -> str:
        """3x3, plus stride and padding unless they are the usual ones."""
        stride = "" if self.stride == usual_stride else f", stride {_short(self.stride)}"
        padding = "" if self.padding == (0, 0) else f", padding {_short(self.padding)}"
        return by(self.size) + stride + padding


def by(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"


def _short(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else by(pair)


def _pair(layer: str, name: str, value: Any, least: int) -> Pair:
    rows, columns = value if isinstance(value, tuple | list) and len(value) == 2 else (value, value)
    name += ", one number or (rows, columns),"
    return checks.integer(layer, name, rows, least), checks.integer(layer, name, columns, least)
