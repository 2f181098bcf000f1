"""Softmax cross-entropy in one pass over the logits."""

# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821  # exp and total are named by softmax_cross_entropy

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.fast import pool
from minidl.fast.compiler import compiled
from minidl.kernel import chunks


def softmax_cross_entropy(is_long: bool) -> Any:
    """:func:`minidl.losses.softmax_cross_entropy`, compiled; the threads share many logits."""
    from minidl.fast.exponential import exp
    from minidl.fast.native import total

    names = {"exp": exp, "total": total}
    alone = compiled(_one_pass, **names)
    if not is_long:
        return alone
    shared = compiled(_one_pass, True, **names)
    return lambda z, t: (shared if pool.threads() > 1 else alone)(z, t)


def _one_pass(z, t):
    losses, dz = np.empty(len(z), z.dtype), np.empty_like(z)
    one = z.dtype.type(1)
    for n in chunks(len(z)):
        row, e, target = z[n], dz[n], t[n]
        m = row[0]
        for j in range(len(row)):
            m = max(m, row[j])
        for j in range(len(row)):
            e[j] = exp(row[j] - m)
        e_t = e[target]
        e[target] = 0
        others = total(e)  # Σ_{i≠t} e_i
        of_all = others + e_t
        for j in range(len(row)):
            e[j] /= of_all  # p_i
        e[target] = -others / of_all  # p_t − 1
        losses[n] = np.log1p(others - (one - e_t)) - (row[target] - m)
    return losses, dz
