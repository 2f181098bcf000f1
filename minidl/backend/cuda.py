"""A GPU as a device, and whether it can compute.

CuPy is imported only when a GPU is asked for, so that ``import minidl`` needs neither
CuPy nor a driver.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from minidl.backend.arrays import CPU, Array, Device, DeviceError


class CudaDevice(Device):
    """A GPU, through CuPy."""

    is_cuda: ClassVar[bool] = True

    @property
    def xp(self) -> ModuleType:
        import cupy

        # CuPy allocates on the current GPU of the calling thread.
        cupy.cuda.Device(self._index).use()
        return cupy

    @property
    def _index(self) -> int:
        return int(self.name.partition(":")[2])

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        return self.xp.asarray(array, dtype=dtype)

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def describe(self, precision: str | None = None) -> str:
        runtime = self.xp.cuda.runtime
        model = runtime.getDeviceProperties(self._index)["name"].decode()
        described = f"{self} ({model}, {runtime.memGetInfo()[1] / 2**30:.0f} GiB)"
        return described if precision is None else f"{described}, {precision} products"

    def require_memory(self, size: int, what: str) -> None:
        if size > self.xp.cuda.runtime.memGetInfo()[0]:
            raise self._no_memory(f"{what} needs {size / 1e6:,.0f} MB")

    @contextmanager
    def enough_memory(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise self._no_memory(str(error)) from error

    def _no_memory(self, why: str) -> DeviceError:
        free, total = (size / 1e6 for size in self.xp.cuda.runtime.memGetInfo())
        return DeviceError(
            f"{self}: not enough memory: {why}, {free:,.0f} of {total:,.0f} MB are free; use a "
            "smaller batch size, fewer or smaller examples, another GPU (cuda:1), or device 'cpu'"
        )


def automatic() -> Device:
    """The first GPU if it works, otherwise the CPU; why is printed once."""
    try:
        chosen: Device = gpu(0, "a GPU answers")
    except DeviceError as error:
        chosen = Device(CPU.name, str(error).partition(";")[0])
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name == "cupy":
            return chosen  # who has not installed CuPy expects the CPU
    _say_once(f"minidl: device auto is {chosen} ({chosen.reason})")
    return chosen


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def gpu(index: int, reason: str) -> CudaDevice:
    """GPU number ``index``; raises :class:`DeviceError` unless it does one small computation."""
    name = f"cuda:{index}"
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"{name}: CuPy cannot be imported ({error}); install it with "
            "pip install 'minidl[cuda12]' or 'minidl[cuda13]' (nvidia-smi shows the "
            "CUDA version), or choose device 'cpu'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if index < count:
            with cupy.cuda.Device(index):
                square = cupy.ones((2, 2), np.float32)
                (square @ square).sum().item()  # a kernel is compiled, and cuBLAS is loaded
    except Exception as error:  # CuPy raises another class for each cause
        raise DeviceError(
            f"{name}: CuPy is installed but cannot compute ({error}); check the driver with "
            "nvidia-smi and that CuPy's wheel (cuda12 or cuda13) fits it, or choose device 'cpu'"
        ) from error
    if index >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count)) or "no GPU"
        raise DeviceError(f"{name}: no such GPU; there is {there}, or choose device 'cpu'")
    return CudaDevice(name, reason)
