"""Whether a GPU can compute.

CuPy is imported only when a GPU is asked for, so that ``import minidl`` needs neither
CuPy nor a driver.
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np


class DeviceError(RuntimeError):
    """A device that was requested by name is not available."""


def automatic() -> tuple[str, str]:
    """The first GPU if it works, otherwise the CPU, and why, which is said once."""
    try:
        expect_gpu(0)
        name, reason = "cuda:0", "a GPU answers"
    except DeviceError as error:
        name, reason = "cpu", str(error).partition(";")[0]
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name == "cupy":
            return name, reason  # who has not installed CuPy expects the CPU
    _say_once(f"minidl: device auto is {name} ({reason})")
    return name, reason


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def expect_gpu(index: int) -> None:
    """Raise :class:`DeviceError` unless GPU number ``index`` does one small computation."""
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
