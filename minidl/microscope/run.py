"""The snapshots of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minidl._printable import printable
from minidl.microscope.snapshot import Snapshot
from minidl.microscope.snapshot_file import FOLDER, SnapshotError, read_snapshot, snapshots_in


@dataclass(frozen=True)
class NetworkSnapshots:
    """One network of a run, epoch by epoch."""

    name: str
    snapshots: list[Snapshot]


def snapshots_of(folder: str | os.PathLike[str]) -> list[NetworkSnapshots]:
    """The networks of the run in ``folder``, by name, each with its snapshots in order.

    Raises
    ------
    SnapshotError
        if there are none, or one is damaged or of another network.
    OSError
        if one cannot be read.
    """
    found = []
    for place in sorted(path for path in (Path(folder) / FOLDER).glob("*") if path.is_dir()):
        snapshots = {path: read_snapshot(path) for path in snapshots_in(place)}
        for path, snapshot in snapshots.items():
            if _structure(snapshot) != _structure(next(iter(snapshots.values()))):
                raise SnapshotError(
                    f"{path}: expected a snapshot of the same network as the first one in its "
                    "folder, got one of another; delete those that do not belong there"
                )
        if snapshots:
            in_order = sorted(snapshots.values(), key=lambda snapshot: snapshot.epoch)
            found.append(NetworkSnapshots(printable(place.name), in_order))
    if not found:
        raise SnapshotError(
            f"{folder}: expected the folder of a run that was made with --record, found no "
            f"snapshots in {Path(folder) / FOLDER}; run the experiment again with --record"
        )
    return found


def _structure(snapshot: Snapshot) -> list[tuple[object, ...]]:
    """What is the same in all snapshots of one network."""
    stops = [(stop.array, stop.through, stop.layer) for stop in snapshot.signal]
    attention = [(layer.name, layer.P.shape) for layer in snapshot.attention]
    layers = [(layer.text, layer.units, layer.shape) for layer in snapshot.layers]
    return [*stops, *layers, *attention, tuple(snapshot.tokens)]
