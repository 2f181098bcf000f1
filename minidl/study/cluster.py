"""A Dask cluster, existing or started on this machine, and the check of its workers."""

from __future__ import annotations

import importlib.util
import logging
import queue
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from minidl._printable import printable
from minidl.study import worker
from minidl.study.options import InputError
from minidl.training.checkpoint import Stopped

LOOPBACK = "127.0.0.1"
GUARD = 'in a script, put the call under: if __name__ == "__main__":'
PATIENCE = 30  # seconds for a scheduler to answer
TICK = 0.5  # seconds between two checks for signals
SLOW_START = 120  # seconds for a process to start on a busy machine


class ClusterError(RuntimeError):
    """A cluster cannot be reached or started, or none of its workers can be used."""


class FailedRuns(RuntimeError):
    """Training runs failed repeatedly; the message has the last error of each."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        told = "\n".join(
            f"  {name}: failed {len(found)} times, the last time {printable(found[-1], 1000)}"
            for name, found in errors.items()
        )
        super().__init__(
            f"{len(errors)} training run(s) failed; the others are finished and stored; "
            f"run the same command again to retry\n{told}"
        )


def require_dask() -> None:
    """Raise ``ClusterError`` if Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError(
            "--workers and --scheduler need Dask, which is not installed: "
            "pip install 'minidl[dask]'"
        )


def expect_address(scheduler: str) -> None:
    """Raise ``InputError`` unless ``scheduler`` is the address of one."""
    found = re.fullmatch(r"(tcp|tls)://([^\s/:\[\]]+|\[[\da-fA-F:.]+\]):(\d{1,5})", scheduler)
    if found is None or not 0 < int(found[3]) < 1 << 16:
        raise InputError(
            "scheduler: expected an address such as tcp://host:8786 or tls://host:8786, got "
            f"{printable(scheduler, 100)}"
        )


@contextmanager
def connected(
    scheduler: str | None, workers: int | None, stop: threading.Event | None = None
) -> Iterator[Any]:
    """A client of the cluster at the address ``scheduler``, or of a new one with ``workers`` here.

    Raises
    ------
    ClusterError
        if there is no scheduler at that address, or no process can be started.
    Stopped
        if ``stop`` is set before the scheduler has answered.
    """
    if scheduler is None:
        expect_first_process()
    else:
        _expect_certificates(scheduler)
    with ExitStack() as stack:
        stack.enter_context(_without_log())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about different versions: see refused()
                place = scheduler or stack.enter_context(_local(workers or 1))
                client = stack.enter_context(_client(place, stop or threading.Event()))
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            where = f"--scheduler {scheduler}" if scheduler else f"--workers {workers}"
            hint = "start one with: dask scheduler" if scheduler else GUARD
            raise ClusterError(
                f"{where}: expected a Dask cluster, got {printable(str(error), 300)}; {hint}"
            ) from error
        yield client


def _client(place: Any, stop: threading.Event) -> Any:
    """A client, or ``TimeoutError`` after PATIENCE, or ``Stopped`` when ``stop`` is set.

    Dask connects in another thread: where a port accepts and stays silent, its own timeout is not
    kept, and a signal would not end it.  Where something else answers, any exception can come out.
    """
    from distributed import Client

    class Connecting(Client):
        def __del__(self) -> None:
            """Nothing: Dask's waits a minute for what never connected, and prints a traceback."""

    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            answers.put(Connecting(place, timeout=PATIENCE, set_as_default=False))
        except Exception as error:  # noqa: BLE001 - it is raised below
            answers.put(error)

    threading.Thread(target=connect, daemon=True).start()
    end = time.monotonic() + PATIENCE + 1
    while not stop.is_set():
        with suppress(queue.Empty):
            answer = answers.get(timeout=TICK)
            if isinstance(answer, Exception):
                raise OSError(str(answer) or type(answer).__name__) from answer
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"no answer within {PATIENCE} seconds")
    raise Stopped


def _expect_certificates(scheduler: str) -> None:
    """Raise ``ClusterError`` for an encrypted address if Dask has no certificates configured."""
    from distributed.security import Security

    has_none = Security().get_connection_args("client").get("ssl_context") is None
    if scheduler.startswith("tls://") and has_none:
        raise ClusterError(
            f"--scheduler {scheduler}: expected certificates for tls://, got none; "
            "docs/sweeps.md says where Dask looks for them"
        )


def expect_first_process() -> None:
    """Raise ``ClusterError`` in a worker that itself reaches the call that starts workers."""
    started_by = sys.modules.get("__mp_main__")  # the script: a worker imports it under this name
    if started_by is not None and started_by.__name__ == "__mp_main__":
        raise ClusterError(
            "a worker imports the script that started it, and reached the call that starts "
            f"workers; {GUARD}"
        )


def _local(workers: int) -> Any:
    """Processes on this machine, reachable only from it; each executes one task at a time."""
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.comm.timeouts.connect": SLOW_START}):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,  # a training run checks by itself whether it fits
            silence_logs=logging.CRITICAL,
            preload=[worker.__name__],
        )


@contextmanager
def _without_log() -> Iterator[None]:
    """A context in which Dask logs nothing: errors are raised here instead."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    former = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in former:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in former.items():
            logger.setLevel(level)


def refused(client: Any, addresses: Iterable[str], package: str) -> dict[str, str]:
    """Those of the workers that cannot be used, and why."""
    ours = worker.told_of(package)
    told = client.run(worker.told_of, package, workers=list(addresses), on_error="return")
    found = {}
    for address, theirs in told.items():
        if isinstance(theirs, Exception):
            found[address] = f"worker {address}: {type(theirs).__name__}: {theirs}"
        elif theirs != ours:
            names = [name for name in ours if ours[name] != theirs.get(name)]
            expected, got = (
                ", ".join(f"{name} {one.get(name, 'none')}" for name in names)
                for one in (ours, theirs)
            )
            found[address] = f"worker {address}: expected {expected}, as here, got {got}"
    return found
