"""Processes that train together, and how they communicate."""

from __future__ import annotations

import threading
from typing import Any

from minidl.backend import Array


class RanksError(RuntimeError):
    """Processes that ``mpiexec`` has started cannot train together."""


class Ranks:
    """Processes that train together; this base class is a single process.

    Each of them must make the same calls in the same order.
    """

    rank: int = 0  # of this process
    size: int = 1  # how many there are

    @property
    def is_root(self) -> bool:
        """Whether this is the process that shows and writes the results."""
        return self.rank == 0

    def all_reduce(self, array: Array) -> None:
        """Replace ``array`` by its sum over all ranks, with the same bits on each of them."""

    def gather(self, value: Any) -> list[Any]:
        """The ``value`` of each rank, in order of rank."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """The ``value`` of rank 0."""
        return value

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"


class MPIRanks(Ranks):
    """The processes of an MPI communicator; only the thread that creates it communicates."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._communicator = comm
        self._in_place = MPI.IN_PLACE
        self._thread = threading.get_ident()
        self.rank, self.size = comm.rank, comm.size
        name, version = MPI.get_vendor()
        self.library = f"{name} {'.'.join(map(str, version))}"

    def all_reduce(self, array: Array) -> None:
        self._only_here().Allreduce(self._in_place, array)

    def gather(self, value: Any) -> list[Any]:
        return self._only_here().allgather(value)

    def broadcast(self, value: Any) -> Any:
        return self._only_here().bcast(value)

    def _only_here(self) -> Any:
        """Raise in any other thread: messages of two threads could be confused."""
        if threading.get_ident() != self._thread:
            raise RanksError(
                f"{self}: expected all training on one thread, got a second one; "
                "train one network after the other"
            )
        return self._communicator


communicator: MPIRanks | None = None  # found by :func:`minidl.data_parallel.world`


def mpi_version() -> dict[str, str]:
    """What sums over ranks depend on, for :class:`minidl.training.software.Software`."""
    if communicator is None:
        return {}
    return {"MPI": f"{communicator.library}, {communicator.size} ranks"}


def rank_prefix() -> str:
    """``"rank 1 of 3: "``, the prefix of an error; empty for a single process."""
    return "" if communicator is None else f"{communicator}: "
