"""One training run: what is needed to execute it, and what it produces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from minidl.storage.files import own_folder, read_bytes
from minidl.storage.sealed import LIMIT, encoded
from minidl.study.identity import RunCheckpoint
from minidl.training.checkpoint import Checkpoint
from minidl.training.software import Software

CELLS, WEIGHTS = "cells", "weights"  # in the folder of a run
TOKEN = ".cluster"  # a file in it by which a worker recognizes the folder, while a cluster trains


@dataclass(frozen=True)
class Cell:
    """What is stored of a finished training run."""

    of: dict[str, str]  # its identity: name, options and data; called as in the file
    software: list[Software]  # with which its parts were computed
    result: msgspec.Raw
    weights: bytes | None  # contents of the weights file


@dataclass(frozen=True)
class Order:
    """A training run to execute."""

    name: str
    identity: dict[str, str]  # name, options and data; its checkpoint and its cell must match them
    threads: int
    every: int | None  # steps between checkpoints
    weights: bool  # whether it writes a weights file

    def checkpoint(self, folder: Path, stop: threading.Event | None = None) -> Checkpoint:
        """The checkpoint in ``folder``; a file there of another training run is refused."""
        path = own_folder(folder / CELLS) / f"{self.name}.checkpoint"
        return RunCheckpoint(path, self.every, stop, self.identity)

    def made(self, task: Callable[[Checkpoint], Any], folder: Path, stop: threading.Event) -> Cell:
        """Execute the training run in ``folder``, starting from its checkpoint if there is one."""
        checkpoint = self.checkpoint(folder, stop)
        result = task(checkpoint)
        return Cell(
            self.identity,
            checkpoint.software() or [Software.now()],
            msgspec.Raw(encoded(result)),
            read_bytes(weights_file(folder, self.name), LIMIT) if self.weights else None,
        )


def weights_file(folder: Path, name: str) -> Path:
    """The weights file of a training run; the folder ``weights`` is created."""
    return own_folder(folder / WEIGHTS) / f"{name}.npz"
