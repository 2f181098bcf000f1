"""One training run: what whoever makes it must know, and what it leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from minidl.storage.files import own_folder, read_bytes
from minidl.storage.sealed import LIMIT, encoded
from minidl.training.checkpoint import Checkpoint
from minidl.training.software import Software

CELLS, WEIGHTS = "cells", "weights"  # in the folder of a run


@dataclass(frozen=True)
class Cell:
    """What is kept of a training run that is done."""

    of: dict[str, str]  # name, options and data
    software: list[Software]  # that its parts were computed with
    result: msgspec.Raw
    weights: bytes | None  # the weights file


@dataclass(frozen=True)
class Order:
    """A training run that is to be made."""

    name: str
    of: dict[str, str]  # name, options and data, which its checkpoint and its cell are bound to
    threads: int
    every: int | None  # steps between checkpoints
    weights: bool  # whether it leaves a weights file

    def checkpoint(self, folder: Path, stop: threading.Event | None = None) -> Checkpoint:
        """The one in ``folder``; a file there that is of another training run is refused."""
        path = own_folder(folder / CELLS) / f"{self.name}.checkpoint"
        return Checkpoint(path, self.every, stop, self.of)

    def made(self, task: Callable[[Checkpoint], Any], folder: Path, stop: threading.Event) -> Cell:
        """Make it, in ``folder``: from its checkpoint on, where there is one."""
        checkpoint = self.checkpoint(folder, stop)
        result = task(checkpoint)
        return Cell(
            self.of,
            checkpoint.software() or [Software.now()],
            msgspec.Raw(encoded(result)),
            read_bytes(weights_file(folder, self.name), LIMIT) if self.weights else None,
        )


def weights_file(folder: Path, name: str) -> Path:
    """The weights file of a training run; its own folder is made."""
    return own_folder(folder / WEIGHTS) / f"{name}.npz"
