"""The cells of the grid: data set, optimizer and activation of each, and its training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl import (
    SGD,
    ActivationLayer,
    Adam,
    Conv2D,
    Dense,
    Examples,
    Flatten,
    MaxPool2D,
    Network,
    SoftmaxCrossEntropy,
    class_report,
    evaluate,
    predict_labels,
)
from minidl.backend import Device
from minidl.data import Dataset
from minidl.initializers import Initializer, constant
from minidl.inspection import gradient_stats
from minidl.layers import Layer
from minidl.optimizers import Optimizer
from minidl.study import Run, validated
from minidl.study.correct import packed
from minidl.study.seeds import batches_rng, split_rng, weights_rng
from minidl.training.checkpoint import Checkpoint

ACTIVATIONS = ("sigmoid", "relu", "leaky_relu", "elu", "selu")
OPTIMIZERS = ("sgd", "adam")
CellData = dict[str, Any]  # what is kept of one training run

BATCH_SIZE = 64
EPOCHS = 50  # at most
PATIENCE = 5  # epochs in a row without a lower validation loss

# Mean and standard deviation of the pixels / 255, as the study has them.
PIXELS = {"mnist": ((0.1307,), (0.3081,)), "cifar-10": ((0.5,) * 3, (0.5,) * 3)}


@dataclass(frozen=True)
class SetUp:
    """The initial weights and biases."""

    title: str
    start: str  # in words
    convolutions: tuple[str | Initializer, str | Initializer]  # W and b
    dense: tuple[str | Initializer, str | Initializer]


SET_UPS = {
    "run": SetUp(
        "as run",
        "dense layers Xavier uniform, biases 0.01; convolutions PyTorch's default: W and b "
        "uniform within 1/√n_in",
        convolutions=("fan_in_uniform", "fan_in_uniform"),
        dense=("glorot_uniform", constant(0.01)),
    ),
    "described": SetUp(
        "as described",
        "Xavier uniform in all layers; biases PyTorch's default, uniform within 1/√n_in",
        convolutions=("glorot_uniform", "fan_in_uniform"),
        dense=("glorot_uniform", "fan_in_uniform"),
    ),
}


class Cell(NamedTuple):
    """One training run of the grid."""

    data_set: str
    optimizer: str
    activation: str

    def __str__(self) -> str:
        return "-".join(self)


def grid(
    data_sets: Sequence[str], optimizers: Sequence[str], activations: Sequence[str] = ACTIVATIONS
) -> list[Cell]:
    return [Cell(d, o, f) for o in optimizers for d in data_sets for f in activations]


@dataclass(frozen=True)
class Images(validated.Images):
    """Four fifths of the training images, the other fifth, and the official test images."""

    @classmethod
    def of(cls, data: Dataset, seed: int) -> Images:
        mean, std = PIXELS[data.name]
        learn, test = (
            Examples(part.inputs, part.targets, mean=mean, std=std)
            for part in (data.train, data.test)
        )
        return cls(*learn.split(len(learn) // 5, split_rng(seed)), test)


def build_network(
    set_up: SetUp, activation: str, shape: tuple[int, ...], classes: int, seed: int, device: Device
) -> Network:
    """The network of PyTorch's CIFAR-10 tutorial; softmax is left to the loss.

    The study applies f before the pooling; here, f comes after it.  All five f are increasing, so
    max f(z) = f(max z), with the same gradient and a quarter of the values.
    """
    W, b = set_up.convolutions
    dense_W, dense_b = set_up.dense
    channels, *sides = shape
    left = [((side - 4) // 2 - 4) // 2 for side in sides]  # of the rows and columns
    layers: list[Layer] = [
        Conv2D(channels, 6, 5, weights=W, biases=b),
        MaxPool2D(2),
        ActivationLayer(activation),
        Conv2D(6, 16, 5, weights=W, biases=b),
        MaxPool2D(2),
        ActivationLayer(activation),
        Flatten(),
        Dense(16 * math.prod(left), 120, activation, dense_W, dense_b),
        Dense(120, 84, activation, dense_W, dense_b),
        Dense(84, classes, weights=dense_W, biases=dense_b),
    ]
    return Network(layers, shape, rng=weights_rng(seed), device=device)


def out_of_patience(validation_loss: Sequence[float] | np.ndarray) -> bool:
    """Whether these losses, one an epoch, are those of a run that early stopping ended."""
    return len(validation_loss) - 1 - int(np.argmin(validation_loss)) >= PATIENCE


def build_optimizer(name: str) -> Optimizer:
    return SGD(0.001, momentum=0.9) if name == "sgd" else Adam(0.001)


def train_cell(
    run: Run, cell: Cell, images: Images, classes: tuple[str, ...], checkpoint: Checkpoint
) -> CellData:
    """Train one network and return all that is kept of it, ready for JSON."""
    set_up, seed = SET_UPS[run.chosen.set_up], run.chosen.seed
    shape = images.train.input_shape
    network = build_network(set_up, cell.activation, shape, len(classes), seed, run.device)
    training = validated.ValidatedTraining(run, str(cell), network, images, checkpoint, PATIENCE)
    gradients: dict[str, list[float]] = checkpoint.track("gradients", {})
    for _ in training.epochs(
        f"{cell!s:<24}",
        build_optimizer(cell.optimizer),
        epochs=run.chosen.epochs,
        batch_size=BATCH_SIZE,
        rng=batches_rng(seed),
    ):
        for g in gradient_stats(network):  # still those of the epoch's last batch
            if g.parameter == "W":
                gradients.setdefault(g.layer, []).append(g.l2_norm)
    return {
        **cell._asdict(),
        **training.by_epoch,
        "gradient_norms": gradients,
        **training.tested(lambda: tested(network, images.test, classes)),
    }


def tested(network: Network, test: Examples, classes: tuple[str, ...]) -> Mapping[str, Any]:
    """Accuracy, loss and macro F1 on the test images, and which of them are recognised."""
    found = evaluate(network, test, SoftmaxCrossEntropy())
    report = class_report(test.targets, predict_labels(network, test), classes)
    scores = {"accuracy": found.accuracy, "loss": found.loss, "f1": report.macro.f1}
    return scores | {"correct": packed(found.correct)}
