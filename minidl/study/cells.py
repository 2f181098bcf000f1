"""The training runs of a study: each is done once, and resumed where it was stopped.

The folder of a study's run holds, in ``cells/``, a file for each training run that is done, and
a checkpoint for each one that is not; beside them the configuration that they belong to.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import msgspec

from minidl._printable import printable
from minidl.backend.threads import using_threads
from minidl.data_parallel import Ranks, world
from minidl.storage.files import own_folder, read_bytes, read_json, whole_file
from minidl.storage.sealed import LIMIT, DamagedFile, decoded, encoded, read_sealed, write_sealed
from minidl.study.recording import side_by_side
from minidl.training.checkpoint import (
    DATA,
    WAY_OUT,
    Checkpoint,
    CheckpointError,
    Stopped,
    difference,
    of_another,
)
from minidl.training.software import Software, distinct

T = TypeVar("T")

CONFIGURATION = "configuration.json"
LARGEST = 1 << 20  # bytes of a configuration
CELL = ".cell"
# What is called so in the folder of the cells, minidl has written.
OURS = re.compile(r"(?P<name>[^.]+)\.(cell|([^.]+\.)?checkpoint(\.previous)?)")


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came; what was done is kept.  ``signal`` is its number."""

    def __init__(self, number: int, done: int, of: int) -> None:
        self.signal = number
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} with {done} of {of} networks done; the same command goes on here"
        )


@dataclass(frozen=True)
class Cell:
    """What is kept of a training run that is done."""

    of: dict[str, str]  # name, options and data
    software: list[Software]  # that its parts were computed with
    result: msgspec.Raw
    weights: bytes | None  # the weights file


