"""The recordings of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minidl._printable import printable
from minidl.microscope.look import Look
from minidl.microscope.look_file import FOLDER, LookError, looks_in, read_look


@dataclass(frozen=True)
class NetworkLooks:
    """One network of a run, epoch by epoch."""

    name: str
    looks: list[Look]


def looks_of(folder: str | os.PathLike[str]) -> list[NetworkLooks]:
    """The networks of the run in ``folder``, by name, each with its recordings in order.

    Raises
    ------
    LookError
        if there are none, or one is damaged or of another network.
    OSError
        if one cannot be read.
    """
    found = []
    for place in sorted(path for path in (Path(folder) / FOLDER).glob("*") if path.is_dir()):
        looks = {path: read_look(path) for path in looks_in(place)}
        for path, look in looks.items():
            if _anatomy(look) != _anatomy(next(iter(looks.values()))):
                raise LookError(
                    f"{path}: expected a look at the same network as the first one in its folder, "
                    "got one at another; delete those that do not belong there"
                )
        if looks:
            in_order = sorted(looks.values(), key=lambda look: look.epoch)
            found.append(NetworkLooks(printable(place.name), in_order))
    if not found:
        raise LookError(
            f"{folder}: expected the folder of a run that was made with --record, found no looks "
            f"in {Path(folder) / FOLDER}; run the experiment again with --record"
        )
    return found


def _anatomy(look: Look) -> list[tuple[object, ...]]:
    """What is the same in all recordings of one network."""
    stops = [(stop.array, stop.through, stop.layer) for stop in look.signal]
    attention = [(layer.name, layer.P.shape) for layer in look.attention]
    layers = [(layer.text, layer.units, layer.shape) for layer in look.layers]
    return [*stops, *layers, *attention, tuple(look.tokens)]
