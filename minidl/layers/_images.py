"""The memory layout of images, between layers and inside them.

Layers take and return images as (N, C, height, width).  In memory the batch comes
last, (C, height, width, N): a window at any place then consists of contiguous runs
of at least N numbers, whatever its stride, and NumPy is fast on those.
Either form is a view of the other.  Images in another layout are copied once.
"""

from __future__ import annotations

from minidl.backend import Array
from minidl.layers._base import Layer


def batch_last(images: Array) -> Array:
    """(N, C, height, width) seen as (C, height, width, N)."""
    return images.transpose(1, 2, 3, 0)


def batch_first(images: Array) -> Array:
    """(C, height, width, N) seen as (N, C, height, width)."""
    return images.transpose(3, 0, 1, 2)


def places_as_images(z: Array, down: int, across: int) -> Array:
    """(C, places) as images (N, C, down, across), a view."""
    return batch_first(z.reshape(len(z), down, across, -1))


def expect_images(layer: Layer, shape: tuple[int | str, ...], channels: int | None = None) -> None:
    """Raise ``ValueError`` unless ``shape`` is that of images, with ``channels`` if given."""
    if len(shape) == 4 and channels in (None, shape[1]):
        return
    if len(shape) != 4:
        way_out = "put no Flatten before it, and reshape vectors to (N, channels, height, width)"
    elif shape[3] == channels:
        way_out = "the channels come first: images.transpose(0, 3, 1, 2)"
    else:
        way_out = "is channels_in that of the layer before?"
    got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    raise ValueError(
        f"{layer!r}: expected input (N, {channels or 'C'}, height, width), got ({got}); {way_out}"
    )
