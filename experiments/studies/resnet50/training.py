"""The training runs: ResNet-50 by data set, optimizer and function, tested with both statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minidl import Examples, Network, SoftmaxCrossEntropy, evaluate
from minidl.backend import Array, Device, to_numpy
from minidl.data import Dataset
from minidl.inspection import gradient_stats
from minidl.layers import BatchNorm
from minidl.models import resnet50
from minidl.study import Run
from minidl.study.correct import packed
from minidl.study.seeds import batches_rng, weights_rng
from minidl.study.sized_study import SET_UPS
from minidl.study.validated import ValidatedTraining
from minidl.training.checkpoint import Checkpoint
from studies.activation_study.training import (
    ACTIVATIONS,
    EPOCHS,
    OPTIMIZERS,
    PATIENCE,
    PIXELS,
    CellData,
    Images,
    build_optimizer,
)

STEMS = {"mnist": (7, 2), "cifar-10": (3, 1)}  # kernel and stride of the first convolution
STAGES = ("stem", "stage_1", "stage_2", "stage_3", "stage_4")
BATCH_SIZE = 64
MOMENTUM = 0.9  # of running statistics; PyTorch writes 0.1
MOMENTA = (0.5, 0.99)  # besides
BATCH_SIZES = (16, 256)
COLLAPSES = "mnist", "adam"  # the setting that the text explains by vanishing gradients
LOSS = SoftmaxCrossEntropy()
BY_EPOCH = (
    *("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    *("batch_loss", "batch_accuracy", "seconds"),
)


@dataclass(frozen=True)
class Size:
    """How large everything is: as published, or small enough for a CPU."""

    width: float  # a factor on all channels
    images: int | None  # for training and validation, 4 : 1; None: all
    test_images: int | None
    epochs: int  # at most


FULL = Size(1, None, None, EPOCHS)
REDUCED = Size(0.25, 4_000, 1_250, 6)


class Cell(NamedTuple):
    """One training run."""

    set_up: str
    data_set: str
    optimizer: str
    activation: str
    seed: int
    momentum: float = MOMENTUM
    batch_size: int = BATCH_SIZE

    def __str__(self) -> str:
        names = "-".join(self[:4])
        statistics = f"momentum{100 * self.momentum:.0f}-batch{self.batch_size}"
        return f"{names}-{statistics}-seed{self.seed}"


def cells(seeds: Sequence[int]) -> Iterator[Cell]:
    """The grid in both set-ups; as run, with more seeds and other statistics in part of it.

    Every function has more seeds where the published accuracies differ most, and ReLU has them
    everywhere.
    """
    for set_up in SET_UPS:
        for setting in ((d, o) for d in PIXELS for o in OPTIMIZERS):
            for f in ACTIVATIONS:
                several = set_up == "as_run" and (setting == COLLAPSES or f == "relu")
                for seed in seeds if several else seeds[:1]:
                    yield Cell(set_up, *setting, f, seed)
    one = Cell("as_run", *COLLAPSES, "relu", seeds[0])
    yield from (one._replace(momentum=momentum) for momentum in MOMENTA)
    yield from (one._replace(batch_size=size) for size in BATCH_SIZES)


def images_of(data: Dataset, size: Size, seed: int) -> Images:
    """The first images of each part; a fifth of those for training are for validation."""
    some = replace(
        data,
        train=data.train.first(size.images or len(data.train)),
        test=data.test.first(size.test_images or len(data.test)),
    )
    return Images.of(some, seed)


def build_network(
    cell: Cell, images: Images, classes: int, width: float, device: Device
) -> Network:
    channels, side, _ = images.train.input_shape
    kernel, stride = STEMS[cell.data_set]
    network = resnet50(
        *(classes, channels, cell.activation, cell.set_up == "as_described"),
        width=width,
        size=side,
        stem_kernel=kernel,
        stem_stride=stride,
        rng=weights_rng(cell.seed),
        device=device,
    )
    for norm in norms(network):
        norm.momentum = cell.momentum
    return network


def norms(network: Network) -> list[BatchNorm]:
    return [layer for layer in network.walk() if isinstance(layer, BatchNorm)]


def train_cell(
    run: Run, size: Size, cell: Cell, images: Images, classes: int, kept: Checkpoint
) -> CellData:
    """Train one network and return all that is kept of it, ready for JSON."""
    network = build_network(cell, images, classes, size.width, run.device)
    training = ValidatedTraining(run, str(cell), network, images, kept, PATIENCE, BY_EPOCH)
    by_stage: dict[str, list[list[float]]] = kept.track("by_stage", {})
    for _ in training.epochs(
        f"{cell!s:<60}",
        build_optimizer(cell.optimizer),
        epochs=size.epochs,
        batch_size=cell.batch_size,
        rng=batches_rng(cell.seed),
        at_once=BATCH_SIZE,  # ResNet keeps many activations
    ):
        stages = {"gradients": gradients(network)}  # of the epoch's last batch
        in_batches, stages["shift"], stages["scale"] = with_batch_statistics(
            network, images.validation, cell.batch_size
        )
        for name, value in zip(("batch_loss", "batch_accuracy"), in_batches, strict=True):
            training.by_epoch[name].append(value)
        for name, values in stages.items():
            by_stage.setdefault(name, []).append(values)
    (_, accuracy), *_ = with_batch_statistics(network, images.test, cell.batch_size)
    found = training.tested(lambda: tested(network, images.test))
    found["test"]["last"]["batch_accuracy"] = accuracy
    return {**cell._asdict(), **training.by_epoch, **by_stage, **found}


def gradients(network: Network) -> list[float]:
    """‖∂L/∂W‖ of all convolutions of each stage together."""
    squares = dict.fromkeys(STAGES, 0.0)
    for g in gradient_stats(network):
        stage = g.layer.partition(".")[0]
        if g.parameter == "W" and stage in squares:
            squares[stage] += g.l2_norm**2
    return [math.sqrt(square) for square in squares.values()]


def tested(network: Network, test: Examples) -> dict[str, Any]:
    """Loss, accuracy, and which of the test images are recognised."""
    found = evaluate(network, test, LOSS, BATCH_SIZE)
    return {"loss": found.loss, "accuracy": found.accuracy, "correct": packed(found.correct)}


def with_batch_statistics(
    network: Network, examples: Examples, batch_size: int
) -> tuple[tuple[float, float], list[float], list[float]]:
    """Loss and accuracy with each batch's statistics, and their distance from the running ones.

    By stage, medians over its channels: |μ_running − μ_batch| / σ_batch, and σ_batch / σ_running.
    The network is left as it was.
    """
    examples = examples.to(network.device)
    layers, running = norms(network), network.state.copy()
    before = [(norm.running_mean.copy(), norm.running_variance.copy()) for norm in layers]
    momenta = [norm.momentum for norm in layers]
    bounds = np.linspace(0, len(examples), max(1, len(examples) // batch_size) + 1).astype(int)
    sums, shifts, scales = np.zeros(2), [], []
    try:
        for norm in layers:
            norm.momentum = 0  # running statistics are those of the batch
        for start, stop in pairwise(bounds):
            x, targets = examples.batch(start, stop, network.dtype)
            logits = network.forward(x, training=True)
            terms = LOSS.per_example(logits, targets)[0], LOSS.correct(logits, targets)
            sums += [float(values.sum(dtype=np.float64)) for values in terms]
            found = [_distance(norm, *old) for norm, old in zip(layers, before, strict=True)]
            by_stage = [_medians(layers, [one[i] for one in found]) for i in (0, 1)]
            shifts.append(by_stage[0])
            scales.append(by_stage[1])
    finally:
        for norm, momentum in zip(layers, momenta, strict=True):
            norm.momentum = momentum
        network.state[...] = running
    mean_loss, accuracy = (sums / len(examples)).tolist()
    return (mean_loss, accuracy), *(np.mean(v, axis=0).tolist() for v in (shifts, scales))


def _distance(norm: BatchNorm, mean: Array, variance: Array) -> tuple[Array, Array]:
    """|μ_running − μ_batch| / σ_batch and σ_batch / σ_running of each channel."""
    of_batch, running = (np.sqrt(v + norm.epsilon) for v in (norm.running_variance, variance))
    return abs(mean - norm.running_mean) / of_batch, of_batch / running


def _medians(layers: Sequence[BatchNorm], values: Sequence[Array]) -> list[float]:
    """The medians over the channels of each stage."""
    named = [
        (norm.name.partition(".")[0], to_numpy(v)) for norm, v in zip(layers, values, strict=True)
    ]
    return [
        float(np.median(np.concatenate([v for name, v in named if name == stage])))
        for stage in STAGES
    ]
