"""A small window that slides over images, shared by convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.backend import Array, checks, namespace
from minidl.layers._base import Layer
from minidl.layers._images import batch_last

Pair = tuple[int, int]


class Windows:
    """A window that slides in steps of ``stride`` over images with a border of ``padding``.

    It has ⌊(height + 2 padding − size) / stride⌋ + 1 places from top to
    bottom, and likewise from left to right; rows and columns that are left over are
    ignored.  ``size``, ``stride``, ``padding``: one number, or one per axis.
    """

    def __init__(
        self, layer: str, size: int | Pair, stride: int | Pair, padding: int | Pair
    ) -> None:
        self.size = _pair(layer, "the size of its windows", size, 1)
        self.stride = _pair(layer, "stride", stride, 1)
        self.padding = _pair(layer, "padding", padding, 0)

    def places_in(self, layer: Layer, height: int, width: int) -> Pair:
        """How many places the window has in padded images of that size."""
        around = [n + 2 * p for n, p in zip((height, width), self.padding, strict=True)]
        if any(n < size for n, size in zip(around, self.size, strict=True)):
            raise ValueError(
                f"{layer!r}: expected images of at least {by(self.size)} with their padding, "
                f"got {height}x{width}; use a smaller window, or padding"
            )
        return self.places(*around)

    def places(self, height: int, width: int) -> Pair:
        """The same in images of that size, padding included."""
        down, across = (
            (n - size) // stride + 1
            for n, size, stride in zip((height, width), self.size, self.stride, strict=True)
        )
        return down, across

    def frame(self, x: Array, border: float = 0.0) -> Array:
        """``x`` ``(N, C, height, width)`` with the batch last and ``border`` around it.

        Shape (C, height + 2 padding, width + 2 padding, N); a view of ``x``
        if it already has that layout.
        """
        x = batch_last(x)
        if not any(self.padding) and x.flags.c_contiguous:
            return x
        frame = self._frame(x, border)
        self.inside(frame)[...] = x
        return frame

    def zero_frame(self, x: Array) -> Array:
        """Zeros of the shape of ``frame``, in which to add up the gradients of all windows."""
        return self._frame(batch_last(x), 0.0)

    def _frame(self, x: Array, border: float) -> Array:
        C, height, width, N = x.shape
        shape = (C, height + 2 * self.padding[0], width + 2 * self.padding[1], N)
        return namespace(x).full(shape, border, x.dtype)

    def inside(self, frame: Array) -> Array:
        """The part of a frame within its border."""
        p, q = self.padding
        return frame[:, p : frame.shape[1] - p, q : frame.shape[2] - q]

    def columns(self, frame: Array) -> Iterator[Array]:
        """For each column j of the window, what lies under it at all places in a row.

        Shape (C, height + 2 padding, across, N).
        """
        (_, step), (_, across) = self.stride, self.places(*frame.shape[1:3])
        for j in range(self.size[1]):
            yield frame[:, :, j : j + step * across : step]

    def views(self, frame: Array) -> Iterator[Array]:
        """For each pixel (i, j) of the window, what lies under it at all places, row by row.

        Shape (C, down, across, N).
        """
        (step, _), (down, _) = self.stride, self.places(*frame.shape[1:3])
        for i in range(self.size[0]):
            for column in self.columns(frame):
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
