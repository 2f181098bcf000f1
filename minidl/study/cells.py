"""The training runs of a study: each is executed once, and resumed if it was interrupted.

In the folder of a study's run, ``cells/`` has a file for each finished training run and a
checkpoint for each unfinished one; the configuration that they belong to is beside it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from minidl._printable import printable
from minidl.backend.threads import using_threads
from minidl.data_parallel import Ranks, world
from minidl.storage.files import own_folder, read_bytes, read_json, whole_file
from minidl.storage.sealed import LIMIT, DamagedFile, decoded, read_sealed, write_sealed
from minidl.study.identity import as_json, compare, identity_of
from minidl.study.order import CELLS, WEIGHTS, Cell, Order, weights_file
from minidl.study.pools import Pool, Task
from minidl.study.signals import Interrupted, stop_on_signals
from minidl.training.checkpoint import WAY_OUT, CheckpointError, Stopped, mismatch
from minidl.training.software import Software, distinct

CONFIGURATION = "configuration.json"
LARGEST = 1 << 20  # bytes of a configuration file
CELL = ".cell"
# The names of the files that minidl writes into ``cells/``.
OURS = re.compile(r"(?P<name>[^.]+)\.(cell|([^.]+\.)?checkpoint(\.previous)?)")


class Cells:
    """The training runs in the run folder ``folder``, all with the same ``configuration``.

    Parameters
    ----------
    folder : of the study's run; no other process may write to it (see
        :class:`minidl.study.RunFolder`)
    configuration : everything that the result of a training run depends on, as JSON values
    data : the digest of each data set, by its name; later invocations may use further data sets
    threads : per training run (see :func:`minidl.backend.threads.using_threads`)
    fresh : delete what earlier invocations of minidl wrote here, and nothing else
    every : steps between checkpoints; ``None``: after each epoch only

    Raises
    ------
    CheckpointError
        if the folder has training runs with another configuration or other data; the message
        shows the difference.
    NotADirectoryError
        if ``cells`` is not a folder, or a symbolic link to one.
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
        self.path = folder
        self.folder = own_folder(folder / CELLS)
        self.threads = threads
        self.every = every
        self.done_before = 0  # training runs that earlier invocations had finished
        self._software: list[Software] = []
        self._identity = identity_of({**configuration, "threads": threads}, data or {})
        self._configuration = folder / CONFIGURATION
        if fresh:
            self._remove_all()
            self._configuration.unlink(missing_ok=True)
        if other := compare(self._earlier(), self._identity):
            theirs, ours = (printable(told, 2000) for told in other)
            raise CheckpointError(
                f"{folder}: expected {theirs}, as in the run stored there, got {ours}; "
                "choose another --output-dir, or start over with --fresh"
            )

    @property
    def software(self) -> list[Software]:
        """The software that the results read or computed so far were computed with, each once."""
        return distinct(self._software)

    def train(
        self, tasks: Mapping[str, Task[Any]], kind: Any, pool: Pool, weights: bool = False
    ) -> list[Any]:
        """The results of the training runs, each a ``kind``, in the order of ``tasks``.

        The ``pool`` executes those whose results are not stored yet.  With ``weights``, each
        also writes its weights file; a file that is missing or damaged is written again.

        Raises
        ------
        Interrupted
            after Ctrl-C or SIGTERM, once each training run has finished its step and
            written its checkpoint.
        """
        with using_threads(self.threads), stop_on_signals() as (stop, received):
            ranks = world()
            results = ranks.broadcast({name: self.read(name, kind, weights) for name in tasks})
            self._share_checkpoints(ranks)
            done = [name for name, result in results.items() if result is not None]
            self.done_before += len(done)
            orders = [
                Order(name, self._identity_of(name), self.threads, self.every, weights)
                for name in tasks
                if results[name] is None
            ]
            for order in orders:
                order.checkpoint(self.path)  # raises if it belongs to another training run
            self._write_configuration()  # nothing stored here contradicts it
            self._remove_checkpoints(done)
            self._say_other_software()
            try:
                with closing(pool.make(orders, tasks, self.path, stop)) as made:
                    for name, cell in made:
                        results[name] = self._keep(name, cell, kind)
            except Stopped:
                finished = sum(result is not None for result in results.values())
                raise Interrupted(received[0], finished, len(tasks)) from None
        return list(results.values())

    def read(self, name: str, kind: Any, weights: bool = False) -> Any:
        """The result of a training run; ``None`` if it has not finished."""
        path = self._path(name)
        try:
            cell: Cell = read_sealed(path, Cell)
            result = decoded(bytes(cell.result), kind, path)
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            raise CheckpointError(f"{error}; {WAY_OUT}") from error
        if other := compare(self._identity_of(name), cell.of):
            raise mismatch(path, *other)
        if weights:
            if cell.weights is None:
                raise CheckpointError(f"{path}: expected weights in it, found none; {WAY_OUT}")
            self._put_back(name, cell.weights)
        self._software.extend(cell.software)
        return result

    def _keep(self, name: str, cell: Cell, kind: Any) -> Any:
        """Store the cell of a training run and return its result."""
        path = self._path(name)
        try:
            result = decoded(bytes(cell.result), kind, path)
        except DamagedFile as error:
            raise ValueError(f"the result does not have the declared type: {error}") from None
        write_sealed(path, cell)
        if cell.weights is not None and self._lacks(name, cell.weights):
            self._write_weights(name, cell.weights)
        self._remove_checkpoints([name])
        self._software.extend(cell.software)
        return result

    def _earlier(self) -> dict[str, str]:
        """The configuration stored earlier, each value as JSON; ours if none is stored."""
        path = self._configuration
        if not os.path.lexists(path):
            return self._identity
        try:
            return as_json(read_json(path, "the configuration of a run", LARGEST))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{error}; {WAY_OUT}") from error

    def _write_configuration(self) -> None:
        """Store ours, together with the data sets that earlier invocations used."""
        earlier, path = self._earlier(), self._configuration
        now = earlier | self._identity
        if now != earlier or not path.exists():
            found = {name: json.loads(value) for name, value in now.items()}
            with whole_file(path) as file:
                file.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")

    def _put_back(self, name: str, contents: bytes) -> None:
        """Write the weights file of a training run again if it is missing or damaged."""
        if what := self._lacks(name, contents):
            path = weights_file(self.path, name)
            print(f"minidl: {path}: {what}; written again", file=sys.stderr, flush=True)
            self._write_weights(name, contents)

    def _lacks(self, name: str, contents: bytes) -> str:
        """What is wrong with a weights file that should have these ``contents``; empty if fine."""
        try:
            path = weights_file(self.path, name)
            return "" if read_bytes(path, len(contents)) == contents else "damaged"
        except FileNotFoundError:
            return "missing"
        except (OSError, ValueError):
            return "damaged"

    def _write_weights(self, name: str, contents: bytes) -> None:
        with whole_file(weights_file(self.path, name), "wb") as file:
            file.write(contents)

    def _say_other_software(self) -> None:
        """Print a line for each set of other software with which stored results were computed."""
        now = Software.now()
        for other in self.software:
            if other != now:
                print(
                    "minidl: some stored results were computed with other software: "
                    f"{now.difference(other)}",
                    file=sys.stderr,
                    flush=True,
                )

    def _remove_checkpoints(self, names: list[str]) -> None:
        """Remove the checkpoints of training runs that have finished."""
        for path, name in self._ours():
            if name in names and path.suffix != CELL:
                path.unlink()

    def _share_checkpoints(self, ranks: Ranks) -> None:
        """Copy the checkpoints of rank 0 to the folders of the other ranks, which write none."""
        if ranks.size == 1:
            return
        here = [path for path, _ in self._ours() if path.suffix != CELL]
        kept = ranks.broadcast({path.name: read_bytes(path, LIMIT) for path in here})
        for name, contents in kept.items():
            if not ranks.is_root:
                (self.folder / name).write_bytes(contents)

    def _remove_all(self) -> None:
        """Remove what minidl wrote: cells, checkpoints and the weights that belong to them."""
        weights = self.path / WEIGHTS
        for path, name in self._ours():
            path.unlink()
            if weights.is_dir() and not weights.is_symlink():
                (weights / f"{name}.npz").unlink(missing_ok=True)

    def _ours(self) -> list[tuple[Path, str]]:
        """The files in the folder that minidl wrote, each with the name of its training run."""
        files = [path for path in self.folder.iterdir() if not path.is_dir() or path.is_symlink()]
        found = [(path, OURS.fullmatch(path.name)) for path in files]
        return [(path, match["name"]) for path, match in found if match is not None]

    def _identity_of(self, name: str) -> dict[str, str]:
        return {"name": name} | self._identity

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{CELL}"
