"""Training as a generator of epochs, and evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from minidl.backend import Array
from minidl.examples import Examples
from minidl.inspection import first_nonfinite
from minidl.losses import Loss
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.progress import Progress


class NonFiniteLoss(FloatingPointError):
    """The loss of a training step became NaN or infinite."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss over all examples, and the share of right answers (NaN for a regression)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training examples gave.

    Loss and accuracy are running ones: each batch is judged by the network as
    it was when the batch came, and dropout is on.
    """

    number: int  # from 1
    train_loss: float  # mean over the examples
    train_accuracy: float  # share of right answers, NaN for a regression
    steps: int
    seconds: float  # of training alone
    images_per_second: float
    update: Array  # Δθ (P,) of the last step; lasts until the next epoch


def train(
    network: Network,
    examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int = 64,
    rng: np.random.Generator | int = 0,
    augment: Callable[[Array], Array] | None = None,
    progress: bool | str = True,
) -> Iterator[Epoch]:
    """Train, and yield one :class:`Epoch` after each pass over ``examples``.

    What happens between epochs is code in the loop::

        for epoch in train(network, examples, loss, Adam(), epochs=20):
            print(probe(network, loss, x, labels, update=epoch.update))

    Every epoch takes the examples in a new order drawn from ``rng``; the last
    batch is smaller where ``batch_size`` does not divide their number.
    ``augment``, say an :class:`minidl.augmentation.Augmentation`, changes the
    images of each batch before they are scaled.
    ``progress`` shows a bar on a terminal and a line per epoch elsewhere; a
    string is shown in front.

    Raises
    ------
    ValueError
        for epochs or a batch size below 1.
    NonFiniteLoss
        where the loss of a step is NaN or infinite, with epoch, step and the
        first layer in which it appears.  The parameters stay as they were
        before that step.
    """
    for what, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"train: expected {what} of at least 1, got {value}")
    return _train(network, examples, loss, optimizer, epochs, batch_size, rng, augment, progress)


def _train(
    network: Network,
    examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator | int,
    augment: Callable[[Array], Array] | None,
    progress: bool | str,
) -> Iterator[Epoch]:
    rng = np.random.default_rng(rng)
    examples = examples.to(network.device)
    steps = math.ceil(len(examples) / batch_size)
    update = network.device.xp.empty_like(network.theta)
    with Progress(progress, epochs, steps) as shown:
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            order = network.device.asarray(rng.permutation(len(examples)))
            loss_sum = hits = 0.0
            for step in range(steps):
                rows = order[step * batch_size : (step + 1) * batch_size]
                x, targets = examples.draw(rows, network.dtype, augment)
                if step == steps - 1:
                    update[...] = network.theta
                # An overflow is reported below, with the place where it began.
                with np.errstate(over="ignore", invalid="ignore"):
                    logits = network.forward(x, training=True)
                    value, dlogits = loss(logits, targets)
                    if not math.isfinite(value):
                        raise NonFiniteLoss(_where(network, float(value), number, step + 1))
                    network.backward(dlogits)
                    optimizer.step(network.theta, network.dtheta)
                loss_sum += float(value) * len(rows)
                hits += float(loss.hits(logits, targets))
                shown.step()
            np.subtract(network.theta, update, out=update)
            network.device.synchronize()
            seconds = time.perf_counter() - start
            epoch = Epoch(
                number,
                loss_sum / len(examples),
                hits / len(examples),
                steps,
                seconds,
                len(examples) / seconds,
                update,
            )
            shown.epoch(
                epoch.number, epoch.train_loss, epoch.train_accuracy, seconds, len(examples)
            )
            yield epoch


def _where(network: Network, value: float, epoch: int, step: int) -> str:
    place = first_nonfinite(network) or "the loss itself, all layers are finite"
    return (
        f"epoch {epoch}, step {step}: the loss is {value}, which first appears in {place}; "
        "try a smaller learning_rate, or clip_norm=1.0"
    )


def evaluate(network: Network, examples: Examples, loss: Loss, batch_size: int = 256) -> Evaluation:
    """Mean loss and accuracy over ``examples`` as in inference, batch by batch, in order."""
    if batch_size < 1:
        raise ValueError(f"evaluate: expected a batch_size of at least 1, got {batch_size}")
    examples = examples.to(network.device)
    loss_sum = hits = 0.0
    for start in range(0, len(examples), batch_size):
        x, targets = examples.batch(start, start + batch_size, network.dtype)
        logits = network.forward(x)
        value, _ = loss(logits, targets)
        loss_sum += float(value) * len(x)
        hits += float(loss.hits(logits, targets))
    return Evaluation(loss_sum / len(examples), hits / len(examples))
