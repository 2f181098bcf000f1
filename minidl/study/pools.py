"""Where training runs are executed: in threads of this process, or on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol, TypeVar

from minidl.backend import checks
from minidl.study.order import Cell, Order
from minidl.training.checkpoint import Checkpoint

T = TypeVar("T")
Makes = Generator[tuple[str, Cell], None, None]  # name and cell of each, as they finish
Task = Callable[[Checkpoint], T]  # executes a training run, starting from its checkpoint


class Pool(Protocol):
    """Executes training runs, several at a time."""

    jobs: int  # how many at the same time

    def make(
        self,
        orders: Sequence[Order],
        tasks: Mapping[str, Task[Any]],
        folder: Path,
        stop: threading.Event,
    ) -> Makes:
        """Execute all of them; their checkpoints are in ``folder``.

        ``tasks`` are the tasks by name, for execution in this process.  Once ``stop`` is set,
        each training run writes its checkpoint, and ``Stopped`` is raised; if one fails, the
        others are stopped in the same way.
        """
        ...

    def cluster(self) -> dict[str, Any] | None:
        """What a summary says about the machines; None if everything ran on this one."""
        ...


class Threads:
    """Threads of this process: NumPy computes without holding the GIL, and all share the images.

    The number of BLAS threads of a training run (see
    :func:`minidl.backend.threads.using_threads`) does not depend on how many run beside it, and
    so neither do its results on ``jobs``.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = checks.integer("Threads", "jobs", jobs)

    def make(
        self,
        orders: Sequence[Order],
        tasks: Mapping[str, Task[Any]],
        folder: Path,
        stop: threading.Event,
    ) -> Makes:
        if min(self.jobs, len(orders)) <= 1:
            for order in orders:
                yield order.name, order.made(tasks[order.name], folder, stop)
            return
        with ThreadPoolExecutor(self.jobs) as threads:
            futures = {
                threads.submit(order.made, tasks[order.name], folder, stop): order.name
                for order in orders
            }
            failures: list[BaseException] = []
            try:
                for future in as_completed(futures):
                    if future.cancelled():
                        continue
                    if error := future.exception():
                        failures.append(error)
                        _stop(futures, stop)
                    else:
                        yield futures.pop(future), future.result()  # without keeping it
            except BaseException:
                _stop(futures, stop)
                raise
        if failures:
            raise failures[0]

    def cluster(self) -> None:
        return None

    def __str__(self) -> str:
        return f"{self.jobs} network(s) at a time"


def _stop(futures: Mapping[Future[Cell], str], stop: threading.Event) -> None:
    stop.set()
    for future in futures:
        future.cancel()