class Cells:
    """The training runs in the run folder ``folder``, all of one ``configuration``.

    Parameters
    ----------
    folder : of the study's run; nobody else may work in it (see
        :class:`minidl.study.RunFolder`)
    configuration : everything that a training run's result depends on, as JSON can hold it
    data : a digest of each data set, by its name; another start may use others besides
    threads : of each training run (see :func:`minidl.backend.threads.using_threads`)
    fresh : throw away what minidl has written here in an earlier start, and nothing else
    every : steps between checkpoints; ``None``: after each epoch only

    Raises
    ------
    CheckpointError
        where the folder holds training runs of another configuration or of other data, with
        the difference.
    NotADirectoryError
        where ``cells`` is no folder, or a link to one.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        data: Mapping[str, str] | None = None,
        threads: int = 1,
        fresh: bool = False,
        every: int | None = None,
    ) -> None:
        self.folder = own_folder(folder / "cells")
        self.weights = folder / "weights"
        self.threads = threads
        self.every = every
        self.done_before = 0  # of the training runs asked for, those of an earlier start
        self._software: list[Software] = []
        self._options = _texts({**configuration, "threads": threads})
        self._data = _texts({DATA + name: digest for name, digest in (data or {}).items()})
        self._configuration = folder / CONFIGURATION
        if fresh:
            self._remove_all()
            self._configuration.unlink(missing_ok=True)
        if other := difference(self._earlier(), self._options | self._data):
            theirs, ours = (printable(told, 2000) for told in other)
            raise CheckpointError(
                f"{folder}: expected {theirs}, as in the run that lies there, got {ours}; "
                "choose another --output-dir, or start over with --fresh"
            )

    @property
    def software(self) -> list[Software]:
        """What the results were computed with, as far as they were read or made, each once."""
        return distinct(self._software)

    def weights_of(self, name: str) -> Path:
        """The weights file of a training run; its folder is made."""
        return own_folder(self.weights) / f"{name}.npz"

    def train(
        self,
        tasks: Mapping[str, Callable[[Checkpoint], T]],
        kind: Any,
        jobs: int,
        weights: bool = False,
    ) -> list[T]:
        """The results of the training runs by name, each a ``kind``, ``jobs`` of them at a time.

        One whose result is kept is not done again.  With ``weights`` each also leaves its
        weights file, ``weights_of(name)``; one that is gone or damaged is written again.

        Raises
        ------
        Interrupted
            after Ctrl-C or SIGTERM, once each training run has finished its step and has
            written its checkpoint.
        """
        with using_threads(self.threads), stop_on_signals() as (stop, received):
            ranks = world()
            kept = ranks.first({name: self.read(name, kind, weights) for name in tasks})
            self._share_checkpoints(ranks)
            done = [name for name, result in kept.items() if result is not None]
            self.done_before += len(done)
            to_do = {
                name: functools.partial(
                    self._make, name, task, self._checkpoint(name, stop), weights
                )
                for name, task in tasks.items()
                if kept[name] is None
            }
            self._write_configuration()  # nothing here is of another one
            self._remove_checkpoints(done)
            self._say_other_software()
            try:
                made = side_by_side(list(to_do.values()), jobs, stop)
            except Stopped:
                finished = sum(self._path(name).exists() for name in tasks)
                raise Interrupted(received[0], finished, len(tasks)) from None
        results = kept | dict(zip(to_do, made, strict=True))
        return [result for result in results.values() if result is not None]

    def read(self, name: str, kind: Any, weights: bool = False) -> Any:
        """The result of a training run; ``None`` where it is not done."""
        path = self._path(name)
        try:
            cell: Cell = read_sealed(path, Cell)
            result = decoded(bytes(cell.result), kind, path)
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            raise CheckpointError(f"{error}; {WAY_OUT}") from error
        if other := difference(self._of(name), cell.of):
            raise of_another(path, *other)
        if weights:
            if cell.weights is None:
                raise CheckpointError(f"{path}: expected weights in it, got none; {WAY_OUT}")
            self._put_back(name, cell.weights)
        self._software.extend(cell.software)
        return result

    def _make(
        self, name: str, task: Callable[[Checkpoint], T], checkpoint: Checkpoint, weights: bool
    ) -> T:
        result = task(checkpoint)
        cell = Cell(
            self._of(name),
            checkpoint.software() or [Software.now()],
            msgspec.Raw(encoded(result)),
            read_bytes(self.weights_of(name), LIMIT) if weights else None,
        )
        write_sealed(self._path(name), cell)
        checkpoint.remove()
        self._software.extend(cell.software)
        return result

    def _earlier(self) -> dict[str, str]:
        """The configuration of an earlier start, each value as a text; ours where none is kept."""
        path = self._configuration
        if not os.path.lexists(path):
            return self._options | self._data
        try:
            return _texts(read_json(path, "the configuration of a run", LARGEST))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{error}; {WAY_OUT}") from error

    def _write_configuration(self) -> None:
        """Keep ours, beside the data sets that an earlier start has used."""
        earlier, path = self._earlier(), self._configuration
        now = earlier | self._options | self._data
        if now != earlier or not path.exists():
            found = {name: json.loads(value) for name, value in now.items()}
            with whole_file(path) as file:
                file.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")

    def _put_back(self, name: str, contents: bytes) -> None:
        """Write the weights file of a training run again, unless it is what was written."""
        path = self.weights_of(name)
        try:
            if read_bytes(path, len(contents)) == contents:
                return
            what = "damaged"
        except FileNotFoundError:
            what = "gone"
        except (OSError, ValueError):
            what = "damaged"
        print(f"minidl: {path}: {what}; written again", file=sys.stderr, flush=True)
        with whole_file(path, "wb") as file:
            file.write(contents)

    def _say_other_software(self) -> None:
        """A line for each software that results of an earlier start were computed with."""
        now = Software.now()
        for other in self.software:
            if other != now:
                print(
                    f"minidl: some results here were computed with other software than this "
                    f"start's: {now.difference(other)}",
                    file=sys.stderr,
                    flush=True,
                )

    def _remove_checkpoints(self, names: list[str]) -> None:
        """Of training runs that are done: a kill may have left them."""
        for path, name in self._ours():
            if name in names and path.suffix != CELL:
                path.unlink()

    def _share_checkpoints(self, ranks: Ranks) -> None:
        """Give those that lie here to ranks with a folder of their own, which write none."""
        if ranks.size == 1:
            return
        here = [path for path, _ in self._ours() if path.suffix != CELL]
        kept = ranks.first({path.name: read_bytes(path, LIMIT) for path in here})
        for name, contents in kept.items():
            if not ranks.leads:
                (self.folder / name).write_bytes(contents)

    def _remove_all(self) -> None:
        """What minidl has written: cells, checkpoints and the weights that belong to them."""
        for path, name in self._ours():
            path.unlink()
            if self.weights.is_dir() and not self.weights.is_symlink():
                (self.weights / f"{name}.npz").unlink(missing_ok=True)

    def _ours(self) -> list[tuple[Path, str]]:
        """The files in the folder that minidl has written, and whose each is."""
        files = [path for path in self.folder.iterdir() if not path.is_dir() or path.is_symlink()]
        found = [(path, OURS.fullmatch(path.name)) for path in files]
        return [(path, match["name"]) for path, match in found if match is not None]

    def _of(self, name: str) -> dict[str, str]:
        return {"name": name} | self._options | self._data

    def _checkpoint(self, name: str, stop: threading.Event) -> Checkpoint:
        return Checkpoint(self.folder / f"{name}.checkpoint", self.every, stop, self._of(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{CELL}"


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


def _texts(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in options.items()}
