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


def load_of_others(seconds: float) -> float | None:
    """How many processors other programs kept busy during the last ``seconds``; None: unknown.

    This is the system's load average over one, five or fifteen minutes, the longest of them that
    fits into that time, less what this process used.
    """
    if not hasattr(os, "getloadavg") or seconds < 60:
        return None
    window = 0 if seconds < 300 else 1 if seconds < 900 else 2
    return max(0.0, os.getloadavg()[window] - time.process_time() / seconds)


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
