"""Training runs on the workers of a Dask cluster, one at a time on each."""

from __future__ import annotations

import math
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidl.microscope.snapshot_file import FOLDER as SNAPSHOTS
from minidl.microscope.snapshot_file import snapshots_in
from minidl.storage.files import own_folder, whole_file
from minidl.storage.sealed import decoded
from minidl.study.cluster import connected
from minidl.study.display import Display
from minidl.study.order import TOKEN, Cell, Order
from minidl.study.pools import Makes, Task
from minidl.study.sending import Sending
from minidl.study.source import Source
from minidl.study.worker import Job, Made

ALONE = 120  # seconds without any worker after which local ones count as lost


class Cluster:
    """The workers at the address ``scheduler``, or ``workers`` processes of this machine.

    A worker builds the training run ``name`` from ``source_of(name)``.
    """

    def __init__(
        self,
        scheduler: str | None,
        workers: int | None,
        source_of: Callable[[str], Source],
        quiet: bool,
    ) -> None:
        self.scheduler, self.workers = scheduler, workers
        self.source_of, self.quiet = source_of, quiet
        self.jobs = workers or 1  # with a scheduler: as many workers as there were
        self._machines: dict[str, str] = {}  # by the address of each worker that was used

    def make(
        self,
        orders: Sequence[Order],
        tasks: Mapping[str, Task[Any]],
        folder: Path,
        stop: threading.Event,
    ) -> Makes:
        """Execute the training runs; the workers build the tasks themselves.

        Raises
        ------
        FailedRuns
            if some failed three times, once all the others have finished.
        ClusterError
            if the cluster is gone, or none of its workers can be used.
        """
        if not orders:
            return
        folder = folder.resolve()
        with (
            connected(self.scheduler, self.workers, stop) as client,
            _token(folder) as token,
            Display(len(orders), self.quiet) as display,
        ):
            jobs = {
                order.name: Job(
                    *(order, self.source_of(order.name), str(folder), token),
                    shown=not self.quiet,
                )
                for order in orders
            }
            patience = ALONE if self.scheduler is None else math.inf
            sending = Sending(client, jobs, display, stop, patience)
            for name, made in sending.make():
                yield name, _received(folder, name, made)
            self._machines |= sending.machines
            self.jobs = max(self.jobs, len(sending.machines))

    def cluster(self) -> dict[str, Any] | None:
        if not self._machines:
            return None
        return {"workers": len(self._machines), "machines": dict(Counter(self._machines.values()))}

    def __str__(self) -> str:
        if self.scheduler:
            return f"one network at a time on each worker of {self.scheduler}"
        return f"{self.workers} network(s) at a time, each in its own process"


@contextmanager
def _token(folder: Path) -> Iterator[str]:
    """A random token, in a file in ``folder``: a worker that can read it sees the same folder."""
    token = f"minidl-{secrets.token_hex(16)}"
    try:
        with whole_file(folder / TOKEN) as file:
            file.write(token)
        yield token
    finally:
        (folder / TOKEN).unlink(missing_ok=True)


def _received(folder: Path, name: str, made: Made) -> Cell:
    """The cell; snapshots of a folder that only the worker saw are put where they belong."""
    if made.snapshots:
        place = own_folder(own_folder(folder / SNAPSHOTS) / name)
        for path in snapshots_in(place):
            path.unlink()
        for file_name, contents in made.snapshots.items():
            with whole_file(place / Path(file_name).name, "wb") as file:
                file.write(contents)
    cell: Cell = decoded(made.cell, Cell, folder / name)
    return cell
