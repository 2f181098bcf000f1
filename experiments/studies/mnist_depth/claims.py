"""The two claims about MNIST, each with the criterion that it is judged by."""

from __future__ import annotations

import numpy as np

from minidl.study import Evidence, Statement, pairs
from minidl.study.claims import known, read_published
from minidl.study.estimates import over_epochs
from minidl.study.pairs import ACTIVATIONS, Pair
from minidl.study.series import Series

EPOCHS = 10  # published
COMES_OUT = "ReLU reaches 0.92 where sigmoid stays at 0.11"
TOO_SIMPLE = "MNIST is too simple for gradients to vanish in four hidden layers"
REACHED, AT_CHANCE = 0.9, 0.15  # 11.35% of the test images show a 1, the most frequent digit
LEFT = 0.1  # share of the last hidden layer's gradient above which none has vanished


def published(epochs: int = EPOCHS) -> dict[str, Series]:
    """The two accuracies, after the last epoch whatever ``epochs`` is: nothing else is reported."""
    study = read_published(__file__)
    return {
        name: Series(test_accuracy=np.array([study[name]]), train_images=60_000, test_images=10_000)
        for name in ACTIVATIONS
    }


def comes_out(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = pair
    said = f"ReLU {relu.test_accuracy[-1]:.4f}, sigmoid {sigmoid.test_accuracy[-1]:.4f}"
    numbers = {
        f"ReLU − {REACHED}": relu.accuracy() - REACHED,
        f"{AT_CHANCE} − sigmoid": AT_CHANCE - sigmoid.accuracy(),
    }
    return Evidence(said, numbers)


def none_vanishes(pair: Pair[Series]) -> Evidence:
    """The first hidden layer's gradient as a share of the last one's, in decades."""
    gradients = [known(one.gradients) for one in pair]
    decades = [np.log10(layers[:, 0] / layers[:, -1]) for layers in gradients]
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


RULES: list[Statement[Pair[Series]]] = [
    Statement(
        COMES_OUT,
        f"test accuracy after the last epoch: ReLU's above {REACHED}, sigmoid's not above "
        f"{AT_CHANCE} (11.35% of the test images show the most frequent digit)",
        comes_out,
        "A step of SGD is proportional to the gradient, of which little passes through three "
        "sigmoid layers; Adam divides by the gradient's size.",
    ),
    Statement(
        "ReLU is more accurate than sigmoid",
        "test accuracy after the last epoch",
        pairs.more_accurate,
    ),
]
FOUR_LAYERS: list[Statement[Pair[Series]]] = [
    Statement(
        TOO_SIMPLE,
        "mean |∂L/∂W| of the first hidden layer over that of the last one, geometric mean over the "
        f"epochs: above {LEFT} with both functions",
        none_vanishes,
        "How much of a gradient reaches the first layer depends on slopes and weights; how large "
        "it is at the output depends on what is left to learn. The ratio measures the former.",
    ),
    RULES[1],
]
CLAIMS = [*RULES, FOUR_LAYERS[0]]
