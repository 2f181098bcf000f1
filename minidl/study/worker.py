"""The code that a worker of a Dask cluster executes: one training run, given by its name.

Only a description is sent to the worker, and a finished cell back; the worker builds everything
else itself (see :mod:`minidl.study.source`).
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minidl
from minidl.backend.checks.values import SIZES
from minidl.backend.threads import using_threads
from minidl.microscope.snapshot_file import FOLDER as SNAPSHOTS
from minidl.storage.files import own_folder, read_bytes
from minidl.storage.sealed import LIMIT, encoded
from minidl.study.environment import hardware
from minidl.study.order import CELLS, TOKEN, Order, weights_file
from minidl.study.source import Source
from minidl.training import NonFiniteLoss
from minidl.training.checkpoint import CheckpointError, Stopped
from minidl.training.progress import bar_elsewhere
from minidl.training.software import source_of

EXPERIMENTS = Path(minidl.__file__).parents[1] / "experiments"  # in a clone of the repository

# Errors of a training run that would be the same on every worker.
SAME_EVERYWHERE = (NonFiniteLoss, CheckpointError, ValueError)


class RunFailed(Exception):
    """A training run failed on a worker, but might not fail on another one."""


# The number of BLAS threads is global, and the memory may suffice for only one training run.
_alone = threading.Lock()
_stopped: set[str] = set()  # tokens of the invocations whose training runs must stop


@dataclass(frozen=True)
class Job:
    """The description of a training run that is sent to a worker."""

    order: Order
    source: Source
    folder: str  # of the run, as the submitting process sees it
    token: str  # in that folder; it also identifies this invocation of the command
    shown: bool  # whether its progress is shown


@dataclass(frozen=True)
class Made:
    """What a worker returns."""

    cell: bytes
    snapshots: dict[str, bytes]  # by file name; empty if the folder of the run has them already


def make(job: Job) -> Made:
    """Execute the training run.

    Raises
    ------
    Stopped
        if the submitting process asked for it, once the checkpoint is written.
    RunFailed
        for an error that may be specific to this machine.
    """
    from distributed import get_worker

    worker = get_worker()
    name = job.order.name
    with _alone:
        stop = Wish(worker, worker.get_current_task(), job.token)
        if stop.is_set():
            raise Stopped
        try:
            is_shared = sees(job.folder, job.token)
            own = _own_place(Path(worker.local_directory), job.token)
            folder = Path(job.folder) if is_shared else own_folder(own)
            task = job.source.task(job.order, folder)
            told = Told(name, lambda message: worker.log_event(job.token, message))
            shown = bar_elsewhere.set(told if job.shown else None)
            try:
                with using_threads(job.order.threads):
                    cell = job.order.made(task, folder, stop)
            finally:
                bar_elsewhere.reset(shown)
        except (Stopped, *SAME_EVERYWHERE):
            raise
        except Exception as error:  # noqa: BLE001 - a study may raise anything
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(at.filename).name}, line {at.lineno}"
            raise RunFailed(f"{type(error).__name__}: {error} ({where})") from None
        made = Made(encoded(cell), {} if is_shared else _snapshots(folder, name))
        if not is_shared:
            job.order.checkpoint(folder).remove()
            weights_file(folder, name).unlink(missing_ok=True)
        return made


def stop(token: str) -> None:
    """Let the training runs of that invocation of the command end after their current step."""
    _stopped.add(token)


def forget(token: str, dask_worker: Any = None) -> None:
    """Remove everything stored for that invocation of the command, except the data sets."""
    _stopped.discard(token)
    shutil.rmtree(_own_place(Path(dask_worker.local_directory), token), ignore_errors=True)


def told_of(package: str) -> dict[str, str]:
    """The versions that must be the same on all machines."""
    if str(EXPERIMENTS) not in sys.path and (EXPERIMENTS / "studies").is_dir():
        sys.path.append(str(EXPERIMENTS))
    for name in SIZES:  # a worker trains alone, even if mpiexec or srun started it
        os.environ.pop(name, None)
    python = ".".join(platform.python_version_tuple()[:2])
    same = {name: source_of(name) for name in ("minidl", package) if name != "__main__"}
    return {"Python": python, **same}


def machine() -> str:
    """The processor, the number of processors, and the memory."""
    here = hardware()
    return f"{here['processor']}, {here['processors']} processor(s), {here['memory_gib']} GiB"


def sees(folder: str, token: str) -> bool:
    """Whether this machine sees that folder of a run, and can write to it."""
    with suppress(OSError, ValueError):
        is_same = read_bytes(Path(folder) / TOKEN, 1000).decode() == token
        return is_same and os.access(Path(folder) / CELLS, os.W_OK)
    return False


def dask_setup(worker: Any) -> None:
    """Ignore Ctrl-C in a local worker; the submitting process gets it and stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Wish(threading.Event):
    """Set if a training run must stop: it was asked to, or its result is no longer wanted."""

    def __init__(self, worker: Any, key: str, token: str) -> None:
        super().__init__()
        self.tasks, self.key, self.token = worker.state.tasks, key, token

    def is_set(self) -> bool:
        task = self.tasks.get(self.key)
        is_wanted = task is not None and task.state == "executing"
        return super().is_set() or self.token in _stopped or not is_wanted


class Told:
    """The progress bars of a training run, reported to the submitting process once a second."""

    def __init__(self, name: str, tell: Callable[[dict[str, Any]], None]) -> None:
        self.name, self._tell = name, tell
        self.label = ""
        self.done = self.of = 0  # steps
        self._last = 0.0

    def __call__(self, total: int, initial: int, desc: str, **_: object) -> Told:
        """Create a bar, as calling tqdm does."""
        self.label = "" if desc else f"{self.name}  "
        self.of += total
        self.done += initial
        self.tell()
        return self

    def update(self) -> None:
        self.done += 1
        if time.monotonic() - self._last > 1:
            self.tell()

    def write(self, line: str) -> None:
        self.tell(self.label + line)

    def close(self) -> None:
        self.tell()

    def tell(self, line: str = "") -> None:
        self._last = time.monotonic()
        self._tell({"name": self.name, "done": self.done, "of": self.of, "line": line})


def _own_place(local: Path, token: str) -> Path:
    """The folder of a worker that does not see the run folder: in its temporary folder."""
    return local / token


def _snapshots(folder: Path, name: str) -> dict[str, bytes]:
    snapshots = folder / SNAPSHOTS / name
    files = snapshots.iterdir() if snapshots.is_dir() else []
    return {path.name: read_bytes(path, LIMIT) for path in files}
