"""The machine and the software of a run."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from minidl import __version__
from minidl.backend.memory import physical_memory
from minidl.backend.threads import processors

PACKAGES = ("numpy", "scipy", "matplotlib", "cupy-cuda12x", "cupy-cuda13x")


def versions() -> dict[str, str]:
    """Python, minidl and the installed packages, with their versions."""
    found = {"python": platform.python_version(), "minidl": __version__}  # installed or not
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The processor, how many of them this process may use, memory in GiB, and the BLAS in use."""
    from threadpoolctl import threadpool_info

    blas = [
        f"{library['internal_api']} {library['version']} ({library['num_threads']} threads)"
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "processors": processors(),
        "memory_gib": _memory(),
        "blas": ", ".join(blas) or "unknown",
    }


def peak_memory_mb() -> float | None:
    """The peak memory of this process so far, in 10⁶ bytes; None if unknown."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage would count the parent's memory before exec, too
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class Stopwatch:
    """Measures, from its creation on, the time and what other programs use of the processors."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._all, self._own = _processor_seconds(), time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def load_of_others(self) -> float | None:
        """How many processors other programs have kept busy on average; None: unknown.

        All three times are of the same period, that of this stopwatch.
        """
        now, own = _processor_seconds(), time.process_time()
        if now is None or self._all is None:
            return None
        return max(0.0, (now - self._all - (own - self._own)) / self.seconds())


def _processor_seconds() -> float | None:
    """The processor time that all programs have used since the start of the system, on Linux."""
    try:
        ticks = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        user, nice, system, _idle, _waiting, *interrupts = map(int, ticks)
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None


def today() -> str:
    """The date, as 2026-01-31."""
    return datetime.date.today().isoformat()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    size = physical_memory()
    return None if size is None else round(size / 2**30, 1)
