"""The claims of the Fashion-MNIST study, each with the criterion that it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.study import Evidence, Statement, pairs
from minidl.study.claims import known, read_published
from minidl.study.estimates import share
from minidl.study.series import Series as EpochSeries

EPOCHS = 10  # in the study
MORE_ACCURATE = "ReLU is significantly more accurate than sigmoid"
ALIKE = ("Pullover", "Shirt")  # the classes that the study names as hard to tell apart


@dataclass(frozen=True, kw_only=True)
class Series(EpochSeries):
    """One network of one run, with what is known of each class."""

    by_class: Mapping[str, Any]  # precision, recall, f1, support of each class, after the last

    @classmethod
    def of(cls, block: Mapping[str, Any], **more: Any) -> Series:
        """Ours, from a network of a summary."""
        return cls.of_block(block, by_class=block["classification_report"], **more)


def published(epochs: int = EPOCHS) -> dict[str, dict[str, Series]]:
    """The study's figures by set-up and activation, after so many epochs; dropout only with ReLU.

    What is known of each class is known after the last epoch only.
    """
    study = read_published(__file__)

    def of(name: str) -> Series:
        report = study[name]["classification_report"]
        images = {"train_images": 56_000, "test_images": report["macro avg"]["support"]}
        return Series.of_keras(study[name], by_class=report, **images).until(epochs, by_class={})

    return {
        "as_run": {name: of(name) for name in pairs.ACTIVATIONS},
        "as_run_dropout": {"relu": of("relu_dropout_0.5")},
    }


def tells_alike_apart(pair: pairs.Pair[Series]) -> Evidence:
    alike = [[known(one.by_class.get(name)) for name in ALIKE] for one in pair]
    sigmoid, relu = (np.mean([scores["f1"] for scores in some]) for some in alike)
    images = [sum(scores["support"] for scores in some) for some in alike]
    # an F1 is a share of the images that have the class or are taken for it
    more = share(float(relu), int(images[1])) - share(float(sigmoid), int(images[0]))
    said = f"ReLU {relu:.3f}, sigmoid {sigmoid:.3f}"
    return Evidence(said, {"ReLU − sigmoid − 0.05": more - 0.05})


CLAIMS: list[Statement[pairs.Pair[Series]]] = [
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
