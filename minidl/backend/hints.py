"""What a refusal of an array adds: the code that makes of it what was expected."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Of the package that a class comes from.
_TO_ARRAY = {"torch": ".detach().cpu().numpy()", "pandas": ".to_numpy()"}


def way_to_array(name: str, value: Any) -> str:
    """How to make an array of ``value``."""
    first = value[0] if isinstance(value, list | tuple) and len(value) else None
    if _package(first) == "PIL":
        return (
            f" of images; numpy.stack({name}) makes an array of images of one size, and "
            ".transpose(0, 3, 1, 2) puts the channels of coloured ones first"
        )
    if _package(first) == "torch":
        return f" of tensors; torch.stack({name}){_TO_ARRAY['torch']} makes one"
    made = f"{name}{_TO_ARRAY[_package(value)]}" if _package(value) in _TO_ARRAY else None
    return f"; {made or f'numpy.asarray({name})'} makes one"


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def floats_hint(name: str, value: Any, dtype: str = "float32") -> str:
    """How to make floats of the array ``value``: bytes that are used as they are train badly."""
    as_it_is = f"{name}.astype({dtype!r})"
    if value.dtype.kind == "c":
        return f"its real part is {name}.real.astype({dtype!r}), its size abs({name})"
    if value.dtype.kind not in "iu" or name not in ("x", "inputs") or not value.size:
        return f"convert it with {as_it_is}"  # logits and gradients are no pixels
    unsigned = name if value.dtype != np.int8 else f"{name}.view('uint8')"
    brightest = 255 if value.itemsize == 1 or value.max() <= 255 else 65535
    scaled = f"({unsigned} / {brightest}).astype({dtype!r})"
    return f"convert pixels with {scaled}, other numbers with {as_it_is}"


def pixels(owner: object, name: str, value: Any) -> None:
    """Raise ``ValueError`` if bytes are only 0 and 1, of which a division by 255 leaves nothing."""
    if value.dtype == np.uint8 and value.size and value.max() == 1:
        floats = f"{name}.astype('float32')"
        raise ValueError(
            f"{owner}: expected bytes to be pixels from 0 to 255, which are divided by 255, got "
            f"only 0 and 1; pass {floats}, or, of almost black images, {floats} / 255"
        )


def shape_hint(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """How to make an array (N, …) of ``expected`` from one of shape ``got`` that seems to be it."""
    if got == expected:
        return f"; {name}[None] makes a batch of one"
    if (1, *got) == expected:
        return f"; {name}[None, None] makes a batch of one, with the axis of the channel"
    if expected[:1] == (1,) and len(got) == 2 < len(expected) and got[1] == math.prod(expected):
        return f"; {name}.reshape(-1, {', '.join(map(str, expected))}) makes images of rows"
    if expected[:1] == (1,) and got[1:] == expected[1:]:
        return f"; {name}[:, None] adds the axis of the channel"
    if len(expected) == 3 and got[1:] == (*expected[1:], expected[0]):
        return f"; the channels come first: {name}.transpose(0, 3, 1, 2)"
    if len(expected) == 1 and math.prod(got[1:]) == expected[0] and len(got) > 2:
        return f"; {name}.reshape(len({name}), -1) makes rows, and a Flatten layer does, too"
    return ""
