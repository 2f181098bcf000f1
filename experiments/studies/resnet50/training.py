"""The training runs: ResNet-50 by data set, optimizer and function, tested with both statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minidl import EarlyStopping, Examples, Network, SoftmaxCrossEntropy, evaluate, train
from minidl.backend import Array, Device, to_numpy
from minidl.data import Dataset
from minidl.inspection import gradient_figures
from minidl.layers import BatchNorm
from minidl.models import resnet50
from minidl.study import Run
from minidl.study.seeds import batches_rng, weights_rng
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

SET_UPS = {"as_run": "as run", "as_described": "as described"}
STEMS = {"mnist": (7, 2), "cifar-10": (3, 1)}  # kernel and stride of the first convolution
STAGES = ("stem", "stage_1", "stage_2", "stage_3", "stage_4")
BATCH_SIZE = 64
MOMENTUM = 0.9  # of running statistics; PyTorch writes 0.1
MOMENTA = (0.5, 0.99)  # beside it
BATCH_SIZES = (16, 256)
COLLAPSES = "mnist", "adam"  # the setting that the text explains by vanishing gradients
BY_EPOCH = (
    *("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    *("batch_loss", "batch_accuracy", "seconds"),
)


@dataclass(frozen=True)
class Size:
    """How large it all is: as published, or small enough for a processor."""

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
    """The grid in both set-ups; as run, other seeds and other statistics in a part of it.

    The other seeds are for every function where the published accuracies differ most, and for
    ReLU elsewhere.
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
    recorder, loss = run.recorder_of(str(cell)), SoftmaxCrossEntropy()
    stopping = kept.keep("stopping", EarlyStopping(PATIENCE))
    by_epoch: dict[str, list[float]] = kept.keep("by_epoch", {name: [] for name in BY_EPOCH})
    by_stage: dict[str, list[list[float]]] = kept.keep("by_stage", {})
    probed = images.train.first(BATCH_SIZE).to(run.device)

    def look(epoch: int) -> None:
        if recorder is not None:
            recorder.look(network, loss, *probed.batch(0, BATCH_SIZE, network.dtype), epoch)

    if not by_epoch["seconds"]:
        look(0)
    for epoch in train(
        network,
        images.train,
        loss,
        build_optimizer(cell.optimizer),
        epochs=size.epochs,
        batch_size=cell.batch_size,
        rng=batches_rng(cell.seed),
        progress=run.progress(f"{cell!s:<60}"),
        graph=run.chosen.graph,
        checkpoint=kept,
    ):
        stages = {"gradients": gradients(network)}  # of the epoch's last batch
        seen = evaluate(network, images.validation, loss, BATCH_SIZE)  # ResNet keeps much
        in_batches, stages["shift"], stages["scale"] = with_batch_statistics(
            network, images.validation, cell.batch_size
        )
        figures = (
            *(epoch.train_loss, epoch.train_accuracy, seen.loss, seen.accuracy),
            *(*in_batches, epoch.seconds),
        )
        for name, value in zip(BY_EPOCH, figures, strict=True):
            by_epoch[name].append(value)
        for name, values in stages.items():
            by_stage.setdefault(name, []).append(values)
        look(epoch.number)
        if stopping.update(network, seen.loss):
            break
    (_, test_in_batches), *_ = with_batch_statistics(network, images.test, cell.batch_size)
    last = evaluate(network, images.test, loss, BATCH_SIZE)
    stopping.restore(network)
    best = evaluate(network, images.test, loss, BATCH_SIZE)
    return {
        **cell._asdict(),
        **by_epoch,
        **by_stage,
        "epochs": stopping.epoch,
        "best_epoch": stopping.best_epoch,
        "test": {"last": asdict(last) | {"batch_accuracy": test_in_batches}, "best": asdict(best)},
        "images": [len(images.train), len(images.validation), len(images.test)],
    }


def gradients(network: Network) -> list[float]:
    """‖∂L/∂W‖ of all convolutions of each stage together."""
    squares = dict.fromkeys(STAGES, 0.0)
    for g in gradient_figures(network):
        stage = g.layer.partition(".")[0]
        if g.parameter == "W" and stage in squares:
            squares[stage] += g.l2_norm**2
    return [math.sqrt(square) for square in squares.values()]


def with_batch_statistics(
    network: Network, examples: Examples, batch_size: int
) -> tuple[tuple[float, float], list[float], list[float]]:
    """Loss and accuracy with the statistics of each batch, and how far from the running ones.

    By stage, medians over its channels: |μ_running − μ_batch| / σ_batch, and σ_batch / σ_running.
    The network is left as it was.
    """
    examples, loss = examples.to(network.device), SoftmaxCrossEntropy()
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
            terms = loss.terms(logits, targets)[0], loss.hits(logits, targets)
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
    """Of the channels in each stage."""
    named = [
        (norm.name.partition(".")[0], to_numpy(v)) for norm, v in zip(layers, values, strict=True)
    ]
    return [
        float(np.median(np.concatenate([v for name, v in named if name == stage])))
        for stage in STAGES
    ]
