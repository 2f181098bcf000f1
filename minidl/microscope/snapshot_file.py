"""Snapshots on disk: one folder per network of a run, one file per epoch."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import Array
from minidl.losses import Loss
from minidl.microscope.attention_snapshot import TOKENS, AttentionSnapshot
from minidl.microscope.backward_signal import THROUGH, SignalNorm
from minidl.microscope.snapshot import (
    BINS,
    CURVE,
    LayerSnapshot,
    Snapshot,
    spread_out,
    take_snapshot,
)
from minidl.network import Network
from minidl.storage.files import NotAPlainFile, open_to_read, own_folder, remove_parts, whole_file
from minidl.storage.npz import NpzError, NpzReader

# A file beyond these limits is refused: characters of the manifest, entries of its lists; for SIZE,
# epochs, examples, units of a layer and numbers in a picture.
MANIFEST, ENTRIES, SIZE = 1 << 20, 1000, 1 << 24

VERSION = 1
FOLDER = "microscope"  # in the folder of a run; it has a folder for each network
NAME = re.compile(r"epoch-\d{4,}\.npz", re.ASCII)
TEXTS = ("name", "text", "activation", "formula", "derivative")


class SnapshotError(ValueError):
    """A file is not a snapshot or is damaged, or a run folder has none."""


class Recorder:
    """Writes snapshots to ``folder``, which it creates and owns: ``epoch-0000.npz``, …

    An existing file is replaced, so that a training run that resumes from an earlier epoch
    can record again.  ``vocabulary`` has the words of the tokens, for a network that reads
    sentences.
    """

    def __init__(self, folder: str | os.PathLike[str], vocabulary: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        self.vocabulary = vocabulary
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(own_folder(self.folder))

    def record(self, network: Network, loss: Loss, x: Array, targets: Array, epoch: int) -> None:
        """Take a snapshot of ``network`` on a batch (see :func:`take_snapshot`) and write it.

        Epoch 0, before the first step, starts a training run: snapshots that an earlier one
        left in the folder are removed.
        """
        if epoch == 0:
            for path in snapshots_in(self.folder):
                path.unlink()
        snapshot = take_snapshot(network, loss, x, targets, epoch, self.vocabulary)
        write_snapshot(self.folder / f"epoch-{epoch:04}.npz", snapshot)


def snapshots_in(folder: Path) -> list[Path]:
    """The files in ``folder`` that are named like a snapshot."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def remove_snapshots(folder: Path) -> None:
    """Remove the snapshots of every network of the run in ``folder``, and nothing else."""
    snapshots = folder / FOLDER
    for place in [] if snapshots.is_symlink() else snapshots.glob("*"):
        if place.is_dir() and not place.is_symlink():
            for path in snapshots_in(place):
                path.unlink()


def write_snapshot(path: str | os.PathLike[str], snapshot: Snapshot) -> None:
    """Write a snapshot, completely or not at all.

    The arrays of :class:`LayerSnapshot` keep their names, ``dense_1.W`` and so on;
    ``np.load(path)["dense_1.W"]`` reads one without minidl.
    """
    manifest = {
        "format": "minidl-snapshot",
        "version": VERSION,
        "epoch": snapshot.epoch,
        "examples": snapshot.examples,
        "signal": [[stop.array, stop.through, stop.layer] for stop in snapshot.signal],
        "layers": [
            {
                "texts": [getattr(layer, text) for text in TEXTS],
                "units": layer.units,
                "shape": layer.shape,
            }
            for layer in snapshot.layers
        ],
        "tokens": snapshot.tokens,
        "attention": [[layer.name, len(layer.P)] for layer in snapshot.attention],
    }
    arrays: dict[str, Any] = {
        "manifest": np.array(json.dumps(manifest)),
        "loss": np.float64(snapshot.loss),
        "norms": np.array([stop.norm for stop in snapshot.signal]),
        "predicted": np.array([stop.predicted for stop in snapshot.signal], float),  # None: NaN
    }
    for layer in snapshot.layers:
        for part in _parts(layer.units, layer.shape):
            arrays[f"{layer.name}.{part}"] = getattr(layer, part)
    for seen in snapshot.attention:
        arrays[f"{seen.name}.P"] = seen.P
    with whole_file(path, "wb") as file:
        np.savez(file, **arrays)


