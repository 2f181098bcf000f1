"""The trainings of a study: each is done once, and goes on where it was broken off.

A run folder holds, in ``cells/``, a file for each training that is done, and a
checkpoint for each one that is not; beside them the configuration that they belong to.
"""

from __future__ import annotations

import functools
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from minidl.checkpoint import WAY_OUT, Checkpoint, CheckpointError, Stopped
from minidl.files import whole_file
from minidl.recording import side_by_side
from minidl.sealed import DamagedFile, read_sealed, write_sealed

T = TypeVar("T")

CONFIGURATION = "configuration.json"
LARGEST = 1 << 20  # bytes of a configuration


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came; what was done is kept.  ``signal`` is its number."""

    def __init__(self, number: int, done: int, of: int) -> None:
        self.signal = number
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} with {done} of {of} networks done; the same command goes on here"
        )


class Cells:
    """The trainings in the run folder ``folder``, all of one ``configuration``.

    Parameters
    ----------
    folder : of the run; nobody else may work in it (see :class:`minidl.reporting.RunFolder`)
    configuration : everything that a training's result depends on, as JSON can hold it
    fresh : throw away what the folder holds of an earlier start
    every : steps between checkpoints; ``None``: after each epoch only

    Raises
    ------
    CheckpointError
        where the folder holds trainings of another configuration, with the difference.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        fresh: bool = False,
        every: int | None = None,
    ) -> None:
        self.folder = folder / "cells"
        self.every = every
        self.done_before = 0  # of the trainings asked for, those of an earlier start
        path = folder / CONFIGURATION
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
            path.unlink(missing_ok=True)
        self.folder.mkdir(exist_ok=True)
        text = json.dumps(configuration, indent=1, ensure_ascii=False) + "\n"
        if path.exists():
            _expect_same(_read_configuration(path), json.loads(text), path)
        else:
            with whole_file(path) as file:
                file.write(text)

    def train(
        self, tasks: Mapping[str, Callable[[Checkpoint], T]], kind: Any, jobs: int
    ) -> list[T]:
        """The results of the trainings by name, each a ``kind``, ``jobs`` of them at a time.

        A training whose result is kept is not done again.

        Raises
        ------
        Interrupted
            after Ctrl-C or SIGTERM, once each training has finished its step and has
            written its checkpoint.
        """
        kept = {name: self.read(name, kind) for name in tasks}
        self.done_before += sum(result is not None for result in kept.values())
        with stop_on_signals() as (stop, received):
            to_do = {
                name: functools.partial(self._make, name, task, stop)
                for name, task in tasks.items()
                if kept[name] is None
            }
            try:
                made = side_by_side(list(to_do.values()), jobs, stop)
            except Stopped:
                done = sum(self._path(name).exists() for name in tasks)
                raise Interrupted(received[0], done, len(tasks)) from None
        results = kept | dict(zip(to_do, made, strict=True))
        return [result for result in results.values() if result is not None]

    def read(self, name: str, kind: Any) -> Any:
        """The result of a training; ``None`` where it is not done."""
        try:
            return read_sealed(self._path(name), kind)
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            raise CheckpointError(f"{error}; {WAY_OUT}") from error

    def _make(self, name: str, task: Callable[[Checkpoint], T], stop: threading.Event) -> T:
        checkpoint = Checkpoint(self.folder / f"{name}.checkpoint", self.every, stop)
        result = task(checkpoint)
        write_sealed(self._path(name), result)
        checkpoint.remove()
        return result

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.cell"


@contextmanager
def stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """Within it, the first Ctrl-C or SIGTERM sets the event; the second ends the process at once.

    Only the main thread is told of signals: elsewhere nothing changes.
    """
    stop, received = threading.Event(), list[int]()
    former: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop.set()
        restore()

    with suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            former[number] = signal.signal(number, on_signal)
    try:
        yield stop, received
    finally:
        restore()


def _read_configuration(path: Path) -> dict[str, Any]:
    """The configuration as it was written."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(type(found).__name__)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected the configuration of a run in JSON, got {error}; {WAY_OUT}"
        ) from error
    return found


def _expect_same(kept: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    missing = "not there"
    other = [n for n in sorted({*kept, *now}) if kept.get(n, missing) != now.get(n, missing)]
    if other:
        there, here = (
            ", ".join(f"{n} {some.get(n, missing)}" for n in other) for some in (kept, now)
        )
        raise CheckpointError(
            f"{path.parent}: expected {there}, as in the run that lies there, got {here}; "
            "choose another --output-dir, or start over with --fresh"
        )
