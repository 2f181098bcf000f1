"""The claims of the Fashion-MNIST study, each with the criterion that it is judged by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study import Claim, Evidence, Judged, Statement, judge, pairs
from minidl.study.estimates import share
from studies.fashion_mnist.training import EPOCHS

MORE_ACCURATE = "ReLU is significantly more accurate than sigmoid"
PUBLISHED_FILE = Path(__file__).with_name("published.json")
ALIKE = ("Pullover", "Shirt")  # the classes that the study names as hard to tell apart


@dataclass(frozen=True, kw_only=True)
class Series(pairs.Series):
    """One network of one run, with what is known of each class."""

    by_class: Mapping[str, Any]  # precision, recall, f1, support of each class, after the last


Pair = tuple[Series, Series]  # sigmoid, ReLU


def published(epochs: int = EPOCHS) -> dict[str, dict[str, Series]]:
    """The study's figures by set-up and activation, after so many epochs; dropout only with ReLU.

    What is known of each class is known after the last epoch only.
    """
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))

    def series(network: dict[str, Any]) -> Series:
        report = network["classification_report"]
        whole = Series(
            train_loss=np.array(network["loss"]),
            train_accuracy=np.array(network["accuracy"]),
            test_loss=np.array(network["val_loss"]),
            test_accuracy=np.array(network["val_accuracy"]),
            by_class=report,
            train_images=56_000,
            test_images=report["macro avg"]["support"],
        )
        return whole.until(epochs, by_class={})

    return {
        "as_run": {name: series(study[name]) for name in ("sigmoid", "relu")},
        "as_run_dropout": {"relu": series(study["relu_dropout_0.5"])},
    }


def judged(summary: Mapping[str, Any], set_up: Mapping[str, Any]) -> list[Claim]:
    """Every claim in a set-up of a summary, beside the published figures, those of the run."""
    study, whole = (
        (found["as_run"]["sigmoid"], found["as_run"]["relu"])
        for found in (published(summary["epochs"]), published())
    )
    sizes = {key: set_up[key] for key in ("train_images", "test_images")}

    def series(block: dict[str, Any]) -> Series:
        return Series.of_block(
            block,
            by_class=block["classification_report"],
            alone=pairs.alone(summary),
            **sizes,
        )

    runs = [
        (series(run["networks"]["sigmoid"]), series(run["networks"]["relu"]))
        for run in set_up["runs"]
    ]
    return judge(CLAIMS, study, runs, whole)


def tells_alike_apart(pair: Pair) -> Judged:
    if not all(name in pair[0].by_class for name in ALIKE):
        return None
    sigmoid, relu = (np.mean([s.by_class[name]["f1"] for name in ALIKE]) for s in pair)
    images = [sum(s.by_class[name]["support"] for name in ALIKE) for s in pair]
    # an F1 is a share of the images that have the class or are taken for it
    more = share(float(relu), int(images[1])) - share(float(sigmoid), int(images[0]))
    said = f"ReLU {relu:.3f}, sigmoid {sigmoid:.3f}"
    return Evidence(said, {"ReLU − sigmoid − 0.05": more - 0.05})


CLAIMS: list[Statement[Pair]] = [
    Statement(
        MORE_ACCURATE,
        "test accuracy after the last epoch",
        pairs.more_accurate,
        "A step of plain SGD is as long as the gradient is large, and sigmoid's slope of at most "
        "1/4 makes gradients small. Adam divides by the gradient's size: the set-up with Adam in "
        "the place of plain SGD, and nothing else changed, shows what remains of the difference.",
    ),
    Statement(
        "ReLU trains faster",
        "test accuracy after half of the epochs above sigmoid's after the last",
        pairs.faster,
        "The same: where a step is as long as the gradient is large, small gradients mean slow "
        "learning.",
    ),
    Statement(
        "ReLU's loss converges more smoothly",
        "its test loss rises in fewer epochs than sigmoid's",
        pairs.smoother,
        "In the study's own figures no test loss ever rises.",
    ),
    Statement(
        "Neither network overfits",
        "training accuracy (running) less than 2 points above test accuracy in the last epoch",
        pairs.no_overfitting,
        "As run there are 560 steps in ten epochs, as described 18,750: who makes more steps can "
        "learn more of the training images by heart.",
    ),
    Statement(
        "ReLU tells Pullover from Shirt, sigmoid hardly",
        "mean F1 of the two classes higher by more than 0.05",
        tells_alike_apart,
    ),
    Statement(
        "Sigmoid learns slowly because its gradient saturates",
        "more than half of its hidden slopes f'(z) lie below 1% of the steepest (64 training "
        "images, after the last epoch)",
        pairs.saturates,
        "ReLU's slope is 0 for every z ≤ 0, and it learns all the same: only sigmoid's are judged. "
        "Sigmoid's steepest slope is 1/4, once for each layer that the gradient passes; that is "
        "small without any saturation.",
    ),
    Statement(
        "ReLU keeps the gradient from vanishing",
        "mean |∂L/∂W| of the first layer, averaged over the epochs, is larger than sigmoid's "
        "(loss summed over 64 training images)",
        pairs.larger_gradients,
        "A factor of at most 1/4 for each layer, against 0 or 1: the more layers, the larger the "
        "difference.",
    ),
    Statement(
        "ReLU is lighter to compute",
        "seconds of training an epoch, mean: less than sigmoid's by more than a tenth; compared "
        "only where nothing else ran beside them",
        pairs.lighter,
        "Matrix products take most of the time, with either function.",
    ),
]
