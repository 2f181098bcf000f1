"""The claims of the Fashion-MNIST study, each with the criterion that it is judged by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pair
from fashion_mnist_training import Outcome

from minidl.reporting import Judged

PUBLISHED_FILE = Path(__file__).parent / "published" / "fashion_mnist_dense.json"
ALIKE = ("Pullover", "Shirt")  # the classes that the study names as hard to tell apart


@dataclass(frozen=True, kw_only=True)
class Series(pair.Series):
    """One network of one run, with what is known of each class."""

    by_class: Mapping[str, Any]  # precision, recall, f1, support of each class, after the last

    @classmethod
    def of(cls, outcome: Outcome) -> Series:
        by_class = outcome.report.as_dict()
        return cls.of_history(outcome.history, outcome.test_images, by_class=by_class)


Pair = tuple[Series, Series]  # sigmoid, ReLU


def published() -> dict[str, dict[str, Series]]:
    """The study's figures by set-up and activation; dropout only with ReLU."""
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))

    def series(network: dict[str, Any]) -> Series:
        report = network["classification_report"]
        return Series(
            train_loss=np.array(network["loss"]),
            train_accuracy=np.array(network["accuracy"]),
            test_loss=np.array(network["val_loss"]),
            test_accuracy=np.array(network["val_accuracy"]),
            by_class=report,
            test_images=report["macro avg"]["support"],
        )

    return {
        "as_run": {name: series(study[name]) for name in ("sigmoid", "relu")},
        "as_run_dropout": {"relu": series(study["relu_dropout_0.5"])},
    }


def tells_alike_apart(pair: Pair) -> Judged:
    if not all(name in pair[0].by_class for name in ALIKE):
        return None
    sigmoid, relu = (np.mean([s.by_class[name]["f1"] for name in ALIKE]) for s in pair)
    return f"ReLU {relu:.3f}, sigmoid {sigmoid:.3f}", bool(relu > sigmoid + 0.05)


# What the study says; how it is judged; the figures.
CLAIMS: list[tuple[str, str, Callable[[Pair], Judged]]] = [
    (
        "ReLU is significantly more accurate than sigmoid",
        "test accuracy after the last epoch higher by more than 1.96 standard errors of a "
        "difference between two shares",
        pair.more_accurate,
    ),
    (
        "ReLU trains faster",
        "it reaches sigmoid's last test accuracy within half of the epochs",
        pair.faster,
    ),
    (
        "ReLU's loss converges more smoothly",
        "its test loss rises in fewer epochs than sigmoid's",
        pair.smoother,
    ),
    (
        "Neither network overfits",
        "training accuracy (running) less than 2 points above test accuracy in the last epoch",
        pair.no_overfitting,
    ),
    (
        "ReLU tells Pullover from Shirt, sigmoid hardly",
        "mean F1 of the two classes higher by more than 0.05",
        tells_alike_apart,
    ),
    (
        "Sigmoid learns slowly because its gradient saturates",
        "a larger share of its hidden slopes f'(z) lies below 1% of the steepest than of ReLU's "
        "(64 training images, after the last epoch)",
        pair.saturates,
    ),
    (
        "ReLU keeps the gradient from vanishing",
        "mean |∂L/∂W| of the first layer, averaged over the epochs, is larger than sigmoid's "
        "(loss summed over 64 training images)",
        pair.larger_gradients,
    ),
    (
        "ReLU is lighter to compute",
        "its fastest epoch of training takes less time than sigmoid's, by more than a tenth",
        pair.lighter,
    ),
]

# Why it comes out so, in the order of the claims.
REASONS = (
    "The run makes 560 steps of plain SGD. Such a step is as long as the gradient is large, and "
    "sigmoid's gradients are the smaller ones. Adam divides by the gradient's size: with nothing "
    "but the optimizer exchanged, most of the difference is gone.",
    "For the same reason: where a step is as long as the gradient is large, small gradients mean "
    "slow learning.",
    "With plain SGD no test loss ever rises, in the study's own figures neither. With Adam ReLU's "
    "rises no less often than sigmoid's.",
    "The run stops long before either network has learnt its training images. As described, "
    "18,750 steps of Adam are enough to begin to learn them by heart.",
    "As run, sigmoid has hardly begun to tell any classes apart that look alike.",
    "ReLU has more flat slopes, since its slope is 0 for every z ≤ 0. As run, sigmoid's units all "
    "stay where they are steep. Its gradients are small because its steepest slope is 1/4, once "
    "for each layer that the gradient passes. That is not saturation.",
    "A factor of at most 1/4 for each layer, against 0 or 1: the more layers, the larger the "
    "difference.",
    "Matrix products take most of the time, with either function. As described, in batches of 32, "
    "sigmoid took 13% more in this run and 7% less in one before it.",
)
