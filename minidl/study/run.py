"""A run of a study while it is made: its options, data, device and folder, and the training."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minidl.backend import Device, get_device, set_precision
from minidl.data import Dataset
from minidl.data.examples import Examples
from minidl.data_parallel import Ranks, world
from minidl.losses import SoftmaxCrossEntropy
from minidl.microscope.look_file import FOLDER as LOOKS
from minidl.microscope.look_file import Recorder, remove_looks
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.storage.files import own_folder
from minidl.study.cells import Cells
from minidl.study.conditions import Conditions, DataUsed
from minidl.study.folder import RunFolder
from minidl.study.recording import History, record
from minidl.training.checkpoint import Checkpoint

T = TypeVar("T")
Task = Callable[[Checkpoint], T]

# Options that change nothing about the training of a network, not even its last bits.
ASIDE = ("data_dir", "jobs", "output_dir", "checkpoint_every", "fresh", "quiet")


@dataclass(frozen=True)
class Run:
    """A study that has been set up: where it computes, and where its results go."""

    chosen: argparse.Namespace
    data: Sequence[Dataset]
    used: Sequence[DataUsed]
    device: Device
    folder: RunFolder
    cells: Cells
    jobs: int
    command: str
    start: float  # in the time of ``time.perf_counter``
    ranks: Ranks  # that train together; what others than the first write goes to ``own``
    own: tempfile.TemporaryDirectory[str] | None

    @classmethod
    def begin(
        cls,
        study: str,
        chosen: argparse.Namespace,
        load: Callable[[], Sequence[Dataset]],
        choosing: Sequence[str],
        command: str,
    ) -> Run:
        """Load the data and choose the device; what is impossible fails before the download.

        ``choosing`` are options that say which networks to train, and not how.
        """
        start = time.perf_counter()
        if chosen.device != "auto":
            _device_of(chosen)
        ranks = world()
        if ranks.size > 1 and (chosen.jobs or 1) > 1:
            raise ValueError(f"--jobs: expected 1 on {ranks.size} ranks, got {chosen.jobs}")
        own = None if ranks.leads else tempfile.TemporaryDirectory(prefix="minidl-rank-")
        chosen.quiet = chosen.quiet or not ranks.leads
        folder = RunFolder(chosen.output_dir if own is None else own.name, study)
        data = list(load())
        used = [DataUsed.of(one) for one in data]
        if ranks.leads:
            print(*used, sep="\n", flush=True)
        device = _device_of(chosen)
        trained = {k: v for k, v in vars(chosen).items() if k not in (*ASIDE, *choosing)}
        trained["device"] = str(device)
        if "dataset" in trained:  # it may be "auto"
            trained["dataset"] = used[0].name
        digests = {one.name: one.digest() for one in data}
        cells = Cells(
            *(folder.path, trained, digests, chosen.threads, chosen.fresh, chosen.checkpoint_every)
        )
        if chosen.fresh:
            remove_looks(folder.path)
        jobs = chosen.jobs or (1 if ranks.size > 1 else device.side_by_side(chosen.threads))
        if not chosen.quiet:
            print(f"device: {device}; {jobs} network(s) at a time, {chosen.threads} thread(s) each")
        return cls(chosen, data, used, device, folder, cells, jobs, command, start, ranks, own)

    @property
    def seeds(self) -> range:
        return range(self.chosen.seed, self.chosen.seed + getattr(self.chosen, "seeds", 1))

    def train(self, tasks: Mapping[str, Task[T]], kind: Any, weights: bool = False) -> dict[str, T]:
        """The results of the training runs by name, each a ``kind``; done ones are kept.

        With ``weights`` each task writes its network to ``weights_of(name)``.
        """
        results = self.cells.train(tasks, kind, self.jobs, weights)
        return dict(zip(tasks, results, strict=True))

    def weights_of(self, name: str) -> Path:
        return self.cells.weights_of(name)

    def recorder_of(self, name: str, vocabulary: Sequence[str] = ()) -> Recorder | None:
        """What keeps the looks at the network of that name, where --record asks for them."""
        if not self.chosen.record:
            return None
        return Recorder(own_folder(self.folder / LOOKS) / name, vocabulary)

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
        """What a summary says of the (first) data set."""
        used = self.used[0]
        return {
            "dataset": used.name,
            "dataset_title": used.title,
            "dataset_note": used.note,
            "train_images": used.train_images,
            "test_images": used.test_images,
        }

    def conditions(self) -> dict[str, Any]:
        """Those of a summary, at the end of the work."""
        now = Conditions.now(
            *(self.device, self.chosen.precision, self.jobs, self.command, self.start),
            *(self.cells.done_before, self.cells.threads, self.cells.software),
        )
        return now.as_dict()


def _device_of(chosen: argparse.Namespace) -> Device:
    """The device that was asked for, in the precision that was asked for."""
    device = get_device(chosen.device)
    set_precision(chosen.precision, device)
    return device
