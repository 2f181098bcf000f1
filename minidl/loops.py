"""Fused loops: one source for each, whatever runs it.

Code that only passes over memory, entry by entry, is written once, as a loop::

    @loop
    def momentum(theta, g, v, eta, mu):
        for i in pieces(theta.size):
            v[i] = mu * v[i] + g[i]
            theta[i] -= eta * v[i]

With NumPy alone, ``pieces`` yields slices that fit in the cache: the lines are array expressions,
and a piece stays in the cache while they pass over it.  If Numba is installed
(``pip install 'minidl[fast]'``), ``pieces`` is ``range``, and the same lines are compiled to one
pass over memory, without the GIL; within :func:`minidl.backend.pool.one_pool` it is ``prange``,
and the pool's threads share the pass.  On a GPU, the kernel of that name in :mod:`minidl.gpu`
runs.  All do the same operations on each entry in the same order, so NumPy and Numba give the
same bits.

Numba's own variable ``NUMBA_DISABLE_JIT=1`` restricts minidl to NumPy.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

import numpy as np

from minidl.backend import Array, fused, piece, pool
from minidl.backend.compiler import compiled, numba

PIECE = 64 * 1024  # entries of a vector at a time


def pieces(size: int) -> Iterator[slice]:
    """Slices that cover ``0 … size``; for the compiler it is ``range``."""
    for start in range(0, size, PIECE):
        yield slice(start, min(start + PIECE, size))


def loop(text: Callable[..., None]) -> Callable[..., None]:
    """``text`` as a function of 1-D arrays of the same length and type, and of numbers.

    Every array may be used only at ``i``, in ``for i in pieces(…)`` over that length.
    """

    @wraps(text)
    def run(*arguments: Any) -> None:
        if numba() is None:
            _in_numpy(text)(*arguments)
        else:
            number = arguments[0].dtype.type  # with Python's floats, Numba would compute in float64
            numbers = [a if isinstance(a, np.ndarray) else number(a) for a in arguments]
            _compiled(text, pool.shares(arguments[0].size))(*numbers)

    everywhere: Any = fused(run)
    everywhere.__wrapped__ = text
    return everywhere


def engine() -> str:
    """What runs the loops in this process: ``"numpy"``, or ``"numba"`` with its version."""
    return "numpy" if numba() is None else f"numba {numba().__version__}"


@cache
def _compiled(text: Callable[..., None], parallel: bool) -> Callable[..., None]:
    # range or prange itself, among the globals: behind a function of its own, i might be negative
    # to the compiler, which then does not vectorise.
    return compiled(text, parallel, pieces=numba().prange if parallel else range)


@cache
def _in_numpy(text: Callable[..., None]) -> Callable[..., None]:
    """``text`` with ``x[i] = a * x[i] + b`` as ``x[i] *= a`` and ``x[i] += b``.

    The results are the same, but two arrays of a piece's size are not allocated.  A function
    without a source file, or inside another function, is used as it is.
    """
    try:
        tree = ast.parse(inspect.getsource(text))
    except (OSError, IndentationError):
        return text
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    names = dict(text.__globals__)
    exec(compile(_InPlace().visit(tree), text.__code__.co_filename, "exec"), names)
    return names[text.__name__]


class _InPlace(ast.NodeTransformer):
    def visit_Assign(self, line: ast.Assign) -> Any:
        (x,) = line.targets
        match line.value:
            case ast.BinOp(ast.BinOp(a, ast.Mult(), same), ast.Add(), b) if _alike(same, x):
                steps = (ast.Mult(), a), (ast.Add(), b)
                lines = [ast.AugAssign(x, how, value) for how, value in steps]  # type: ignore[arg-type]
                return [ast.copy_location(one, line) for one in lines]
        return line


def _alike(a: ast.AST, b: ast.AST) -> bool:
    return ast.unparse(a) == ast.unparse(b)


def by_entry(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method, an element-wise formula that reads no attribute, for the compiler.

    This pays off for what a processor computes in one or two instructions; NumPy's e^z is faster
    than a compiled one.
    """
    formula.by_entry = True  # type: ignore[attr-defined]
    return formula


def in_pieces(
    formula: Callable[..., Array], *arrays: Array, slope: Callable[..., Array] | None = None
) -> Array:
    """``formula(*arrays)``, element-wise, with the first array's shape and type.

    Arrays too large for the cache are processed in pieces that fit, so that what the
    formula allocates stays in the cache.  A formula marked by :func:`by_entry` is compiled;
    so is the product of the first array and ``slope`` of the others, if ``slope`` is marked.
    """
    first = arrays[0]
    step = piece(first)
    with np.errstate(over="ignore", under="ignore"):
        if first.size > 2 * step and all(a.strides == first.strides for a in arrays):
            out = np.empty_like(first)
            row, *rows = map(_as_row, (out, *arrays))
            if rows[0] is not None:
                marked = getattr(slope or formula, "by_entry", False)
                if marked and numba() is not None:
                    text = {1: _of_one, 2: _of_two, 3: _product}[len(rows)]
                    entry = (slope or formula).__func__  # type: ignore[attr-defined]
                    _by_entry(text, entry, pool.shares(first.size))(row, *rows)
                    return out
                for start in range(0, first.size, step):
                    part = slice(start, start + step)
                    row[part] = formula(*[a[part] for a in rows])
                return out
        return formula(*arrays)


@cache
def _by_entry(text: Any, formula: Any, parallel: bool) -> Callable[..., None]:
    loop = numba().prange if parallel else range
    return compiled(text, parallel, pieces=loop, formula=formula)


def _of_one(out, a):  # type: ignore[no-untyped-def]
    for i in pieces(out.size):
        out[i] = formula(None, a[i])  # type: ignore[name-defined]  # noqa: F821  # by _by_entry


def _of_two(out, a, b):  # type: ignore[no-untyped-def]
    for i in pieces(out.size):
        out[i] = formula(None, a[i], b[i])  # type: ignore[name-defined]  # noqa: F821


def _product(out, dy, z, y):  # type: ignore[no-untyped-def]
    for i in pieces(out.size):
        out[i] = dy[i] * formula(None, z[i], y[i])  # type: ignore[name-defined]  # noqa: F821


def _as_row(array: np.ndarray) -> Any:
    """``array`` as one row in memory order, a view; None if it is not contiguous."""
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    laid_out = array.transpose(axes)
    return laid_out.reshape(-1) if laid_out.flags.c_contiguous else None
