"""The claims of the Fashion-MNIST study, each with the criterion that it is judged by."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fashion_mnist_training import Outcome

from minidl.reporting import Judged

PUBLISHED_FILE = Path(__file__).parent / "published" / "fashion_mnist_dense.json"
ALIKE = ("Pullover", "Shirt")  # the classes that the study names as hard to tell apart


@dataclass(frozen=True)
class Series:
    """One network of one run, as far as the claims are about it; None is not reported."""

    train_loss: np.ndarray  # (epochs,) running
    train_accuracy: np.ndarray
    test_loss: np.ndarray  # (epochs,) after the epoch
    test_accuracy: np.ndarray
    by_class: Mapping[str, Any]  # precision, recall, f1, support of each class, after the last
    test_images: int
    flat: float | None = None  # share of hidden slopes f'(z) below 1% of the steepest, at the end
    first_gradient: float | None = None  # mean |∂L/∂W| of the first layer, over the epochs
    seconds: float | None = None  # of the fastest epoch

    @classmethod
    def of(cls, outcome: Outcome) -> Series:
        history = outcome.history
        hidden = history.probes[-1].units[:-1]
        return cls(
            np.array(history.train_loss),
            np.array(history.train_accuracy),
            np.array(history.test_loss),
            np.array(history.test_accuracy),
            by_class=outcome.report.as_dict(),
            test_images=outcome.test_images,
            flat=float(np.mean([units.saturated for units in hidden])),
            first_gradient=float(np.mean([probe.mean_abs("W")[0] for probe in history.probes])),
            seconds=min(history.seconds),
        )


Pair = tuple[Series, Series]  # sigmoid, ReLU


def published() -> dict[str, dict[str, Series]]:
    """The study's figures by set-up and activation; dropout only with ReLU."""
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))

    def series(network: dict[str, Any]) -> Series:
        report = network["classification_report"]
        return Series(
            np.array(network["loss"]),
            np.array(network["accuracy"]),
            np.array(network["val_loss"]),
            np.array(network["val_accuracy"]),
            by_class=report,
            test_images=report["macro avg"]["support"],
        )

    return {
        "as_run": {name: series(study[name]) for name in ("sigmoid", "relu")},
        "as_run_dropout": {"relu": series(study["relu_dropout_0.5"])},
    }


def more_accurate(pair: Pair) -> Judged:
    sigmoid, relu = (float(series.test_accuracy[-1]) for series in pair)
    share = (sigmoid + relu) / 2
    error = math.sqrt(share * (1 - share) * sum(1 / series.test_images for series in pair))
    apart = f": {(relu - sigmoid) / error:+.1f} standard errors" if error > 0 else ""
    return f"ReLU {relu:.4f}, sigmoid {sigmoid:.4f}{apart}", relu - sigmoid > 1.96 * error


def faster(pair: Pair) -> Judged:
    sigmoid, relu = (series.test_accuracy for series in pair)
    there = np.flatnonzero(relu >= sigmoid[-1])
    if len(sigmoid) < 2:
        return None
    if not len(there):
        return "never", False
    epoch = int(there[0]) + 1
    return f"in epoch {epoch} of {len(relu)}", epoch <= len(relu) / 2


def smoother(pair: Pair) -> Judged:
    if len(pair[0].test_loss) < 2:
        return None
    sigmoid, relu = (int((np.diff(series.test_loss) > 0).sum()) for series in pair)
    return f"rises in: ReLU {relu}, sigmoid {sigmoid} epochs", relu < sigmoid


def no_overfitting(pair: Pair) -> Judged:
    gaps = [series.train_accuracy[-1] - series.test_accuracy[-1] for series in pair]
    figures = f"training − test: ReLU {gaps[1]:+.4f}, sigmoid {gaps[0]:+.4f}"
    return figures, bool(max(gaps) < 0.02)


def tells_alike_apart(pair: Pair) -> Judged:
    if not all(name in pair[0].by_class for name in ALIKE):
        return None
    sigmoid, relu = (np.mean([s.by_class[name]["f1"] for name in ALIKE]) for s in pair)
    return f"ReLU {relu:.3f}, sigmoid {sigmoid:.3f}", bool(relu > sigmoid + 0.05)


def saturates(pair: Pair) -> Judged:
    sigmoid, relu = (series.flat for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"sigmoid {sigmoid:.1%}, ReLU {relu:.1%}", sigmoid > relu


def larger_gradients(pair: Pair) -> Judged:
    sigmoid, relu = (series.first_gradient for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"ReLU {relu:.4f}, sigmoid {sigmoid:.4f}", relu > sigmoid


def lighter(pair: Pair) -> Judged:
    sigmoid, relu = (series.seconds for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"ReLU {relu:.3f} s, sigmoid {sigmoid:.3f} s", relu < 0.9 * sigmoid


# What the study says; how it is judged; the figures.
CLAIMS: list[tuple[str, str, Callable[[Pair], Judged]]] = [
    (
        "ReLU is significantly more accurate than sigmoid",
        "test accuracy after the last epoch higher by more than 1.96 standard errors of a "
        "difference between two shares",
        more_accurate,
    ),
    (
        "ReLU trains faster",
        "it reaches sigmoid's last test accuracy within half of the epochs",
        faster,
    ),
    (
        "ReLU's loss converges more smoothly",
        "its test loss rises in fewer epochs than sigmoid's",
        smoother,
    ),
    (
        "Neither network overfits",
        "training accuracy (running) less than 2 points above test accuracy in the last epoch",
        no_overfitting,
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
        saturates,
    ),
    (
        "ReLU keeps the gradient from vanishing",
        "mean |∂L/∂W| of the first layer, averaged over the epochs, is larger than sigmoid's "
        "(loss summed over 64 training images)",
        larger_gradients,
    ),
    (
        "ReLU is lighter to compute",
        "its fastest epoch of training takes less time than sigmoid's, by more than a tenth",
        lighter,
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
    "Matrix products take most of the time, with either function.",
)
