"""The set-ups of the Fashion-MNIST study, and what is kept of one network in one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from minidl import ClassReport, Examples, Network, class_report, predict_labels
from minidl.study.histories import by_epoch, by_layer
from minidl.study.networks import DenseSetUp
from minidl.study.recording import History
from minidl.study.seeds import split_rng


@dataclass(frozen=True, kw_only=True)
class SetUp(DenseSetUp):
    is_pooled: bool  # all images pooled, a fifth of each class drawn for testing


AS_RUN = SetUp("as run", (128, 128), "sgd", 1000, is_pooled=True)
SET_UPS = {
    "as_run": AS_RUN,
    "as_run_dropout": replace(AS_RUN, title="as run, dropout 0.5", dropout=0.5),
    "as_run_adam": replace(AS_RUN, title="as run, but Adam", rule="adam"),
    # The text gives no batch size and no epochs: Keras's default, and the epochs of the run.
    "as_described": SetUp("as described", (128,), "adam", 32, is_pooled=False),
}


class Images(NamedTuple):
    """The official split, and both parts pooled."""

    train: Examples
    test: Examples
    pooled: Examples

    def split(self, set_up: SetUp, seed: int) -> tuple[Examples, Examples]:
        """Training and test images of a set-up: the same for all networks of one seed."""
        if not set_up.is_pooled:
            return self.train, self.test
        return self.pooled.split(len(self.pooled) // 5, split_rng(seed), stratify=True)


class Mistake(NamedTuple):
    """A test image that a network gets wrong."""

    image: np.ndarray  # (H, W) bytes
    label: int
    taken_for: int


class Outcome(NamedTuple):
    """What is kept of one training run."""

    history: History
    report: ClassReport  # on the test images, after the last epoch
    mistakes: list[Mistake]  # the first of each class
    train_images: int
    test_images: int

    def block(self) -> dict[str, Any]:
        """Its part of the summary."""
        report = {"classification_report": self.report.as_dict()}
        return by_epoch(self.history) | by_layer(self.history) | report

    @classmethod
    def of(
        cls,
        history: History,
        network: Network,
        train: Examples,
        test: Examples,
        classes: tuple[str, ...],
    ) -> Outcome:
        """After the last epoch."""
        answers = predict_labels(network, test)
        report = class_report(test.targets, answers, classes)
        return cls(history, report, first_mistakes(test, answers), len(train), len(test))


def first_mistakes(test: Examples, answers: np.ndarray) -> list[Mistake]:
    """The first image of each class that is misclassified; none for a class without mistakes."""
    wrong = np.flatnonzero(answers != test.targets)
    _, first = np.unique(test.targets[wrong], return_index=True)
    return [Mistake(test.inputs[n, 0], int(test.targets[n]), int(answers[n])) for n in wrong[first]]
