"""The networks of the CIFAR-100 study, and what is kept of each."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from minidl import Network, SoftmaxCrossEntropy
from minidl.backend import Device
from minidl.data import Dataset
from minidl.study import Run
from minidl.study.histories import by_epoch, by_layer
from minidl.study.networks import DenseSetUp
from minidl.study.recording import History
from minidl.study.seeds import batches_rng
from minidl.training.checkpoint import Checkpoint
from studies.cifar100.units import AllImages, over_all_images


class Trained(NamedTuple):
    """What is kept of one training run."""

    history: History
    all_images: AllImages

    def block(self) -> dict[str, Any]:
        """Its part of the summary."""
        units = {"all_images": self.all_images._asdict()}
        return by_epoch(self.history) | by_layer(self.history) | units


def set_up_of(chosen: argparse.Namespace) -> DenseSetUp:
    """The set-up that the command line asks for."""
    rule = chosen.optimizer, chosen.batch_size, chosen.learning_rate
    return DenseSetUp("", tuple(chosen.hidden), *rule)


def build_network(
    activation: str, chosen: argparse.Namespace, data: Dataset, seed: int, device: Device
) -> Network:
    shape, classes = data.train.input_shape, len(data.classes)
    return set_up_of(chosen).network(activation, shape, classes, seed, device)


def train_network(run: Run, activation: str, seed: int, checkpoint: Checkpoint) -> Trained:
    """Train one network, write its weights and return what the report is made from."""
    chosen, data, name = run.chosen, run.data[0], f"{activation}-seed{seed}"
    network = build_network(activation, chosen, data, seed, run.device)
    label = f"{activation:<{max(map(len, chosen.activations))}}"
    history = run.record(
        name,
        f"seed {seed}  {label}" if chosen.seeds > 1 else label,
        *(network, data.train, data.test, set_up_of(chosen).optimizer()),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=batches_rng(seed),
        checkpoint=checkpoint,
    )
    network.save(run.weights_of(name))
    return Trained(history, over_all_images(network, data.train, SoftmaxCrossEntropy()))
