"""The two claims on MNIST, each with the criterion that it is judged by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study import Claim, Evidence, Judged, Statement, judge, pairs
from minidl.study.estimates import over_epochs

PUBLISHED_FILE = Path(__file__).with_name("published.json")
COMES_OUT = "ReLU reaches 0.92 where sigmoid stays at 0.11"
TOO_SIMPLE = "MNIST is too simple for gradients to vanish in four hidden layers"
REACHED, AT_CHANCE = 0.9, 0.15  # 11.35% of the test images show a 1, the most frequent digit
LEFT = 0.1  # of the last hidden layer's gradient, from which on none has vanished


@dataclass(frozen=True, kw_only=True)
class Series(pairs.Series):
    """One network of one run, with the gradients of its hidden layers."""

    gradients: np.ndarray  # (epochs, hidden layers) mean |∂L/∂W|, L summed over 64 images


Pair = tuple[Series, Series]  # sigmoid, ReLU


def published() -> dict[str, Series]:
    """The two accuracies, after the last epoch; nothing else is reported."""
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    nothing = np.empty(0)
    return {
        name: Series(
            train_loss=nothing,
            train_accuracy=nothing,
            test_loss=nothing,
            test_accuracy=np.array([study[name]]),
            train_images=60_000,
            test_images=10_000,
            gradients=np.empty((0, 0)),
        )
        for name in ("sigmoid", "relu")
    }


def series(block: dict[str, Any], **more: Any) -> Series:
    layers = [epoch[:-1] for epoch in block["gradients"]["weights"]]
    return Series.of_block(block, gradients=np.array(layers, float), **more)


def judged(summary: Mapping[str, Any], key: str, statements: list[Statement[Pair]]) -> list[Claim]:
    """These claims in a set-up of a summary, beside what is published of it."""
    sizes = {name: summary[name] for name in ("train_images", "test_images")}
    more = sizes | {"alone": pairs.alone(summary)}
    runs = [
        (series(run["networks"]["sigmoid"], **more), series(run["networks"]["relu"], **more))
        for run in summary["set_ups"][key]["runs"]
    ]
    study = published()
    return judge(statements, (study["sigmoid"], study["relu"]), runs)


def comes_out(pair: Pair) -> Judged:
    sigmoid, relu = pair
    said = f"ReLU {relu.test_accuracy[-1]:.4f}, sigmoid {sigmoid.test_accuracy[-1]:.4f}"
    numbers = {
        f"ReLU − {REACHED}": relu.accuracy() - REACHED,
        f"{AT_CHANCE} − sigmoid": AT_CHANCE - sigmoid.accuracy(),
    }
    return Evidence(said, numbers)


def none_vanishes(pair: Pair) -> Judged:
    """The first hidden layer's gradient as a share of the last one's, in decades."""
    if not all(len(one.gradients) for one in pair):
        return None
    decades = [np.log10(one.gradients[:, 0] / one.gradients[:, -1]) for one in pair]
    sigmoid, relu = (10 ** float(one.mean()) for one in decades)
    start, end = (10 ** float(decades[0][i]) for i in (0, -1))
    return Evidence(
        f"sigmoid {sigmoid:.2f} ({start:.2f} after the first epoch, {end:.2f} after the last), "
        f"ReLU {relu:.2f}",
        {
            f"{name}, decades above {LEFT}": over_epochs(one) - float(np.log10(LEFT))
            for name, one in zip(("sigmoid", "ReLU"), decades, strict=True)
        },
    )


RULES: list[Statement[Pair]] = [
    Statement(
        COMES_OUT,
        f"test accuracy after the last epoch: ReLU's above {REACHED}, sigmoid's not above "
        f"{AT_CHANCE} (11.35% of the test images show the most frequent digit)",
        comes_out,
        "A step of SGD is as long as the gradient is large, and through three sigmoid layers "
        "little of it arrives; Adam divides by the gradient's size.",
    ),
    Statement(
        "ReLU is more accurate than sigmoid",
        "test accuracy after the last epoch",
        pairs.more_accurate,
    ),
]
FOUR_LAYERS: list[Statement[Pair]] = [
    Statement(
        TOO_SIMPLE,
        "mean |∂L/∂W| of the first hidden layer over that of the last one, geometric mean over the "
        f"epochs: above {LEFT} with both functions",
        none_vanishes,
        "How much of a gradient arrives is a matter of slopes and weights; how large it is where "
        "it begins is a matter of what is left to learn. The ratio is about the first.",
    ),
    RULES[1],
]
CLAIMS = [*RULES, FOUR_LAYERS[0]]
