"""NumPy's and CuPy's arrays behind one name: where they live, and which module computes.

CuPy offers NumPy's interface, so every other file writes its mathematics once.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidl.backend.memory import memory_limit

# A NumPy or a CuPy array: one name serves for both.
Array: TypeAlias = NDArray[Any]

IN_CACHE = 32 * 1024  # entries of an array, where a formula has several of that size
BLOCK = 4096  # entries to sum at a time: a sum of many is off by the rounding of each addition


class DeviceError(RuntimeError):
    """A device that was requested by name is not available, or has too little memory."""


@dataclass(frozen=True)
class Device:
    """Where arrays live: this class is the CPU, :class:`minidl.backend.cuda.CudaDevice` a GPU."""

    name: str  # "cpu" or "cuda:0", "cuda:1", …
    reason: str  # why this one was chosen, in one clause
    is_cuda: ClassVar[bool] = False

    @property
    def xp(self) -> ModuleType:
        """The module that computes: ``numpy`` or ``cupy``."""
        return np

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """``array`` on this device, copied only if it is not there already."""
        return np.asarray(to_numpy(array), dtype=dtype)

    def synchronize(self) -> None:
        """Wait until everything launched on this device is done (a no-op on the CPU)."""

    def describe(self, precision: str | None = None) -> str:
        """``"cpu"``, or the name and memory of the GPU as well, and how it multiplies."""
        return self.name

    def require_memory(self, size: int, what: str) -> None:
        """Raise :class:`DeviceError` if ``size`` bytes for ``what`` cannot fit.

        On a GPU they must be free now; on the CPU they must not exceed what this
        process can have at all, since what is free there changes with every program.
        """
        limit = memory_limit()
        if limit is not None and size > limit:
            raise DeviceError(
                f"cpu: not enough memory: {what} needs {size / 1e6:,.0f} MB, {limit / 1e6:,.0f} MB "
                "is all this process can have; use a smaller batch size, or a smaller network"
            )

    def enough_memory(self) -> AbstractContextManager[None]:
        """A context in which running out of memory on a GPU is a :class:`DeviceError`."""
        return nullcontext()

    def __str__(self) -> str:
        return self.name


CPU = Device("cpu", "asked for")


def namespace(array: Any) -> ModuleType:
    """The module that computes with ``array``: ``numpy`` or ``cupy``."""
    if type(array) is not np.ndarray and type(array).__module__.partition(".")[0] == "cupy":
        return sys.modules["cupy"]
    return np


def special(array: Any) -> ModuleType:
    """SciPy's special functions for ``array``: ``scipy.special`` or CuPy's copy of it."""
    if namespace(array) is np:
        import scipy.special

        return scipy.special
    import cupyx.scipy.special

    return cupyx.scipy.special


def to_numpy(array: Any) -> np.ndarray:
    """``array`` in CPU memory (the array itself if it is there already)."""
    return array if namespace(array) is np else array.get()


def is_array(value: Any) -> bool:
    """Whether it is an array of NumPy or of CuPy."""
    return isinstance(value, np.ndarray) or namespace(value) is not np


def rows(x: Array) -> Array:
    """(N, n) unchanged, (N, T, n) as (N·T, n), one row per token: a view if possible."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def in_sentences(z: Array, x: Array) -> Array:
    """Rows (N·T, m) as (N, T, m) if ``x`` are sentences (N, T, n); else unchanged."""
    return z if x.ndim == 2 else z.reshape(*x.shape[:-1], z.shape[-1])


def features_axis(ndim: int) -> int:
    """1 for units (N, n) and images (N, C, H, W); 2 for sentences (N, T, n)."""
    return 2 if ndim == 3 else 1


def address(array: Array) -> int:
    """Where the first entry of ``array`` is in its device's memory."""
    interface: Any = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return interface["data"][0]
