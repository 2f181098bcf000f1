"""Training with validation after each epoch and early stopping, and a test of both weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.data.examples import Examples
from minidl.losses import SoftmaxCrossEntropy
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.study.recording import expect_number
from minidl.study.run import Run
from minidl.study.series import PROBED
from minidl.study.training import train
from minidl.training import EarlyStopping, evaluate
from minidl.training.checkpoint import Checkpoint

SEEN = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")


@dataclass(frozen=True)
class Images:
    """The images for training a network, for stopping it early, and for the final test."""

    train: Examples
    validation: Examples
    test: Examples


@dataclass
class ValidatedTraining:
    """A training run that early stopping ends after ``patience`` epochs without improvement.

    ``by_epoch`` has a list over the epochs for each of ``figures``; the caller that iterates over
    the epochs appends those that are not in ``SEEN``.
    """

    run: Run
    name: str
    network: Network
    images: Images
    checkpoint: Checkpoint
    patience: int
    figures: Sequence[str] = SEEN

    def __post_init__(self) -> None:
        self.loss, self.recorder = SoftmaxCrossEntropy(), self.run.recorder_of(self.name)
        self.stopping = self.checkpoint.track("stopping", EarlyStopping(self.patience))
        nothing: dict[str, list[float]] = {figure: [] for figure in self.figures}
        self.by_epoch = self.checkpoint.track("by_epoch", nothing)

    def epochs(
        self,
        label: str,
        optimizer: Optimizer,
        *,
        epochs: int,
        batch_size: int,
        rng: np.random.Generator,
        at_once: int = 256,  # images evaluated at the same time
    ) -> Iterator[None]:
        """Train; after each epoch, the caller can read the gradients of the last batch."""
        if not self.by_epoch["seconds"]:
            self._record(0)
        for epoch in train(
            *(self.network, self.images.train, self.loss, optimizer),
            epochs=epochs,
            batch_size=batch_size,
            rng=rng,
            progress=self.run.progress(label),
            graph=self.run.chosen.graph,
            checkpoint=self.checkpoint,
        ):
            seen = evaluate(self.network, self.images.validation, self.loss, at_once)
            expect_number("validation", seen.loss, epoch.number)
            learned = epoch.train_loss, epoch.train_accuracy
            values = *learned, seen.loss, seen.accuracy, epoch.seconds
            for name, value in zip(SEEN, values, strict=True):
                self.by_epoch[name].append(value)
            yield
            self._record(epoch.number)
            if self.stopping.update(self.network, seen.loss):
                break

    def tested(self, test: Callable[[], Any]) -> dict[str, Any]:
        """What to store at the end: ``test()`` with the last weights, and with the best ones."""
        last = test()
        self.stopping.restore(self.network)
        images = self.images.train, self.images.validation, self.images.test
        return {
            "epochs": self.stopping.epoch,
            "best_epoch": self.stopping.best_epoch,
            "test": {"last": last, "best": test()},
            "images": [len(part) for part in images],
        }

    def _record(self, epoch: int) -> None:
        if self.recorder is not None:
            probed = self.images.train.first(PROBED).to(self.run.device)
            x, targets = probed.batch(0, PROBED, self.network.dtype)
            self.recorder.record(self.network, self.loss, x, targets, epoch)
