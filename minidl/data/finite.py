"""Numbers in examples that are NaN or infinite."""

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
