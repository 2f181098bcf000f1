"""Programs under ``mpiexec``, if it and mpi4py are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
SUPPORT = Path(__file__).parent
# The one that belongs to this Python comes first: that of another MPI would start no ranks.
PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
MPIEXEC = shutil.which("mpiexec", path=PLACES)
MISSING = (
    "needs mpi4py and mpiexec: pip install mpi4py mpich"
    if MPIEXEC is None or importlib.util.find_spec("mpi4py") is None
    else ""
)
MARKS = [pytest.mark.mpi, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
AS_RANK = ("-m", "mpi4py")


def needs_mpi(test: T) -> T:
    """The mark of a test that starts ranks; of a file, it is ``pytestmark = MARKS``."""
    for mark in MARKS:
        test = mark(test)
    return test


def mpiexec(
    ranks: int, *command: object, python: Sequence[str] = AS_RANK, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` on that many ranks; ranks that hang are ended after ``timeout`` s."""
    words = [str(MPIEXEC), "-n", str(ranks), sys.executable, *python, *map(str, command)]
    path = os.pathsep.join(
        [str(SUPPORT), str(SUPPORT.parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    return subprocess.run(
        words,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
