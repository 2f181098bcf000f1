"""Softmax cross-entropy in one pass over the logits, in float32."""

# mypy: disable-error-code="no-untyped-def, name-defined"

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minidl.backend import Array
from minidl.fast import pool
from minidl.fast.compiler import compiled, numba
from minidl.kernel import chunks
from minidl.losses import SoftmaxCrossEntropy


def per_example(loss: SoftmaxCrossEntropy, z: Array, t: Array) -> tuple[Array, Array]:
    """:meth:`SoftmaxCrossEntropy.per_example`."""
    if z.dtype != np.float32 or not z.flags.c_contiguous:
        return SoftmaxCrossEntropy.per_example.__wrapped__(loss, z, t)  # type: ignore[attr-defined]
    losses, dz = np.empty(len(z), z.dtype), np.empty_like(z)
    _compiled(pool.shares(z.size))(z, t, losses, dz)
    return losses, dz


@cache
def _compiled(parallel: bool) -> Any:
    from minidl.fast.exponential import exp
    from minidl.fast.native import total

    loop = numba().prange if parallel else range
    return compiled(_rows, parallel, chunks=loop, exp=exp, total=total)


def _rows(z, t, losses, dz):
    one = z.dtype.type(1)
    for n in chunks(len(z)):
        row, e, target = z[n], dz[n], t[n]
        m = row[0]
        for j in range(len(row)):
            m = max(m, row[j])
        for j in range(len(row)):
            e[j] = exp(row[j] - m)  # noqa: F821  # named by _compiled
        e_t = e[target]
        e[target] = 0
        others = total(e)  # noqa: F821  # Σ_{i≠t} e_i
        of_all = others + e_t
        for j in range(len(row)):
            e[j] /= of_all  # p_i
        e[target] = -others / of_all  # p_t − 1
        losses[n] = np.log1p(others - (one - e_t)) - (row[target] - m)
