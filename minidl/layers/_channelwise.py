"""What layers with parameters for each channel share."""

from __future__ import annotations

from collections.abc import Iterator

from minidl.backend import Array, checks, namespace, piece
from minidl.layers._base import Layer


class Channelwise(Layer):
    """Base of layers that do the same to all values of a channel.

    The channels are axis 1: the units of (N, C), the feature maps of (N, C, H, W).  The
    formulas see them as rows, (C, m) with the m values of each, a few channels at a time.
    """

    def __init__(self, channels: int) -> None:
        self.channels = checks.whole(type(self).__name__, "channels", channels)

    def expect_shape(self, shape: tuple[int | str, ...]) -> None:
        if len(shape) >= 2 and shape[1] == self.channels:
            return
        got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(
            f"{self!r}: expected input (N, {self.channels}) or (N, {self.channels}, H, W), "
            f"got ({got}); does the layer before give {self.channels} units or channels?"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels})"


def rows(x: Array) -> Array:
    """(N, C, …) as (C, m), a row for each channel: a view unless the images lie batch first."""
    if x.ndim == 2:
        return x.T
    return x.transpose(1, *range(2, x.ndim), 0).reshape(x.shape[1], -1)


def empty_like(x: Array) -> tuple[Array, Array]:
    """An array of the shape of ``x``, whatever is in it, and the same one as rows."""
    N, C, *places = x.shape
    made = namespace(x).empty((C, *places, N) if places else x.shape, x.dtype)
    array = made.transpose(-1, *range(len(places) + 1)) if places else made
    return array, rows(array)


def blocks(x: Array) -> Iterator[slice]:
    """The channels of rows (C, m), as many at a time as fit the cache."""
    C, m = x.shape
    step = max(1, piece(x) // m)
    for start in range(0, C, step):
        yield slice(start, start + step)


def dots(a: Array, b: Array) -> Array:
    """Σ a ∘ b of each channel, in one pass: (c, 1) for two arrays (c, m)."""
    return (a[:, None, :] @ b[:, :, None])[:, 0]
