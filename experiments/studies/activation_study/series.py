"""The figures of the activation study that its claims are about: the published ones, and ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.study.claims import read_published
from minidl.study.estimates import Estimate, share
from studies.activation_study.training import ACTIVATIONS, EPOCHS, out_of_patience

Setting = tuple[str, str]  # data set, optimizer

# The number of each setting's first table and figure; that of its table of times is 4 more.
TABLES: dict[Setting, int] = {
    ("mnist", "sgd"): 1,
    ("cifar-10", "sgd"): 2,
    ("mnist", "adam"): 3,
    ("cifar-10", "adam"): 4,
}
TITLES = {"mnist": "MNIST", "cifar-10": "CIFAR-10", "sgd": "SGD", "adam": "Adam"}
THEIR_NAMES = dict(zip(ACTIVATIONS, ("Sigmoid", "ReLU", "LReLU", "ELU", "SeLU"), strict=True))


@dataclass(frozen=True)
class Series:
    """One training run, as far as tables, figures and claims need it."""

    accuracy: float  # these three on the test images
    loss: float
    f1: float
    train_loss: np.ndarray  # (epochs,) running
    validation_loss: np.ndarray  # (epochs,) after the epoch
    train_accuracy: float  # running, of the epoch whose weights are tested
    limit: int  # epochs at most
    seconds: float  # of all epochs
    gradients: Mapping[str, np.ndarray]  # ‖∂L/∂W‖ of each layer (epochs,)
    tested: int  # the epoch whose weights are tested, from 0
    train_images: int
    test_images: int
    correct: str = ""  # which of these are recognised (see minidl.study.correct); empty: unknown

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    @property
    def stopped(self) -> bool:
        """Whether early stopping ended it."""
        return self.epochs < self.limit or out_of_patience(self.validation_loss)

    def share(self) -> Estimate:
        """The test accuracy."""
        return share(self.accuracy, self.test_images, self.correct)

    def gap(self) -> Estimate:
        """Training accuracy (running) minus test accuracy."""
        return share(self.train_accuracy, self.train_images) - self.share()

    @classmethod
    def of(cls, cell: Mapping[str, Any], weights: str, limit: int) -> Series:
        """A finished cell; ``weights`` are the ``last`` or the ``best`` ones."""
        tested = cell["epochs"] if weights == "last" else cell["best_epoch"]
        return cls(
            **cell["test"][weights],
            train_loss=np.array(cell["train_loss"]),
            validation_loss=np.array(cell["validation_loss"]),
            train_accuracy=cell["train_accuracy"][tested - 1],
            limit=limit,
            seconds=sum(cell["seconds"]),
            tested=tested - 1,
            train_images=cell["images"][0],
            test_images=cell["images"][2],
            gradients={k: np.array(v) for k, v in cell.get("gradient_norms", {}).items()},
        )


Networks = Mapping[str, Series]  # by activation
Grid = Mapping[Setting, Networks]


def published_cells(
    module: str, tables: Mapping[Setting, int]
) -> Iterator[tuple[Setting, str, Any]]:
    """Setting, function and figures of each network, in the form of a cell of ours.

    ``tables``: the number of each setting's table; that of its table of times is 4 more.
    """
    study = read_published(module)
    for (data_set, optimizer), number in tables.items():
        logs = study["epoch_logs"][optimizer][TITLES[data_set]]
        table, times = (study[f"table_{n}"]["rows"] for n in (number, number + 4))
        learn = 48_000 if data_set == "mnist" else 40_000  # images: four fifths of them
        for name, theirs in THEIR_NAMES.items():
            log, found = logs["sigmoid" if name == "sigmoid" else theirs], table[theirs]
            cell = {
                "train_loss": log["train_loss"],
                "train_accuracy": np.array(log["train_accuracy"]) / 100,
                "validation_loss": log["val_loss"],
                "validation_accuracy": np.array(log["val_accuracy"]) / 100,
                "seconds": [times["Total Time"][theirs]],  # of all epochs
                "epochs": int(times["Epoch"][theirs]),
                "test": {
                    "last": {
                        "accuracy": found["Accuracy"] / 100,
                        "loss": found["Loss"],
                        "f1": found["F1 Score"],
                    }
                },
                "images": [learn, learn // 4, 10_000],
            }
            yield (data_set, optimizer), name, cell


def published() -> dict[Setting, dict[str, Series]]:
    """The study's figures by setting and activation: its tables, and the logs of its run."""
    found: dict[Setting, dict[str, Series]] = {setting: {} for setting in TABLES}
    for setting, name, cell in published_cells(__file__, TABLES):
        found[setting][name] = Series.of(cell, "last", EPOCHS)
    return found


def published_title(epochs: int) -> str:
    """The study tested its networks after their last epoch only."""
    return "published" if epochs == EPOCHS else f"published, up to {EPOCHS} epochs"


def title(setting: Setting) -> str:
    return " + ".join(TITLES[part] for part in setting)
