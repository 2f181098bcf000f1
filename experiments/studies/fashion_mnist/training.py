"""The set-ups of the Fashion-MNIST study, and the training of one network in one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from minidl import (
    ClassReport,
    Dense,
    Dropout,
    Examples,
    Flatten,
    Layer,
    Network,
    class_report,
    predict_labels,
)
from minidl.backend import Device
from minidl.study import Run
from minidl.study.histories import by_epoch, by_layer
from minidl.study.recording import History
from minidl.study.seeds import (
    LEARNING_RATES,
    batches_rng,
    keras_optimizer,
    split_rng,
    weights_rng,
)
from minidl.training.checkpoint import Checkpoint

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

    def network(self, inputs: int, classes: int) -> str:
        sizes = "-".join(map(str, (inputs, *self.hidden, classes)))
        return sizes + (
            f", dropout {self.dropout:g} after each hidden layer" if self.dropout else ""
        )

    def update_rule(self) -> str:
        return f"{self.optimizer}, learning rate {LEARNING_RATES[self.optimizer]:g}"


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
        return self.pooled.split(len(self.pooled) // 5, split_rng(seed), stratify=True)


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

    def block(self) -> dict[str, Any]:
        """Its part of the summary."""
        report = {"classification_report": self.report.as_dict()}
        return by_epoch(self.history) | by_layer(self.history) | report


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
    run: Run, key: str, activation: str, seed: int, images: Images, checkpoint: Checkpoint
) -> Outcome:
    """Train one network, write its weights, and return what the report is made of."""
    set_up, classes, name = SET_UPS[key], run.data[0].classes, f"{key}-{activation}-seed{seed}"
    train, test = images.split(set_up, seed)
    shape = train.input_shape
    network = build_network(set_up, activation, shape, len(classes), seed, run.device)
    history = run.record(
        name,
        f"seed {seed}  {set_up.title:<19}  {activation:<7}",
        network,
        train,
        test,
        keras_optimizer(set_up.optimizer),
        epochs=run.chosen.epochs,
        batch_size=set_up.batch_size,
        rng=batches_rng(seed),
        checkpoint=checkpoint,
    )
    network.save(run.weights_of(name))
    answers = predict_labels(network, test)
    report = class_report(test.targets, answers, classes)
    return Outcome(history, report, first_mistakes(test, answers), len(train), len(test))


def first_mistakes(test: Examples, answers: np.ndarray) -> list[Mistake]:
    """Of each class the first image that is taken for another; none of a class without mistakes."""
    wrong = np.flatnonzero(answers != test.targets)
    _, first = np.unique(test.targets[wrong], return_index=True)
    return [Mistake(test.inputs[n, 0], int(test.targets[n]), int(answers[n])) for n in wrong[first]]