def read_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read what :func:`write_snapshot` wrote; no more than its manifest allows is read.

    Raises
    ------
    SnapshotError
        if it is not a regular file, not a snapshot, or damaged.
    OSError
        if it cannot be read.
    """
    try:
        with open_to_read(path) as file:
            return _read(NpzReader(file))
    except NotAPlainFile as error:
        raise SnapshotError(f"{error}; delete it") from error
    except NpzError as error:
        raise SnapshotError(
            f"{path}: expected a snapshot as --record writes it: {error}; delete it, "
            "or run the experiment again with --record --fresh"
        ) from error


def _read(file: NpzReader) -> Snapshot:
    try:
        manifest = json.loads(file.text("manifest", MANIFEST))
        json.dumps(manifest, ensure_ascii=False).encode()  # an unpaired surrogate cannot be shown
    except (ValueError, RecursionError) as error:
        raise NpzError(f"expected a manifest in JSON ({error})") from error
    match manifest:
        case {
            "format": "minidl-snapshot",
            "version": 1,
            "epoch": int(epoch),
            "examples": int(examples),
            "signal": [*stops],
            "layers": [*layers],
        } if (
            0 <= epoch <= SIZE
            and 0 < examples <= SIZE
            and 0 < len(stops) <= ENTRIES
            and 0 < len(layers) <= ENTRIES
        ):
            float64 = np.dtype(np.float64)
            norms = file.array("norms", (len(stops),), float64).tolist()
            theory = file.array("predicted", (len(stops),), float64)
            taken: dict[str, LayerSnapshot] = {}
            for entry in layers:
                layer = _layer(file, entry, taken)
                taken[layer.name] = layer
            tokens, attention = _attention(file, manifest)
            numbered = zip(stops, norms, theory.tolist(), range(len(stops)), strict=True)
            signal = [_stop(*which) for which in numbered]
            value = float(file.array("loss", (), float64))
            layers = [*taken.values()]
            return Snapshot(epoch, examples, value, signal, layers, tokens, attention)
    raise NpzError(f"expected the manifest of a snapshot, version 1, got {manifest!r:.100}")


def _attention(
    file: NpzReader, manifest: dict[str, Any]
) -> tuple[list[str], list[AttentionSnapshot]]:
    """Tokens and attention; both are empty for a network without attention."""
    match manifest.get("tokens"), manifest.get("attention"):
        case [*tokens], [*entries] if (
            len(tokens) <= TOKENS
            and len(entries) <= ENTRIES
            and all(isinstance(token, str) for token in tokens)
            and all(
                isinstance(entry, list)
                and list(map(type, entry)) == [str, int]
                and 0 < entry[1] <= ENTRIES
                for entry in entries
            )
            and len({name for name, _ in entries}) == len(entries)
            and bool(entries) == bool(tokens)
        ):
            T, byte = len(tokens), np.dtype(np.uint8)
            return tokens, [
                AttentionSnapshot(name, file.array(f"{name}.P", (heads, T, T), byte))
                for name, heads in entries
            ]
    raise NpzError(f"expected tokens and attention layers, got {manifest!r:.100}")


def _stop(entry: Any, norm: float, predicted: float, number: int) -> SignalNorm:
    begins = number == 0  # at the loss; no other stop is there
    match entry:
        case [str(array), str(through), str(layer)] if (
            through in THROUGH and (through == THROUGH[0]) == begins
        ):
            known = predicted if math.isfinite(predicted) else None
            return SignalNorm(array, through, layer, norm, known)
    raise NpzError(f"expected a stop of the signal, got {entry!r:.100}")


def _layer(file: NpzReader, entry: Any, taken: Collection[str]) -> LayerSnapshot:
    match entry:
        case {"texts": [*texts], "units": int(units), "shape": [*shape]} if (
            len(texts) == len(TEXTS)
            and all(isinstance(text, str) for text in texts)
            and texts[0] not in taken  # so nothing is read twice
            and all(isinstance(n, int) and 0 < n <= SIZE for n in (units, *shape))
            and math.prod(shape) <= SIZE
        ):
            parts = _parts(units, tuple(shape))
            arrays: dict[str, Any] = {
                part: file.array(f"{texts[0]}.{part}", size, np.dtype(dtype))
                for part, (size, dtype) in parts.items()
            }
            if not np.array_equal(arrays["shown"], spread_out(units, math.prod(shape))):
                raise NpzError(f"expected units of {texts[0]} evenly spread, got {arrays['shown']}")
            return LayerSnapshot(*texts, **arrays)
    raise NpzError(f"expected a layer with texts, units and shape, got {entry!r:.100}")


def _parts(units: int, shape: tuple[int, ...]) -> dict[str, tuple[tuple[int, ...], type]]:
    """The arrays of a :class:`LayerSnapshot`: shape and type of each."""
    U = len(spread_out(units, math.prod(shape)))
    bins = BINS + 2
    return {
        "shown": ((U,), np.int32),
        "W": ((U, *shape), np.int8),
        "W_scale": ((U,), np.float32),
        "dW": ((U, *shape), np.int8),
        "dW_scale": ((U,), np.float32),
        "b": ((U,), np.float32),
        "db": ((U,), np.float32),
        "z_counts": ((1 + U, bins), np.uint32),
        "y_counts": ((1 + U, bins), np.uint32),
        "y_edges": ((bins + 1,), np.float64),
        "dW_counts": ((1 + U, bins), np.uint32),
        "slope": ((units,), np.float32),
        "gradient": ((units,), np.float32),
        "curve": ((2, len(CURVE)), np.float32),
    }
