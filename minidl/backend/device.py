"""Devices by name: the CPU, or a GPU through CuPy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from minidl.backend.arrays import Array, to_numpy
from minidl.backend.cuda import DeviceError, automatic, expect_gpu
from minidl.backend.memory import memory_limit
from minidl.backend.threads import processors


@dataclass(frozen=True)
class Device:
    """Where arrays live.  ``xp`` is the array module: ``numpy`` or ``cupy``."""

    name: str  # "cpu" or "cuda:0", "cuda:1", …
    reason: str  # why this one was chosen, in one clause

    @property
    def is_cuda(self) -> bool:
        return self.name != "cpu"

    @property
    def xp(self) -> ModuleType:
        if not self.is_cuda:
            return np
        import cupy

        # CuPy allocates on the current GPU of the calling thread.
        cupy.cuda.Device(int(self.name.partition(":")[2])).use()
        return cupy

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """``array`` on this device, copied only if it is not there already."""
        if not self.is_cuda:
            return np.asarray(to_numpy(array), dtype=dtype)
        return self.xp.asarray(array, dtype=dtype)

    @property
    def takes_any_length(self) -> bool:
        """Whether a batch may be shorter than the one before; a recorded step has one shape."""
        return not self.is_cuda

    def synchronize(self) -> None:
        """Wait until everything launched on this device is done (a no-op on the CPU)."""
        if self.is_cuda:
            self.xp.cuda.get_current_stream().synchronize()

    def describe(self, precision: str | None = None) -> str:
        """``"cpu"``, or the name and memory of the GPU as well, and how it multiplies."""
        if not self.is_cuda:
            return self.name
        runtime = self.xp.cuda.runtime
        model = runtime.getDeviceProperties(int(self.name.partition(":")[2]))["name"]
        described = f"{self} ({model.decode()}, {runtime.memGetInfo()[1] / 2**30:.0f} GiB)"
        return described if precision is None else f"{described}, {precision} products"

    def side_by_side(self, threads: int) -> int:
        """How many training runs of so many threads to compute at a time: one on a GPU."""
        return 1 if self.is_cuda else max(1, min(2, processors() // threads))

    def require_memory(self, size: int, what: str) -> None:
        """Raise :class:`DeviceError` if ``size`` bytes for ``what`` cannot fit.

        On a GPU they must be free now; on the CPU they must not exceed what this
        process can have at all, since what is free there changes with every program.
        """
        needed = f"{what} needs {size / 1e6:,.0f} MB"
        if self.is_cuda:
            if size > self.xp.cuda.runtime.memGetInfo()[0]:
                raise self._no_memory(needed)
            return
        limit = memory_limit()
        if limit is not None and size > limit:
            raise DeviceError(
                f"cpu: not enough memory: {needed}, {limit / 1e6:,.0f} MB is all this process can "
                "have; use a smaller batch size, or a smaller network"
            )

    @contextmanager
    def enough_memory(self) -> Iterator[None]:
        """A context in which running out of memory on this GPU is a :class:`DeviceError`."""
        try:
            yield
        except MemoryError as error:
            if not self.is_cuda:
                raise
            raise self._no_memory(str(error)) from error

    def _no_memory(self, why: str) -> DeviceError:
        free, total = (size / 1e6 for size in self.xp.cuda.runtime.memGetInfo())
        return DeviceError(
            f"{self}: not enough memory: {why}, {free:,.0f} of {total:,.0f} MB are free; use a "
            "smaller batch size, fewer or smaller examples, another GPU (cuda:1), or device 'cpu'"
        )

    def __str__(self) -> str:
        return self.name


CPU = Device("cpu", "asked for")


def get_device(device: str | Device = "auto") -> Device:
    """The device called ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    ``auto`` uses the first GPU if it works and otherwise the CPU; ``reason`` of the device says
    why.  If CuPy is installed, a line on standard error says so once.  An explicit
    ``cuda`` never falls back.

    Raises
    ------
    ValueError
        for any other name.
    DeviceError
        if the requested GPU is not available, with what to do.
    """
    if isinstance(device, Device):
        return device
    if device == "cpu":
        return CPU
    if device == "auto":
        return Device(*automatic())
    match = re.fullmatch(r"cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise ValueError(
            f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:<number>', got {device!r}"
        )
    index = int(match.group(1) or 0)
    expect_gpu(index)
    return Device(f"cuda:{index}", "asked for")
