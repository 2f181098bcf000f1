"""Ranks that are threads of one process, for what MPI does with sums between processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from minidl.data_parallel import Ranks

T = TypeVar("T")


class Thread(Ranks):
    def __init__(self, rank: int, size: int, barrier: threading.Barrier, table: list[Any]) -> None:
        self.rank, self.size = rank, size
        self.barrier, self.table = barrier, table
        self.messages: list[int] = []  # the size of each sum

    def gather(self, value: Any) -> list[Any]:
        self.table[self.rank] = value
        self.barrier.wait()
        found = list(self.table)
        self.barrier.wait()
        return found

    def broadcast(self, value: Any) -> Any:
        return self.gather(value)[0]

    def all_reduce(self, array: np.ndarray) -> None:
        self.messages.append(array.size)
        array[...] = sum(self.gather(array.copy()))


def on_ranks(size: int, work: Callable[[Ranks], T]) -> list[T]:
    """What ``work`` returns on each rank; raises what the first one raised, and never hangs."""
    barrier, table = threading.Barrier(size, timeout=20), [None] * size
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(Thread(rank, size, barrier, table)), range(size)))
