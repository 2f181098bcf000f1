"""The set-ups of the Fashion-MNIST study, and the training of one network in one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from study import batches_rng, keras_optimizer, weights_rng

from minidl import (
    ClassReport,
    Dense,
    Dropout,
    Examples,
    Flatten,
    Layer,
    Network,
    SoftmaxCrossEntropy,
    class_report,
    predicted_labels,
)
from minidl.backend import Device
from minidl.microscope.look_file import Recorder
from minidl.study.recording import History, record
from minidl.training.checkpoint import Checkpoint

ACTIVATIONS = ("sigmoid", "relu")
EPOCHS = 10  # in the study


@dataclass(frozen=True)
class SetUp:
    """One way to train the two networks, which differ in nothing but the activation function."""

    title: str
    hidden: tuple[int, ...]
    optimizer: str  # with the defaults of Keras
    batch_size: int
    is_pooled: bool  # all images in one, a fifth of each class drawn for the test
    dropout: float = 0.0  # after each hidden layer


AS_RUN = SetUp("as run", (128, 128), "sgd", 1000, is_pooled=True)
SET_UPS = {
    "as_run": AS_RUN,
    "as_run_dropout": replace(AS_RUN, title="as run, dropout 0.5", dropout=0.5),
    "as_run_adam": replace(AS_RUN, title="as run, but Adam", optimizer="adam"),
    # The text leaves out batch size and epochs: Keras's batch, and the epochs of the run.
    "as_described": SetUp("as described", (128,), "adam", 32, is_pooled=False),
}


class Images(NamedTuple):
    """The official split, and both parts in one."""

    train: Examples
    test: Examples
    pooled: Examples

    def split(self, set_up: SetUp, seed: int) -> tuple[Examples, Examples]:
        """Training and test images of a set-up: the same for all networks of one seed."""
        if not set_up.is_pooled:
            return self.train, self.test
        rng = np.random.default_rng([seed, 2])
        return self.pooled.split(len(self.pooled) // 5, rng, stratify=True)


class Mistake(NamedTuple):
    """A test image that a network takes for something else."""

    image: np.ndarray  # (H, W) bytes
    label: int
    taken_for: int


class Outcome(NamedTuple):
    """What is kept of one training."""

    history: History
    report: ClassReport  # on the test images, after the last epoch
    mistakes: list[Mistake]  # the first of each class
    train_images: int
    test_images: int


def build_network(
    set_up: SetUp, activation: str, shape: tuple[int, ...], classes: int, seed: int, device: Device
) -> Network:
    """Glorot-uniform weights and zero biases as in Keras; softmax is left to the loss."""
    layers: list[Layer] = [Flatten()]
    n_in = int(np.prod(shape))
    for n_out in set_up.hidden:
        layers.append(Dense(n_in, n_out, activation))
        if set_up.dropout:
            layers.append(Dropout(set_up.dropout))
        n_in = n_out
    layers.append(Dense(n_in, classes))
    return Network(layers, shape, rng=weights_rng(seed), device=device)


def run_network(
    set_up: SetUp,
    activation: str,
    seed: int,
    images: Images,
    classes: tuple[str, ...],
    checkpoint: Checkpoint,
    *,
    epochs: int,
    device: Device,
    graph: bool,
    progress: bool | str,
    recorder: Recorder | None = None,
    weights: Path,
) -> Outcome:
    """Train one network, write its weights, and return what the report is made of."""
    train, test = images.split(set_up, seed)
    network = build_network(set_up, activation, train.input_shape, len(classes), seed, device)
    history = record(
        network,
        train,
        test,
        SoftmaxCrossEntropy(),
        keras_optimizer(set_up.optimizer),
        epochs=epochs,
        batch_size=set_up.batch_size,
        rng=batches_rng(seed),
        progress=progress,
        graph=graph,
        checkpoint=checkpoint,
        recorder=recorder,
    )
    network.save(weights)
    answers = predicted_labels(network, test)
    report = class_report(test.targets, answers, classes)
    return Outcome(history, report, first_mistakes(test, answers), len(train), len(test))


def first_mistakes(test: Examples, answers: np.ndarray) -> list[Mistake]:
    """Of each class the first image that is taken for another; none of a class without mistakes."""
    wrong = np.flatnonzero(answers != test.targets)
    _, first = np.unique(test.targets[wrong], return_index=True)
    return [Mistake(test.inputs[n, 0], int(test.targets[n]), int(answers[n])) for n in wrong[first]]
