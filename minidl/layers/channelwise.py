"""What layers with parameters for each channel share."""

from __future__ import annotations

from minidl import checks
from minidl.backend import Array, namespace
from minidl.layers.base import Layer


class Channelwise(Layer):
    """Base of layers that do the same to all values of a channel.

    The channels are axis 1: the units of (N, C), the feature maps of (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        self.channels = checks.whole(type(self).__name__, "channels", channels)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        self._expect_shape(("N", *input_shape))
        return input_shape

    def _expect_shape(self, shape: tuple[int | str, ...]) -> None:
        if len(shape) >= 2 and shape[1] == self.channels:
            return
        got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(
            f"{self!r}: expected input (N, {self.channels}) or (N, {self.channels}, H, W), "
            f"got ({got}); does the layer before give {self.channels} units or channels?"
        )

    def _spread(self, p: Array, like: Array) -> Array:
        """``p`` ``(C,)`` as ``(C, 1, 1)``, to be combined with every position of ``like``."""
        return p.reshape(-1, *(1,) * (like.ndim - 2))

    def _sum(self, v: Array, out: Array) -> Array:
        """Σ over everything but the channels, in ``out`` ``(C,)``."""
        return namespace(v).sum(v, axis=(0, *range(2, v.ndim)), out=out)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels})"
