"""The network of the CIFAR-10 study, and its training with snapshots between the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minidl import (
    Conv2D,
    Dense,
    Examples,
    Flatten,
    MaxPool2D,
    Network,
    SoftmaxCrossEntropy,
    evaluate,
    get_activation,
    probe,
)
from minidl.backend import Array, Device, namespace, to_numpy
from minidl.fast.pool import one_pool
from minidl.losses import Loss
from minidl.study import Run
from minidl.study.pairs import ACTIVATIONS
from minidl.study.recording import History
from minidl.study.seeds import batches_rng, keras_optimizer, weights_rng
from minidl.study.series import PROBED
from minidl.training.checkpoint import Checkpoint

EPOCHS = 10  # in the study
BATCH_SIZE = 64
LEARNING_RATE = 0.001
GENTLE = 0.0001  # of another sigmoid network, whose first steps are a tenth as long
JUDGED = 2000  # test images on which a snapshot measures the accuracy
LOOKS = 8  # snapshots per epoch, evenly spaced; the first has more, after 1, 2, 4, 8, … steps

CHANCE = 0.11  # a test accuracy of at most this is chance: the answer ignores the image


class Cell(NamedTuple):
    """One network of a run."""

    activation: str
    seed: int
    learning_rate: float = LEARNING_RATE
    until_it_moves: bool = False  # training ends one epoch after the first one above chance


def cells(seed: int, others: int) -> dict[str, Cell]:
    """Both networks by name; then sigmoid with ``others`` more seeds, and with smaller steps."""
    found = {f"{f}-seed-{seed}": Cell(f, seed) for f in ACTIVATIONS}
    for other in range(seed + 1, seed + 1 + others):
        found[f"sigmoid-seed-{other}"] = Cell("sigmoid", other, until_it_moves=True)
    return found | {"sigmoid-gentle": Cell("sigmoid", seed, GENTLE, until_it_moves=True)}


@dataclass(frozen=True)
class LayerSnapshot:
    """One layer of parameters on the probed images."""

    gradient: float  # mean |∂L/∂W|, L summed over the images
    one_sign: float  # Σ_j |Σ_i ∂L/∂W_ij| / Σ_ij |∂L/∂W_ij|: 1 if each unit's have one sign
    size: float  # mean |z|
    flat: float  # share of slopes f'(z) below 1% of the steepest
    spread: float  # standard deviation of y over the images, averaged over the units


@dataclass(frozen=True)
class Snapshot:
    """The network between two steps."""

    epoch: float  # passes over the training images so far
    step: int  # steps so far
    accuracy: float  # on the first test images
    layers: dict[str, LayerSnapshot]


class Outcome(NamedTuple):
    """What is kept of one training run."""

    history: History
    snapshots: list[Snapshot]
    filters: tuple[np.ndarray, np.ndarray]  # conv2d_1.W before and after
    probabilities: np.ndarray  # (n, classes) on the test images that are shown


def build_network(
    activation: str, shape: tuple[int, ...], classes: int, seed: int, device: Device
) -> Network:
    """Glorot-uniform weights and zero biases as in Keras; softmax is left to the loss."""
    channels, height, width = shape
    places = (height - 2) // 2 * ((width - 2) // 2)
    layers = [
        Conv2D(channels, 32, 3, activation=activation),
        MaxPool2D(2),
        Flatten(),
        Dense(32 * places, 128, activation),
        Dense(128, classes),
    ]
    return Network(layers, shape, rng=weights_rng(seed), device=device)


def run_network(
    run: Run, name: str, cell: Cell, shown: np.ndarray, checkpoint: Checkpoint
) -> Outcome:
    """Train one network and write its weights, with snapshots before some steps and at the end.

    A snapshot changes nothing that a step reads.
    """
    (data,) = run.data
    shape = data.train.input_shape
    network = build_network(cell.activation, shape, len(data.classes), cell.seed, run.device)
    filters = network["conv2d_1"].parameters()["W"]
    before = to_numpy(filters).copy()
    loss = SoftmaxCrossEntropy()
    train, test = data.train.to(run.device), data.test.to(run.device)
    probed, judged = train.first(PROBED), test.first(JUDGED)
    steps = math.ceil(len(train) / BATCH_SIZE)
    snapshots: list[Snapshot] = checkpoint.track("snapshots", [], list[Snapshot])

    def keep_snapshot(epoch: int, i: int) -> None:
        done = epoch + i / steps
        snapshots.append(take_snapshot(network, loss, probed, judged, done, epoch * steps + i))

    def watch(epoch: int, i: int) -> None:
        if i in _moments(steps, is_first=epoch == 0):
            keep_snapshot(epoch, i)

    def has_moved(history: History) -> bool:
        moved = plateau(history.test_accuracy)
        return cell.until_it_moves and moved is not None and len(history.seconds) > moved + 1

    history = run.record(
        name,
        f"{name.replace('-', ' '):<22}",
        *(network, train, test, keras_optimizer("adam", cell.learning_rate)),
        epochs=run.chosen.epochs,
        batch_size=BATCH_SIZE,
        rng=batches_rng(cell.seed),
        checkpoint=checkpoint,
        probe_size=PROBED,
        watch=watch,
        after=has_moved,
    )
    keep_snapshot(len(history.seconds), 0)
    network.save(run.weights_of(name))
    after = to_numpy(filters).copy()
    x, _ = data.test.take(shown).batch(0, len(shown), network.dtype)
    probabilities = get_activation("softmax")(network.predict(x))
    return Outcome(history, snapshots, (before, after), probabilities)


def _moments(steps: int, is_first: bool) -> set[int]:
    """The steps of an epoch before which a snapshot is taken."""
    even = {steps * k // LOOKS for k in range(LOOKS)}
    return even | {2**k for k in range(steps.bit_length()) if 2**k < steps} if is_first else even


def take_snapshot(
    network: Network,
    loss: Loss,
    probed: Examples,
    judged: Examples,
    epoch: float,
    step: int,
) -> Snapshot:
    """A snapshot: every layer with parameters after a pass forward and backward on ``probed``."""
    accuracy = evaluate(network, judged, loss).accuracy
    x, targets = probed.batch(0, PROBED, network.dtype)
    with one_pool():  # the same sums whether another network is in a step or not
        found = probe(network, loss, x, targets, "sum")
    gradients = {g.layer: g.mean_abs for g in found.gradients if g.parameter == "W"}
    flat = {units.layer: units.saturated for units in found.units}
    xp = network.device.xp
    layers = {
        layer.name: LayerSnapshot(
            gradients[layer.name],
            one_sign(layer.dW if isinstance(layer, Dense) else by_unit(layer.dW)),
            float(xp.abs(layer.z).mean(dtype=np.float64)),
            flat[layer.name],
            float(layer.y.std(axis=0, dtype=np.float64).mean()),
        )
        for layer in network.layers
        if isinstance(layer, Conv2D | Dense)
    }
    return Snapshot(epoch, step, accuracy, layers)


def one_sign(dW: Array) -> float:
    """Σ_j |Σ_i dW_ij| / Σ_ij |dW_ij| of dW (n_in, n_out); NaN if all of them are 0."""
    xp = namespace(dW)
    whole = float(xp.abs(dW).sum(dtype=np.float64))
    sums = float(xp.abs(dW.sum(axis=0, dtype=np.float64)).sum())
    return sums / whole if whole > 0 else float("nan")


def by_unit(dW: Array) -> Array:
    """dW (C_out, C_in, kh, kw) of a convolution as (n_in, n_out), as a dense layer has it."""
    return dW.reshape(len(dW), -1).T


def plateau(test_accuracy: Sequence[float] | np.ndarray) -> int | None:
    """Epochs before the first one whose test accuracy is above chance; None if there is none."""
    above = np.flatnonzero(np.asarray(test_accuracy) > CHANCE)
    return int(above[0]) if len(above) else None


def first_of_each_class(test: Examples) -> np.ndarray:
    """The rows of the first image of each class."""
    return np.unique(to_numpy(test.targets), return_index=True)[1]
