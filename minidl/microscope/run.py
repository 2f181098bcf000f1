"""The looks that a run has kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minidl.microscope.look import Look
from minidl.microscope.look_file import LookError, read_look
from minidl.printable import printable

FOLDER = "microscope"  # in that of a run; in it a folder for each network


@dataclass(frozen=True)
class NetworkLooks:
    """One network of a run, epoch by epoch."""

    name: str
    looks: list[Look]


def looks_of(folder: str | os.PathLike[str]) -> list[NetworkLooks]:
    """The networks of the run in ``folder``, by name, each with its looks in order.

    Raises
    ------
    LookError
        where there are none, or one is damaged.
    OSError
        where one cannot be read.
    """
    found = []
    for place in sorted(path for path in (Path(folder) / FOLDER).glob("*") if path.is_dir()):
        looks = [read_look(path) for path in place.glob("epoch-*.npz")]
        if looks:
            found.append(
                NetworkLooks(printable(place.name), sorted(looks, key=lambda look: look.epoch))
            )
    if not found:
        raise LookError(
            f"{folder}: expected the folder of a run that was made with --record, found no looks "
            f"in {Path(folder) / FOLDER}; run the experiment again with --record"
        )
    return found
