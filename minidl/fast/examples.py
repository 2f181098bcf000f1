"""Bytes to numbers while their rows are collected."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from minidl.backend import Array
from minidl.data import examples
from minidl.fast import pool
from minidl.fast.compiler import compiled
from minidl.kernel import chunks


def take_numbers(inputs: Array, rows: Array, divisor: float, dtype: np.dtype) -> Array:
    """:func:`minidl.data.examples.take_numbers`."""
    if inputs.dtype != np.uint8 or not inputs.flags.c_contiguous:
        return examples.take_numbers.__wrapped__(inputs, rows, divisor, dtype)  # type: ignore[attr-defined]
    x = np.empty((len(rows), *inputs.shape[1:]), dtype)
    flat = inputs.reshape(len(inputs), -1), x.reshape(len(rows), -1)
    compiled(_take, pool.shares(x.size))(flat[0], rows, x.dtype.type(divisor), flat[1])
    return x


def _take(inputs, rows, divisor, x):
    for n in chunks(len(rows)):
        row, numbers = inputs[rows[n]], x[n]
        for j in range(len(row)):
            numbers[j] = numbers.dtype.type(row[j]) / divisor
