"""Numbers in examples that are NaN or infinite, and scales that differ."""

from __future__ import annotations

import math

import numpy as np

from minidl.backend import Array, namespace, to_numpy
from minidl.data.examples import Examples

AT_ONCE = 1 << 20  # numbers to check at a time


def first_nonfinite(examples: Examples, rows: np.ndarray, dtype: np.dtype) -> str | None:
    """``"inputs[17, 0, 3] is nan"``: what is not finite in the given rows; None if nothing is.

    A number too large for ``dtype`` is not finite either.  Inputs are checked before
    targets; all rows are read, a few at a time.
    """
    for name, array in (("inputs", examples.inputs), ("targets", examples.targets)):
        if array.dtype.kind == "f":
            found = _first_nonfinite(array, rows, dtype)
            if found is not None:
                index, value = found
                beyond = f", which {dtype} cannot hold" if math.isfinite(value) else ""
                return f"{name}[{', '.join(map(str, index))}] is {value}{beyond}"
    return None


def _first_nonfinite(
    array: Array, rows: np.ndarray, dtype: np.dtype
) -> tuple[list[int], float] | None:
    """Index and value of the first number in these rows that is not finite as ``dtype``."""
    at_once = AT_ONCE // max(1, math.prod(array.shape[1:])) + 1
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        piece = to_numpy(array[namespace(array).asarray(some)])
        with np.errstate(over="ignore"):
            bad = np.argwhere(~np.isfinite(piece.astype(dtype)))
        if len(bad):
            row, *place = bad[0].tolist()
            return [int(some[row]), *place], float(piece[tuple(bad[0])])
    return None


def expect_same_scale(these: Examples, other: Examples) -> None:
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


def _range(examples: Examples, least: float, most: float) -> tuple[float, float]:
    """What these numbers become in a batch, in the channels that go furthest."""
    ends = np.array([least, most], float)[:, None] / examples.divisor
    if examples.mean is not None and examples.std is not None:
        ends = (ends - examples.mean) / examples.std
    return float(ends.min()), float(ends.max())
