"""How deep a network can be and still train, compared with 6 ξ_c; and how long a prediction holds.

Source: Schoenholz, Gilmer, Ganguli and Sohl-Dickstein, Deep Information Propagation, ICLR 2017,
figure 5: tanh networks on MNIST with σ_b² = 0.05, accuracy by depth and σ_w².
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minidl import SGD, Examples, NonFiniteLoss, SoftmaxCrossEntropy, evaluate
from minidl.initializers import Initializer
from minidl.propagation import MeanField, measured, predicted
from minidl.study.training import train
from studies.signal_propagation.measure import build

DEPTHS_PER_XI = 6  # how deep a network trains, in units of ξ_c: the paper, figure 5
SIGMA_B2 = 0.05


@dataclass(frozen=True)
class Cell:
    """One cell of the heat map: a network with that many hidden layers, after training."""

    depth: int
    sigma_w2: float
    accuracy: float  # on test images; NaN if the loss became infinite or NaN


@dataclass(frozen=True)
class Drift:
    """What theory predicts for a network after some epochs, and what is measured."""

    epoch: int  # 0: before training
    predicted: float  # the factor of E dz² per hidden layer, from the weights' mean squares
    measured: float
    accuracy: float  # running, over the epoch; NaN at the start


def normal(variance: float, fan_in: bool) -> Initializer:
    """N(0, variance / n_in), or N(0, variance) for biases."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> np.ndarray:
        return rng.normal(0, math.sqrt(variance / (n_in if fan_in else 1)), shape)

    return draw


def reach(sigma_w2: float, sigma_b2: float = SIGMA_B2, f: str = "tanh") -> float:
    """6 ξ_c layers at the stable variance: how deep a network should train.

    Infinite on the line between order and chaos; NaN if there is no stable variance.
    """
    field = MeanField(f, sigma_w2, sigma_b2)
    stable = [point for point in field.fixed_points() if point.stable]
    return DEPTHS_PER_XI * field.depth_scales(stable[0].q)[1] if stable else math.nan


def train_once(
    depth: int,
    sigma_w2: float,
    examples: Examples,
    test: Examples,
    *,
    sigma_b2: float = SIGMA_B2,
    width: int = 300,
    learning_rate: float = 0.01,
    batch_size: int = 64,
    f: str = "tanh",
    seed: int = 0,
) -> Cell:
    """The accuracy after one pass over ``examples`` with plain gradient descent."""
    start = normal(sigma_w2, fan_in=True), normal(sigma_b2, fan_in=False)
    network = build(f, start, width, depth, examples, seed)
    try:
        for _ in train(
            network,
            examples,
            SoftmaxCrossEntropy(),
            SGD(learning_rate),
            epochs=1,
            batch_size=batch_size,
            rng=seed,
            progress=False,
        ):
            pass
        accuracy = evaluate(network, test, SoftmaxCrossEntropy()).accuracy
    except NonFiniteLoss:
        accuracy = math.nan
    return Cell(depth, sigma_w2, accuracy)


def trained(cell: Cell, best: float, chance: float) -> bool:
    """Whether its accuracy is more than halfway from chance to the best."""
    return cell.accuracy > (best + chance) / 2  # False for NaN


def drift(
    f: str,
    start: tuple[Initializer | str, Initializer | str],
    width: int,
    depth: int,
    examples: Examples,
    *,
    epochs: int,
    learning_rate: float = 0.01,
    probed: int = 32,
    seed: int = 0,
) -> Iterator[Drift]:
    """Prediction and measurement before training and after each epoch."""
    loss = SoftmaxCrossEntropy()
    network = build(f, start, width, depth, examples, seed)
    x, labels = examples.batch(0, probed, network.dtype)

    def now(epoch: int, accuracy: float) -> Drift:
        both = predicted(network, loss, x, labels, rng=seed), measured(network, loss, x, labels)
        factors = [(rows[0].dz2 / rows[-2].dz2) ** (1 / (depth - 1)) for rows in both]
        return Drift(epoch, factors[0], factors[1], accuracy)

    yield now(0, math.nan)
    for epoch in train(
        network, examples, loss, SGD(learning_rate), epochs=epochs, rng=seed, progress=False
    ):
        yield now(epoch.number, epoch.train_accuracy)


def agreement(cells: list[Cell], chance: float, sigma_b2: float = SIGMA_B2) -> tuple[int, int]:
    """How many cells agree with 6 ξ_c, and how many are judged.

    A cell agrees if its network trained and is less deep than 6 ξ_c, or did not train and is
    deeper.  Cells within a factor of two of 6 ξ_c are not judged: there, whether a network has
    trained depends on the number of steps.
    """
    best = max((cell.accuracy for cell in cells if not math.isnan(cell.accuracy)), default=chance)
    lines = {w: reach(w, sigma_b2) for w in {cell.sigma_w2 for cell in cells}}
    judged = [
        trained(cell, best, chance) == (cell.depth < lines[cell.sigma_w2])
        for cell in cells
        if not 0.5 <= cell.depth / lines[cell.sigma_w2] <= 2
    ]
    return sum(judged), len(judged)
