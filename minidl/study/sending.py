"""Sending jobs to the workers of a Dask cluster, and collecting the results."""

from __future__ import annotations

import queue
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from minidl._printable import printable
from minidl.study import worker
from minidl.study.cluster import TICK, ClusterError, FailedRuns, refused
from minidl.study.display import Display
from minidl.study.worker import Job, Made, RunFailed
from minidl.training.checkpoint import Stopped

ATTEMPTS = 3  # at a training run
FETCH = 60  # seconds for a result to arrive


class Sending:
    """Sends jobs to workers, one at a time to each, and collects the results.

    Each job is submitted to one particular worker; otherwise Dask would choose one.  So a refused
    worker gets no jobs, and a job that failed on a worker, or was lost with it, is tried on
    another one first.
    """

    def __init__(
        self,
        client: Any,
        jobs: Mapping[str, Job],
        display: Display,
        stop: threading.Event,
        patience: float,
    ) -> None:
        self.client, self.display, self.stop, self.patience = client, display, stop, patience
        self._last_seen = time.monotonic()  # when any worker was connected
        self.waiting = deque(jobs.values())
        self.any_job = self.waiting[0]
        self.at_work: dict[str, tuple[Any, Job]] = {}  # by worker: future, job
        self.back: queue.SimpleQueue[str] = queue.SimpleQueue()  # workers whose future has finished
        self.there: set[str] = set()  # connected workers, including refused ones
        self.machines: dict[str, str] = {}  # of all usable workers, including those that are gone
        self.refused: dict[str, str] = {}
        self.errors: dict[str, list[str]] = {}  # by the name of the training run that failed
        self.failed_on: dict[str, set[str]] = {}
        self.fatal: BaseException | None = None
        self._said: set[str] = set()
        self._next_look = 0.0

    def make(self) -> Iterator[tuple[str, Made]]:
        """The results, as they come in."""
        topic = self.any_job.token
        self.client.subscribe_topic(topic, self.display.on_event)
        is_stopped = False
        try:
            while self.waiting or self.at_work:
                self._look_around()
                if self._is_stopping():
                    is_stopped = True
                    self.waiting.clear()
                self._hand_out()
                with suppress(queue.Empty):
                    yield from self._fetched(self.back.get(timeout=TICK))
        except OSError as error:
            raise ClusterError(
                f"the cluster is gone: {printable(str(error), 300)}; finished training runs are "
                "stored; run the same command again to resume"
            ) from error
        finally:
            self._leave()
        if self.fatal:
            raise self.fatal
        if is_stopped:
            raise Stopped
        if failed := {n: e for n, e in self.errors.items() if len(e) >= ATTEMPTS}:
            raise FailedRuns(failed)

    def _is_stopping(self) -> bool:
        return self.stop.is_set() or self.fatal is not None

    # -- workers ----------------------------------------------------------------------------------

    def _look_around(self) -> None:
        """Once a second, find the workers that have joined and those that are gone."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 1
        self.there = set(self.client.nthreads())
        if new := self.there - self.machines.keys() - self.refused.keys():
            self._receive(new)
        for address in self.at_work.keys() - self.there:
            future, job = self.at_work.pop(address)
            future.cancel()
            self._failed(job, address, "its process is gone")
        if self.there and self.there <= self.refused.keys():
            raise ClusterError("no worker can be used\n" + "\n".join(self.refused.values()))
        if self.there:
            self._last_seen = time.monotonic()
        elif time.monotonic() > self._last_seen + self.patience:
            raise ClusterError(
                "all workers have ended; finished training runs are stored; "
                "run the same command again to resume"
            )
        else:
            self._say_once("no worker is connected; waiting for one")
        if self._is_stopping():
            self._run(self.at_work, worker.stop, self.any_job.token)

    def _receive(self, new: set[str]) -> None:
        """Refuse new workers of another version by name, and ask the others for their hardware."""
        found = refused(self.client, new, self.any_job.source.package)
        for told in found.values():
            print(f"minidl: {told}; it is not used", file=sys.stderr, flush=True)
        self.refused |= found
        welcome = new - found.keys()
        self.machines |= self._run(welcome, worker.machine)
        folder, token = self.any_job.folder, self.any_job.token
        if not all(self._run(welcome, worker.sees, folder, token).values()):
            self._say_once(
                f"some workers do not see {folder}: a training run that is interrupted there "
                "starts from the beginning"
            )

    def _run(
        self, addresses: Collection[str], function: Callable[..., Any], *arguments: Any
    ) -> dict[str, Any]:
        """The function's result on each worker; one that does not answer soon counts as lost."""
        found: dict[str, Any] = self.client.run(
            function, *arguments, workers=list(addresses), on_error="ignore"
        )
        return found

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.display.say(f"minidl: {line}")

    # -- jobs -------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        usable = self.there & self.machines.keys()
        for address in sorted(usable - self.at_work.keys()):
            job = next((one for one in self.waiting if self._suits(one, address, usable)), None)
            if job is None:
                continue
            self.waiting.remove(job)
            key = f"{job.order.name}-{secrets.token_hex(4)}"
            future = self.client.submit(
                *(worker.make, job), key=key, workers=[address], allow_other_workers=False
            )
            self.at_work[address] = future, job
            future.add_done_callback(lambda _, address=address: self.back.put(address))

    def _suits(self, job: Job, address: str, usable: set[str]) -> bool:
        """Whether to try the job on this worker: not if it failed there and others are left."""
        tried = self.failed_on.get(job.order.name, set())
        return address not in tried or usable <= tried

    def _fetched(self, address: str) -> Iterator[tuple[str, Made]]:
        """The result of the worker's job, unless it failed or was stopped."""
        from distributed import TimeoutError as TooLate

        if address not in self.at_work:
            return  # it was lost, and has been dealt with
        future, job = self.at_work[address]
        try:
            made = future.result(timeout=FETCH)
        except TooLate:
            self.back.put(address)  # try again later, unless the worker is lost
            return
        except RunFailed as error:
            self._failed(job, address, str(error))
        except Stopped:
            if not self._is_stopping():
                self._failed(job, address, "the scheduler has cancelled it")
        except worker.SAME_EVERYWHERE as error:
            self.fatal = self.fatal or error
        except Exception as error:
            if self.client.status != "running":
                raise OSError(str(error)) from error
            self._failed(job, address, f"{type(error).__name__}: {error}")
        else:
            yield job.order.name, made
            self.display.on_made()
        self.at_work.pop(address)

    def _failed(self, job: Job, address: str, why: str) -> None:
        name = job.order.name
        errors = self.errors.setdefault(name, [])
        errors.append(f"on {address}: {why}")
        self.failed_on.setdefault(name, set()).add(address)
        if len(errors) < ATTEMPTS:
            self.waiting.append(job)
            self.display.say(f"minidl: {name} failed {errors[-1]}; it is tried on another worker")

    def _leave(self) -> None:
        for future, _ in self.at_work.values():
            future.cancel()  # its worker notices this
        if self.client.status == "running":
            self.client.unsubscribe_topic(self.any_job.token)
            with suppress(OSError):
                self._run(self.there & self.machines.keys(), worker.forget, self.any_job.token)
