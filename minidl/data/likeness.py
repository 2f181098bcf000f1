"""Whether the numbers of examples mean the same: their scale, their channels, their shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.backend import checks, hints


def expect_joinable(one: Any, other: Any) -> None:
    """Raise ``ValueError`` unless the examples have the same types, shapes and scaling."""
    ours, theirs = ((e.inputs.dtype, e.input_shape, e.divisor, e.mean, e.std) for e in (one, other))
    if ours != theirs:
        raise ValueError(
            "Examples.joined: expected examples of the same type, shape and scaling, "
            f"got {ours} and {theirs}"
        )
    a, b = ((e.targets.dtype.kind, e.targets.shape[1:]) for e in (one, other))
    if a != b:
        raise ValueError(
            "Examples.joined: expected targets of the same kind and shape, got "
            f"{one.targets.dtype} {one.targets.shape} and "
            f"{other.targets.dtype} {other.targets.shape}"
        )


def expect_channels(examples: Any) -> None:
    """Raise ``ValueError`` unless mean and std are those of the channels."""
    channels = examples.inputs.shape[1] if examples.inputs.ndim == 4 else 0
    mean, std = examples.mean or (), examples.std or ()
    if not len(mean) == len(std) == channels:
        shape = (len(mean), *examples.inputs.shape[1:3])  # if the channels came last
        raise ValueError(
            "Examples: expected images (N, C, H, W) and a mean and a std for each of the C "
            f"channels, got inputs {examples.inputs.shape}, mean {examples.mean}, "
            f"std {examples.std}" + hints.shape_hint("inputs", examples.inputs.shape, shape)
        )
    if not all(map(math.isfinite, mean)) or not all(0 < s < math.inf for s in std):
        raise ValueError(
            f"Examples: expected finite means and stds above 0, got mean {mean}, std {std}"
        )


def numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    given = np.asarray(values)
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        raise ValueError(
            f"Examples: expected {name} to be one number per channel, got {checks.describe(values)}"
        )
    return tuple(map(float, values))


def expect_same_scale(these: Any, other: Any) -> None:
    """Raise ``ValueError`` if one has bytes, which are scaled, and the other has other numbers.

    Bytes need the same divisor, mean and std; floats beside bytes may leave the range of
    scaled bytes by its width, on either side.
    """
    kinds = these.inputs.dtype.kind, other.inputs.dtype.kind
    ours, theirs = ((e.divisor, e.mean, e.std) for e in (these, other))
    if kinds == ("u", "u") and ours != theirs:
        raise ValueError(
            f"Examples: expected bytes with divisor, mean and std {theirs}, like those beside "
            f"them, got {ours}"
        )
    if set(kinds) == {"u", "f"}:
        of_bytes, floats = (these, other) if kinds[0] == "u" else (other, these)
        darkest, brightest = _range(of_bytes, 0, 255)
        least, most = _range(floats, floats.inputs.min(), floats.inputs.max())
        width = brightest - darkest
        if least < darkest - width or most > brightest + width:
            raise ValueError(
                "Examples: expected floats on the scale of the bytes beside them, which are "
                f"{darkest:g} to {brightest:g} in a batch, got {least:g} to {most:g}; pass "
                "bytes, or floats, both to train on and to validate"
            )


def _range(examples: Any, least: float, most: float) -> tuple[float, float]:
    """What these numbers become in a batch, in the channels that go furthest."""
    ends = np.array([least, most], float)[:, None] / examples.divisor
    if examples.mean is not None and examples.std is not None:
        ends = (ends - examples.mean) / examples.std
    return float(ends.min()), float(ends.max())
