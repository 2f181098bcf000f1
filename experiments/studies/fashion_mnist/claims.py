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
    """One network of one run, with the figures of each class."""

    by_class: Mapping[str, Any]  # precision, recall, f1, support of each, after the last epoch

    @classmethod
    def of(cls, block: Mapping[str, Any], **more: Any) -> Series:
        """Ours, from a network of a summary."""
        return cls.of_block(block, by_class=block["classification_report"], **more)


def published(epochs: int = EPOCHS) -> dict[str, dict[str, Series]]:
    """The study's figures by set-up and activation, after so many epochs; dropout only with ReLU.

    The figures of each class are known only after the last epoch.
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
    # an F1 is a share of the images that belong to the class or are assigned to it
    more = share(float(relu), int(images[1])) - share(float(sigmoid), int(images[0]))
    said = f"ReLU {relu:.3f}, sigmoid {sigmoid:.3f}"
    return Evidence(said, {"ReLU − sigmoid − 0.05": more - 0.05})


CLAIMS: list[Statement[pairs.Pair[Series]]] = [
    Statement(
        MORE_ACCURATE,
        "test accuracy after the last epoch",
        pairs.more_accurate,
        "A step of plain SGD is proportional to the gradient, and sigmoid's slope of at most 1/4 "
        "makes gradients small. Adam divides by the gradient's size: the set-up that only replaces "
        "plain SGD by Adam shows what remains of the difference.",
    ),
    Statement(
        "ReLU trains faster",
        "test accuracy after half of the epochs: above sigmoid's after the last epoch",
        pairs.faster,
        "For the same reason: if a step is proportional to the gradient, small gradients mean slow "
        "learning.",
    ),
    Statement(
        "ReLU's loss converges more smoothly",
        "its test loss rises in fewer epochs than sigmoid's",
        pairs.smoother,
        "In the study's own figures, no test loss ever rises.",
    ),
    Statement(
        "Neither network overfits",
        "in the last epoch, training accuracy (running) is less than 2 points above test accuracy",
        pairs.no_overfitting,
        "Ten epochs are 560 steps as run and 18,750 as described: in more steps, a network can "
        "memorise more of the training images.",
    ),
    Statement(
        "ReLU can tell Pullover from Shirt, sigmoid hardly can",
        "mean F1 of the two classes: higher than sigmoid's by more than 0.05",
        tells_alike_apart,
    ),
    Statement(
        "Sigmoid learns slowly because its gradient saturates",
        "more than half of its hidden slopes f'(z) lie below 1% of the steepest (64 training "
        "images, after the last epoch)",
        pairs.saturates,
        "ReLU's slope is 0 for every z ≤ 0, and ReLU learns all the same, so only sigmoid's slopes "
        "are judged. Sigmoid's slope is at most 1/4, in every layer that the gradient passes; that "
        "makes the gradient small without any saturation.",
    ),
    Statement(
        "ReLU keeps the gradient from vanishing",
        "mean |∂L/∂W| of the first layer, averaged over the epochs, is larger than sigmoid's "
        "(loss summed over 64 training images)",
        pairs.larger_gradients,
        "In each layer, the slope is a factor of at most 1/4 with sigmoid, and of 0 or 1 with "
        "ReLU: the more layers, the larger the difference.",
    ),
    Statement(
        "ReLU is lighter to compute",
        "mean training time of an epoch",
        pairs.lighter,
        "With either function, matrix products take most of the time.",
    ),
]
