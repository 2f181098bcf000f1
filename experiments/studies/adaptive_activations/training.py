"""The networks of the study of adaptive activation functions, and how each is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from minidl import (
    APL,
    ActivationLayer,
    Adam,
    AveragePool2D,
    Conv2D,
    Dense,
    Dropout,
    Examples,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    Network,
)
from minidl.backend import Device, to_numpy
from minidl.data.augmentation import Augmentation
from minidl.study import Run
from minidl.study.recording import History
from minidl.study.seeds import batches_rng, weights_rng
from minidl.study.series import PROBED
from minidl.training.checkpoint import Checkpoint

FUNCTIONS = ("apl", "relu", "leaky_relu")
HINGES = (1, 2, 3, 4, 5, 10)  # the values of S in table 21
S = 5  # everywhere else
DEPTHS = (3, 5, 7)
SHAPES_AFTER = (0, 1, 3, 5, 10)  # epochs


@dataclass(frozen=True)
class Size:
    """How large the images and networks are: as published, or small enough for a CPU."""

    train_images: int
    test_images: int
    epochs: int
    batch_size: int
    channels: tuple[int, int, int]
    dense: int
    depth_channels: int
    depth_side: int  # pixels of the images that the networks of 3, 5, 7 layers see


FULL = Size(50_000, 10_000, 10, 128, (96, 128, 256), 2048, 64, 32)
REDUCED = Size(10_000, 2_500, 10, 32, (24, 32, 64), 512, 16, 16)

Shapes = dict[int, list[tuple[np.ndarray, np.ndarray]]]  # by epoch: a and b (S, C) of each layer


class Outcome(NamedTuple):
    """What is kept of one training run."""

    history: History
    shapes: Shapes  # empty for a network without APL


Images = tuple[Examples, Examples]  # training, test
Outcomes = dict[tuple[str, str], Outcome]  # by experiment, and S or function


@dataclass(frozen=True)
class Training:
    """What all training runs of one seed have in common."""

    size: Size
    train: Examples
    test: Examples
    classes: int
    seed: int
    device: Device
    record: Callable[..., History]  # as that of minidl.study.run.Run
    checkpoint: Checkpoint

    @classmethod
    def start(
        cls, run: Run, size: Size, images: Images, seed: int, by: By, checkpoint: Checkpoint
    ) -> Outcomes:
        """Do one task of a run."""
        train, test = (examples.to() for examples in images)  # buffers of its own
        classes = len(run.data[0].classes)
        return by(cls(size, train, test, classes, seed, run.device, run.record, checkpoint))

    def shrunk(self) -> Training:
        """The same with the images that the networks of 3, 5 and 7 layers see."""
        factor = self.train.input_shape[-1] // self.size.depth_side
        if factor == 1:
            return self
        both = (shrunk(examples, factor) for examples in (self.train, self.test))
        return replace(self, train=next(both), test=next(both))

    def rng(self) -> np.random.Generator:
        """The generator for batches and augmentation."""
        return batches_rng(self.seed)

    def run(self, network: Network, rng: np.random.Generator, label: str) -> Outcome:
        """Train the network, new or trained before, for the epochs of the study."""
        name = re.sub(r"\W+", "-", label)  # of its files
        checkpoint = self.checkpoint.child(name)
        shapes = checkpoint.track("shapes", {0: list(hinges_of(network))}, Shapes)

        def keep_shapes(history: History) -> bool:
            epoch = len(history.seconds)
            if epoch in SHAPES_AFTER:
                shapes[epoch] = list(hinges_of(network))
            return False

        padding = self.train.input_shape[-1] // 8  # 4 of 32 pixels
        history = self.record(
            *(f"{name}-seed{self.seed}", f"seed {self.seed}  {label:<26}"),
            *(network, self.train, self.test, Adam(l2=0.001)),
            epochs=self.size.epochs,
            batch_size=self.size.batch_size,
            rng=rng,
            checkpoint=checkpoint,
            augment=Augmentation(padding, rng=rng.spawn(1)[0]),
            probe_size=PROBED,
            after=keep_shapes,
        )
        return Outcome(history, shapes if shapes[0] else {})

    # -- one task for each network, or for several where one starts from the other ----------------

    def hinges_as_run(self) -> Outcomes:
        """Table 21 as run: one network whose training continues while S grows."""
        rng = self.rng()
        outcomes = {}
        before = None
        for hinges in HINGES:
            network = build_network(self, "apl", hinges)
            if before is not None:
                carry_over(before, network)
            label = f"S = {hinges}, trained on"
            outcomes["hinges_as_run", str(hinges)] = self.run(network, rng, label)
            before = network
        return outcomes

    def hinges_as_described(self, hinges: int) -> Outcomes:
        """Table 21 as described: a new network for each S."""
        outcome = self.run(build_network(self, "apl", hinges), self.rng(), f"S = {hinges}")
        return {("hinges_as_described", str(hinges)): outcome}

    def function(self, name: str) -> Outcomes:
        """Table 22 as described; as run, the ReLU network has been trained before."""
        rng = self.rng()
        network = build_network(self, name, dense_too=True)
        outcomes = {("functions_as_described", name): self.run(network, rng, name)}
        if name == "relu":
            outcomes["functions_as_run", name] = self.run(network, rng, "relu, trained before")
        return outcomes

    def depth(self, layers: int, name: str) -> Outcomes:
        """Experiment 3, where text and run agree."""
        small = self.shrunk()
        network, label = deep_network(small, name, layers), f"{layers} layers, {name}"
        outcome = small.run(network, self.rng(), label)
        return {(f"depth_{layers}", name): outcome}


By = Callable[[Training], Outcomes]  # a task


def activation(name: str, channels: int, hinges: int) -> Layer:
    return APL(channels, hinges) if name == "apl" else ActivationLayer(name)


def build_network(
    training: Training, function: str, hinges: int = S, dense_too: bool = False
) -> Network:
    """Three convolutions and two dense layers; ``dense_too``: these have the function as well."""

    def conv(n_in: int, n_out: int) -> list[Layer]:
        kernel = Conv2D(n_in, n_out, 5, padding=2, weights="he_normal")
        return [kernel, activation(function, n_out, hinges)]

    def dense(n_in: int, n_out: int) -> list[Layer]:
        f = [activation(function, n_out, hinges)] if dense_too else []
        return [Dense(n_in, n_out, weights="he_normal"), *f, Dropout(0.5)]

    shape, size = training.train.input_shape, training.size
    c1, c2, c3 = size.channels
    side = shape[-1]
    for _ in range(3):
        side = (side - 3) // 2 + 1
    layers = [
        *(*conv(shape[0], c1), MaxPool2D(3, 2), Dropout(0.25)),
        *(*conv(c1, c2), AveragePool2D(3, 2), Dropout(0.25)),
        *(*conv(c2, c3), AveragePool2D(3, 2), Dropout(0.25)),
        *(Flatten(), *dense(c3 * side * side, size.dense), *dense(size.dense, size.dense)),
        Dense(size.dense, training.classes, weights="he_normal"),
    ]
    return Network(layers, shape, rng=weights_rng(training.seed), device=training.device)


def deep_network(training: Training, function: str, depth: int) -> Network:
    """``depth`` convolutions of the same width and image size, then the mean of each channel."""
    shape, n = training.train.input_shape, training.size.depth_channels
    layers: list[Layer] = []
    for n_in in (shape[0], *[n] * (depth - 1)):
        layers.append(Conv2D(n_in, n, 3, padding=1, weights="he_normal"))
        layers.append(activation(function, n, S))
    layers += [GlobalAveragePool2D(), Dense(n, training.classes, weights="he_normal")]
    return Network(layers, shape, rng=weights_rng(training.seed), device=training.device)


def carry_over(before: Network, after: Network) -> None:
    """Copy the parameters of ``before`` into ``after``; its additional hinges start with a = b = 0.

    At first it computes the same function, as in the study, whose loss continues without a jump.
    """
    for (*_, old, _), (*_, new, _) in zip(before.parameters(), after.parameters(), strict=True):
        new[...] = 0
        new[: len(old)] = old


def hinges_of(network: Network) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """a and b of each APL layer, copied."""
    for layer in network.walk():
        if isinstance(layer, APL):
            yield to_numpy(layer.a).copy(), to_numpy(layer.b).copy()


def prepared(examples: Examples, n: int) -> Examples:
    """The first ``n`` images, from −1 to 1."""
    half = (0.5,) * examples.input_shape[0]
    first = examples.first(n)
    return Examples(first.inputs, first.targets, mean=half, std=half)


def shrunk(examples: Examples, factor: int) -> Examples:
    """Replace each block of ``factor`` × ``factor`` pixels by its mean."""
    N, C, height, width = examples.inputs.shape
    blocks = examples.inputs.reshape(N, C, height // factor, factor, width // factor, factor)
    means = np.rint(blocks.mean(axis=(3, 5))).astype(np.uint8)
    return Examples(means, examples.targets, mean=examples.mean, std=examples.std)
