"""Denormal numbers as zeros, as long as networks are trained.

The moments of a weight whose gradient is 0 decay, m ← β₁ m, down to the denormal numbers
(below 1.2e-38 in float32), and stay there: β₁ times the least of them, 1.4e-45, is rounded to
itself.  Intel's processors take many times longer for each of them (27 times for a product),
and a network with dead units or vanishing gradients is full of them.  Nothing that is learned
depends on them: ε in √v + ε is 1e-7 or 1e-8.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from minidl.fast.pool import on_each_thread

Environment = ctypes.c_uint32 * 8  # glibc's fenv_t on x86-64; the last entry is MXCSR
MXCSR = 7
DEFAULT = 0x1F80  # of MXCSR, the flags of what has happened apart
FLAGS = 0x003F
FLUSH = 0x8040  # results that are denormal become 0 (FTZ), and operands are taken as 0 (DAZ)


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """A context in which this thread, and the pool's threads for it, take denormals as zeros.

    Where the processor's mode cannot be set (by glibc on x86-64) nothing changes.
    """
    libm = _libm()
    if libm is None:
        yield
        return
    before = Environment()
    libm.fegetenv(ctypes.byref(before))
    within = Environment(*before)
    within[MXCSR] |= FLUSH
    on_each_thread(libm.fesetenv, ctypes.byref(within))
    try:
        yield
    finally:
        on_each_thread(libm.fesetenv, ctypes.byref(before))


@cache
def _libm() -> Any:
    """The library that sets the mode of a thread; None where it is not known how."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    try:
        libm = ctypes.CDLL("libm.so.6")
    except OSError:
        return None
    found = Environment()
    libm.fegetenv(ctypes.byref(found))
    return libm if found[MXCSR] & ~(FLAGS | FLUSH) == DEFAULT else None
