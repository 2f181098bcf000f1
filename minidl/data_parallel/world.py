"""The processes that ``mpiexec`` has started.

A rank that fails must end the others, which would otherwise wait for it forever.
``python -m mpi4py`` does so; if a rank is killed, MPI itself does.
"""

from __future__ import annotations

import os
import socket
import sys
from types import TracebackType
from typing import Any

from minidl.backend import checks
from minidl.data_parallel import ranks
from minidl.data_parallel.ranks import MPIRanks, Ranks, RanksError


def world() -> Ranks:
    """All processes that were started together; only this one without ``mpiexec``.

    Raises
    ------
    RanksError
        if several were started without ``-m mpi4py``, or by the ``mpiexec`` of an MPI that
        mpi4py does not use.
    """
    if ranks.communicator is not None:
        return ranks.communicator
    count = checks.launched_processes()
    if not by_mpi4py(sys.orig_argv):
        if count > 1:
            raise RanksError(
                f"mpiexec has started {count} processes without -m mpi4py, so that the others "
                "would wait forever for one that fails; start them with: "
                f"mpiexec -n {count} python -m mpi4py {os.path.basename(sys.argv[0])}"
            )
        return Ranks()
    from mpi4py import MPI

    size = MPI.COMM_WORLD.size
    if size < count:
        raise RanksError(
            f"mpiexec has started {count} processes, but mpi4py sees only {size}: mpi4py uses "
            f"another MPI, {MPI.get_vendor()[0]}; start them with the mpiexec of that MPI"
        )
    if size == 1:
        return Ranks()
    ranks.communicator = MPIRanks(MPI.COMM_WORLD)
    sys.excepthook = _Named(sys.excepthook, ranks.communicator)
    _say_where(ranks.communicator)
    return ranks.communicator


def by_mpi4py(command: list[str]) -> bool:
    """Whether Python was started with ``-m mpi4py``, or ``-m mpi4py.run``."""
    words = iter(command[1:])
    for word in words:
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            next(words, "")  # its value
        elif not word.startswith("-") or word.startswith("-c"):
            break  # the program
        elif not word.startswith(("-W", "-X", "--")):
            _, module, name = word.partition("m")  # -m, -mNAME, or after others: -um
            if module:
                return (name or next(words, "")) in ("mpi4py", "mpi4py.run")
    return False


class _Named:
    """Names the rank before showing an exception that ends the process."""

    def __init__(self, former: Any, those: Ranks) -> None:
        self.former, self.those = former, those

    def __call__(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        print(f"minidl: {self.those} ends all the others with this error:", file=sys.stderr)
        self.former(kind, error, trace)


def _say_where(those: Ranks) -> None:
    """Print the process of each rank: if one is killed, MPI may name only the process."""
    by_host: dict[str, list[str]] = {}
    for rank, (host, process) in enumerate(those.gather((socket.gethostname(), os.getpid()))):
        by_host.setdefault(host, []).append(f"rank {rank} is process {process}")
    if those.is_root:
        processes = "; ".join(f"on {host} {', '.join(found)}" for host, found in by_host.items())
        print(f"minidl: {those.size} ranks: {processes}", file=sys.stderr, flush=True)
