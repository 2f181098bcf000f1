"""Twins of functions marked ``@kernel``, compiled by Numba, and one pool of threads for all.

This folder is optional: without Numba, or with its own variable ``NUMBA_DISABLE_JIT=1``, the
marked functions run as they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl._rule_text import parsed
from minidl.fast import activations, apl, batch_norm, conv, dense, examples, losses, mkl, pool
from minidl.fast.compiler import compiled, numba
from minidl.fast.pool import full_speed
from minidl.kernel import Function, is_rule, register

# By the qualified name of the marked function.  Those of element-wise functions are for long
# arrays: NumPy's are as fast on short ones.
TWINS: dict[str, Function] = {
    "APL.backward_rows": apl.backward_rows,
    "APL.forward_rows": apl.forward_rows,
    "BatchNorm.backward_rows": batch_norm.backward_rows,
    "BatchNorm.forward_rows": batch_norm.forward_rows,
    "BatchNorm.moments": batch_norm.moments,
    "patches": conv.patches,
}
# Compiled functions themselves, for short arrays or for long ones.
COMPILED: dict[str, Callable[[bool], Function]] = {
    "softmax_cross_entropy": losses.softmax_cross_entropy,
}
LONG: dict[str, Function] = {
    "Activation.__call__": activations.call,
    "Activation.backward": activations.backward,
    "Dense.forward": dense.forward,
    "take_numbers": examples.take_numbers,
    "Dense.backward": dense.backward,
}


def engine() -> str:
    """What runs marked functions: ``"numpy"``, or ``"numba"`` with its version, and MKL's."""
    if numba() is None:
        return "numpy"
    return f"numba {numba().__version__}" + ("" if mkl.library() is None else f", {mkl.version()}")


def find(text: Function, is_long: bool) -> Function | None:
    """The twin of a marked function: see :func:`minidl.kernel.register`."""
    if numba() is None:
        return None
    if is_rule(text):
        return _rule(text, is_long)
    name = text.__qualname__
    if name in COMPILED:
        return COMPILED[name](is_long)
    return TWINS.get(name) or (LONG.get(name) if is_long else None)


def _rule(text: Function, is_long: bool) -> Function | None:
    try:
        parsed(text)  # raises if another engine would compute something else
    except OSError:  # no source, so nobody knows
        return None

    def share(*arguments: Any) -> None:
        compiled(text, pool.threads() > 1)(*arguments)

    return share if is_long else compiled(text)


register("numpy", find, engine, full_speed)
