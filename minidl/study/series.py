"""One network of one run, ours or published, by epoch: the data on which claims are judged."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from minidl.study.estimates import Estimate, share
from minidl.study.recording import History

S = TypeVar("S", bound="Series")

PROBED = 64  # training images from which gradients and slopes are computed
LEARNED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
nothing, no_layers = (functools.partial(np.empty, shape) for shape in (0, (0, 0)))


@dataclass(frozen=True, kw_only=True)
class Series:
    """What the claims need of one network of one run; empty arrays are not reported."""

    train_loss: np.ndarray = field(default_factory=nothing)  # (epochs,) running
    train_accuracy: np.ndarray = field(default_factory=nothing)
    test_loss: np.ndarray = field(default_factory=nothing)  # (epochs,) after the epoch
    test_accuracy: np.ndarray = field(default_factory=nothing)
    # (epochs, hidden layers) mean |∂L/∂W|, the loss summed over the probed images
    gradients: np.ndarray = field(default_factory=no_layers)
    train_images: int
    test_images: int
    flat: float | None = None  # share of hidden slopes f'(z) below 1% of the steepest, at the end
    seconds: np.ndarray = field(default_factory=nothing)  # (epochs,)
    correct: Sequence[str] = ()  # (epochs,) which test images are recognised; empty: not stored

    @classmethod
    def of_block(cls: type[S], block: Mapping[str, Any], **more: Any) -> S:
        """Ours, from a network of a summary; ``more`` are values from elsewhere in it."""
        by_epoch: dict[str, Any] = {k: np.array(block[k], float) for k in (*LEARNED, "seconds")}
        layers = [epoch[:-1] for epoch in block["gradients"]["weights"]]
        flat = float(np.mean(block["units"]["saturated"][-1])) if "units" in block else None
        correct = block.get("correct", ())
        return cls(
            **by_epoch, gradients=np.array(layers, float), flat=flat, correct=correct, **more
        )

    @classmethod
    def of_history(cls: type[S], history: History, **more: Any) -> S:
        """Ours, from the history of its training run."""
        by_epoch: dict[str, Any] = {
            k: np.array(getattr(history, k), float) for k in (*LEARNED, "seconds")
        }
        return cls(**by_epoch, correct=history.correct, **more)

    @classmethod
    def of_keras(cls: type[S], log: Mapping[str, Any], **more: Any) -> S:
        """A published network, from the epochs in Keras's log."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        by_epoch: dict[str, Any] = {
            name: np.array(log[theirs]) for name, theirs in zip(LEARNED, names, strict=True)
        }
        return cls(**by_epoch, **more)

    def until(self: S, epoch: int, **more: Any) -> S:
        """A published network as it was after that epoch; ``more`` has values known for the end."""
        if epoch >= len(self.train_accuracy):
            return self
        by_epoch = {k: getattr(self, k)[:epoch] for k in (*LEARNED, "gradients")}
        return replace(self, **by_epoch, correct=self.correct[:epoch], **more)

    def accuracy(self, epoch: int = -1) -> Estimate:
        """On the test images, after that epoch."""
        stored = self.correct[epoch] if self.correct else ""
        return share(float(self.test_accuracy[epoch]), self.test_images, stored)

    def train_share(self) -> Estimate:
        """Training accuracy (running), in the last epoch."""
        return share(float(self.train_accuracy[-1]), self.train_images)

    def gap(self) -> Estimate:
        """Training accuracy (running) minus test accuracy, in the last epoch."""
        return self.train_share() - self.accuracy()
