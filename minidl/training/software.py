"""What the last bits of a training run depend on besides its options: versions and kernels."""

from __future__ import annotations

import hashlib
import importlib
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from minidl._printable import printable
from minidl.kernel import engine


@dataclass(frozen=True)
class Software:
    """The software with which a part of a training run was computed.

    With another version, or another kernel chosen for another processor, sums may be rounded
    differently: the same training run, but not the same bits.
    """

    parts: dict[str, str]  # what each is, by its name

    @classmethod
    def now(cls) -> Software:
        """That of this process, with its current number of threads."""
        from threadpoolctl import threadpool_info

        blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
        ours = [one for one in blas if "numpy" in one["filepath"]] or blas
        kernels = ", ".join(
            f"{one['internal_api']} {one['version']} {one.get('architecture', '')}".strip()
            for one in ours
        )
        threads = ", ".join(str(one["num_threads"]) for one in ours)
        parts = {"BLAS": kernels or "unknown", "BLAS threads": threads or "unknown"}
        parts["loops"] = engine()
        if (cupy := sys.modules.get("cupy")) is not None:
            parts["CuPy"] = str(getattr(cupy, "__version__", "unknown"))
        if (parallel := sys.modules.get("minidl.data_parallel.ranks")) is not None:
            parts |= parallel.mpi_version()
        return cls(_fixed() | parts)

    def difference(self, other: Software) -> str:
        """What differs here, and what ``other`` has: ``numpy 2.4.6 (2.3.0)``."""
        missing = "none"
        told = ", ".join(
            f"{name} {self.parts.get(name, missing)} ({other.parts.get(name, missing)})"
            for name in self.parts | other.parts
            if self.parts.get(name) != other.parts.get(name)
        )
        return printable(told, 1000)  # one of them may come from a file


def distinct(found: Iterable[Software]) -> list[Software]:
    """Each once, in order of appearance."""
    kept: list[Software] = []
    for one in found:
        if one not in kept:
            kept.append(one)
    return kept


@cache
def _fixed() -> dict[str, str]:
    """What does not change during the life of the process."""
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
    found = [*simd.get("baseline", []), *simd.get("found", [])]
    return {
        "minidl": source_of("minidl"),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "NumPy's kernels": found[-1] if found else "unknown",
    }


@cache
def source_of(package: str) -> str:
    """A digest of all source of a package or module.

    A version does not change with every line, and is that of the installation, which may be of
    another day than the source.  The digest is that of the first call in this process, like the
    code that was imported.

    Raises
    ------
    ImportError
        if it is not installed.
    """
    module = importlib.import_module(package)
    file = Path(module.__file__ or next(iter(module.__path__)))
    root = file if module.__file__ is None else file.parent
    files = sorted(root.rglob("*.py")) if hasattr(module, "__path__") else [file]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return f"source {digest.hexdigest()[:12]}"
