"""A run of a study: its options, data and device, and how a network is trained in it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import Device, get_device, set_precision
from minidl.data import Dataset
from minidl.data.examples import Examples
from minidl.losses import SoftmaxCrossEntropy
from minidl.microscope.snapshot_file import FOLDER as SNAPSHOTS
from minidl.microscope.snapshot_file import Recorder
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.storage.files import own_folder
from minidl.study.cells import Cells
from minidl.study.conditions import DataUsed
from minidl.study.options import InputError
from minidl.study.order import weights_file
from minidl.study.recording import History, record
from minidl.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Run:
    """What the training runs of a study share, in the process that executes them."""

    chosen: argparse.Namespace
    data: Sequence[Dataset]
    used: Sequence[DataUsed]
    device: Device
    folder: Path  # with weights and snapshots
    cells: Cells | None = None  # None on a worker, which stores no results

    @classmethod
    def of(cls, chosen: argparse.Namespace, data: Sequence[Dataset], folder: Path) -> Run:
        """The run with these options and data."""
        return cls(chosen, data, [DataUsed.of(one) for one in data], device_of(chosen), folder)

    @property
    def seeds(self) -> range:
        return range(self.chosen.seed, self.chosen.seed + getattr(self.chosen, "seeds", 1))

    def kept(self, name: str, kind: Any) -> Any:
        """The stored result of a training run, from this invocation or an earlier one, or None."""
        return None if self.cells is None else self.cells.read(name, kind)

    def weights_of(self, name: str) -> Path:
        """The weights file of a training run; its folder is created."""
        return weights_file(self.folder, name)

    def recorder_of(self, name: str, vocabulary: Sequence[str] = ()) -> Recorder | None:
        """What records the snapshots of the network of that name; None without --record."""
        if not self.chosen.record:
            return None
        return Recorder(own_folder(self.folder / SNAPSHOTS) / name, vocabulary)

    def progress(self, label: str) -> bool | str:
        return False if self.chosen.quiet else label

    def record(
        self,
        name: str,
        label: str,
        network: Network,
        train: Examples,
        test: Examples,
        optimizer: Optimizer,
        *,
        epochs: int,
        batch_size: int,
        rng: np.random.Generator,
        checkpoint: Checkpoint,
        vocabulary: Sequence[str] = (),
        **more: Any,
    ) -> History:
        """Train with softmax cross-entropy as :func:`minidl.study.recording.record` does.

        ``vocabulary`` has the words of the tokens of a network of sentences, for --record.
        """
        return record(
            *(network, train, test, SoftmaxCrossEntropy(), optimizer),
            epochs=epochs,
            batch_size=batch_size,
            rng=rng,
            progress=self.progress(label),
            graph=self.chosen.graph,
            checkpoint=checkpoint,
            recorder=self.recorder_of(name, vocabulary),
            **more,
        )

    def data_block(self) -> dict[str, Any]:
        """What a summary says about the (first) data set."""
        used = self.used[0]
        return {
            "dataset": used.name,
            "dataset_title": used.title,
            "dataset_note": used.note,
            "train_images": used.train_images,
            "test_images": used.test_images,
        }


def device_of(chosen: argparse.Namespace) -> Device:
    """The chosen device, set to the chosen precision."""
    try:
        device = get_device(chosen.device)
    except ValueError as error:
        raise InputError(f"--{error}") from error
    set_precision(chosen.precision, device)
    return device
