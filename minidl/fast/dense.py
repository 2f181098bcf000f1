"""Dense for long arrays: bias and activation in one pass, the chain rule and db in another."""

# mypy: disable-error-code="no-untyped-def, name-defined, attr-defined, operator"
# ruff: noqa: F821  # formula is named by forward and backward

from __future__ import annotations

import numpy as np

from minidl.activations import Linear
from minidl.backend import Array
from minidl.backend.arrays import in_sentences, rows
from minidl.fast import mkl, pool
from minidl.fast.activations import formulas
from minidl.fast.compiler import compiled
from minidl.kernel import chunks
from minidl.layers import Dense


def forward(dense: Dense, x: Array, training: bool = False) -> Array:
    """:meth:`Dense.forward`."""
    f, is_linear = formulas(dense.f, x.dtype), type(dense.f) is Linear
    if f is None and not is_linear:
        return Dense.forward.__wrapped__(dense, x, training)
    dense.x = x
    z = _product(rows(x), dense.W)
    y = z if is_linear else np.empty_like(z)
    if is_linear:
        compiled(_add_bias, pool.shares(z.size))(z, dense.b)
    else:
        compiled(_bias_and_f, pool.shares(z.size), formula=f[0])(z, dense.b, y)
    dense.z, dense.y = in_sentences(z, x), in_sentences(y, x)
    return dense.y


def backward(dense: Dense, dy: Array, input_gradient: bool = True) -> Array | None:
    """:meth:`Dense.backward`."""
    f, is_linear = formulas(dense.f, dy.dtype), type(dense.f) is Linear
    if not (is_linear or (f is not None and dy.flags.c_contiguous)):
        return Dense.backward.__wrapped__(dense, dy, input_gradient)
    dy = rows(dy)
    if is_linear:
        dz = dy
        dz.sum(axis=0, out=dense.db)
    else:
        dz, parallel = np.empty_like(dy), pool.shares(dy.size)
        sums = np.zeros((pool.threads() if parallel else 1, dense.n_out), dy.dtype)
        run = compiled(_chain_and_sum, parallel, formula=f[1])
        run(dy, rows(dense.z), rows(dense.y), dz, sums)
        sums.sum(axis=0, out=dense.db)
    dense.dz = in_sentences(dz, dense.x)
    _product(rows(dense.x).T, dz, dense.dW)
    return in_sentences(_product(dz, dense.W.T), dense.x) if input_gradient else None


def _product(a: Array, b: Array, out: Array | None = None) -> Array:
    if pool.is_open() and mkl.library() is not None:
        return mkl.product(a, b, out)
    return np.dot(a, b, out=out)


def _add_bias(z, b):
    for n in chunks(len(z)):
        row = z[n]
        for j in range(len(row)):
            row[j] += b[j]


def _bias_and_f(z, b, y):
    for n in chunks(len(z)):
        row, of_row = z[n], y[n]
        for j in range(len(row)):
            row[j] += b[j]
            of_row[j] = formula(row[j])


def _chain_and_sum(dy, z, y, dz, sums):
    N, T = len(z), len(sums)
    for t in chunks(T):  # each thread sums over its rows
        db = sums[t]
        for n in range(N * t // T, N * (t + 1) // T):
            dy_n, z_n, y_n, dz_n = dy[n], z[n], y[n], dz[n]
            for j in range(len(db)):
                d = dy_n[j] * formula(z_n[j], y_n[j])
                dz_n[j] = d
                db[j] += d
