"""One training step: batch, forward, loss, backward, update.

A step consists of the six lines of :meth:`TrainingStep.compute`.  On a GPU,
:class:`minidl.gpu.step.CudaStep` records the same lines as a CUDA graph; on several processes,
:class:`minidl.data_parallel.step.ParallelStep` adds up their gradients before the last one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl.backend import Array, Random, checks, namespace
from minidl.data.examples import Examples
from minidl.inspection import first_nonfinite
from minidl.kernel import at_full_speed
from minidl.layers import BatchNorm
from minidl.losses import Loss
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.training import nonfinite


@dataclass(frozen=True)
class Position:
    """How far a training run is."""

    epochs: int = 0  # done
    steps: int = 0  # done in the next epoch
    order: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # its rows (n,)
    seconds: float = 0.0  # spent on it so far


class TrainingStep:
    """The steps of a training run, and the loss of each example at its step."""

    is_root: bool = True  # whether this process shows and stores the results of training
    stop: threading.Event | None = None  # once it is set, training should stop

    def __init__(
        self,
        network: Network,
        examples: Examples,
        loss: Loss,
        optimizer: Optimizer,
        batch_size: int,
        augment: Callable[[Array], Array] | None = None,
        drop_last: bool = False,
    ) -> None:
        self.network = network
        network.device.require_memory(
            _memory(network, examples, optimizer, batch_size), "the training"
        )
        self.examples = examples.to(network.device)
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.augment = augment
        self.drop_last = drop_last
        self.seen = len(examples) - len(examples) % batch_size * drop_last  # examples of an epoch
        self.steps = math.ceil(self.seen / batch_size)  # of an epoch
        self.last_batch = self.seen - (self.steps - 1) * batch_size  # its size
        self._expect_batches(self.last_batch)
        check_targets(network, self.examples, loss)

        xp = network.device.xp
        self.losses = xp.empty(len(examples), network.dtype)  # in the order of the epoch
        self.correct = xp.empty(len(examples), network.dtype)
        self.done = 0  # steps of this epoch

    def __call__(self) -> None:
        """The next step of the epoch."""
        self._state = self.network.state.copy()  # running means change in the forward pass
        self.compute(self.order[self.batch])
        self.done += 1

    def compute(self, rows: Array) -> None:
        """The step on the examples of these rows."""
        x, t = self.examples.draw(rows, self.network.dtype, self.augment)
        logits = self.network.forward(x, training=True)
        losses, dlogits = self.loss.per_example(logits, t)
        self.record(losses, self.loss.correct(logits, t))
        self.network.backward(dlogits / len(rows))
        self.optimizer.step(self.network.theta, self.network.dtheta)

    def record(self, losses: Array, correct: Array) -> None:
        """Keep both for each example of the batch; raise if a loss is not finite."""
        self.losses[self.batch] = losses
        self.correct[self.batch] = correct
        if not np.isfinite(losses).all():
            self.raise_nonfinite(losses, first_nonfinite(self.network))

    @property
    def batch(self) -> slice:
        """Where the examples of this step are in the order of the epoch."""
        return slice(self.done * self.batch_size, (self.done + 1) * self.batch_size)

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        """A context in which to call the step up to ``steps`` times; ``order`` are the rows.

        The first ``done`` steps of the epoch are already done, see
        :mod:`minidl.training.checkpoint`.  At its end everything is computed, and a loss that is
        not finite is reported.
        """
        self.order = self.network.device.asarray(order)
        self.done = done
        with at_full_speed(), np.errstate(all="ignore"):  # the loss says where an overflow began
            yield

    def check_ranks(self, rng: np.random.Generator, **position: object) -> None:
        """Called before the first step, with the generator of the order and the position."""

    def synchronize(self) -> None:
        """Wait until the losses of all steps so far in the epoch are available."""
        self.network.device.synchronize()

    def barrier(self) -> None:
        """Wait until all processes that train together have arrived."""

    def is_stopped(self) -> bool:
        """Whether training should stop after this step."""
        return self.stop is not None and self.stop.is_set()

    def random_sources(self) -> list[Random]:
        """All that draws random numbers in a step: layers in forward order, and augmentation."""
        owners: list[Any] = [*self.network.walk(), self.augment]
        return [o for o in owners if isinstance(o, Random) and o.rng is not None]

    def mean_loss_and_accuracy(self) -> tuple[float, float]:
        """Those of the epoch so far, each batch at its own step."""
        seen = slice(self.done * self.batch_size)
        return (
            float(self.losses[seen].mean(dtype=np.float64)),
            float(self.correct[seen].mean(dtype=np.float64)),
        )

    def _expect_batches(self, smallest: int) -> None:
        """Raise ``ValueError`` if there is no step, or BatchNorm cannot measure the last batch."""
        n, B = len(self.examples), self.batch_size
        if not self.steps:
            raise ValueError(
                f"train: expected at least {B} examples, a batch, with drop_last, got {n}"
            )
        for layer, shape in self.network.with_shapes(input_shape=self.examples.input_shape):
            if isinstance(layer, BatchNorm):
                try:
                    layer.expect_several(smallest * math.prod(shape[1:]))
                except ValueError as error:
                    raise ValueError(f"train: {n} examples in batches of {B}: {error}") from None

    def raise_nonfinite(self, losses: Array, place: str | None) -> None:
        """Raise for a loss that is not finite, due to ``place`` or to the loss itself.

        The network is restored from before the step.
        """
        self.network.state[...] = self._state
        raise nonfinite.found_in_step(self, losses, place)


STEPS: dict[str, Callable[..., TrainingStep]] = {"cpu": TrainingStep}  # minidl.gpu adds "cuda"


def step_on(network: Network, *parts: Any) -> TrainingStep:
    """The step on the network's device."""
    return STEPS[network.device.name.partition(":")[0]](network, *parts)


# -- checks before the first step -------------------------------------------------------------


def check_parts(owner: str, network: Network, examples: Examples, loss: Loss) -> None:
    """Raise ``ValueError`` unless the arguments have the right types, and the examples match."""
    checks.instance(owner, "network", network, Network)
    network.expect_views(owner)
    if not isinstance(examples, Examples):
        raise ValueError(
            f"{owner}: expected examples of the class Examples, got {checks.describe(examples)}; "
            "Examples(x, y) are made of arrays, and fit(network, x, y) takes arrays themselves"
        )
    checks.instance(owner, "loss", loss, Loss)
    loss.expect_logits(owner, network)
    examples.check_network(owner, network)


def check_targets(network: Network, examples: Examples, loss: Loss) -> None:
    """Raise ``ValueError`` unless the loss can compare the targets with the network's outputs."""
    shape = (len(examples), *network.shapes[-1])
    loss.check_shapes(shape, examples.targets)
    loss.check_values(shape, examples.targets)


def expect_finite(owner: str, examples: Examples, dtype: np.dtype) -> None:
    """Raise ``ValueError`` for a number in the examples that is not finite as ``dtype``."""
    largest = float(np.finfo(dtype).max)
    for array in (examples.inputs, examples.targets):
        if array.dtype.kind == "f" and array.size:
            least, most = float(array.min()), float(array.max())  # NaN if any of them is
            if not (-largest <= least and most <= largest):
                raise ValueError(f"{owner}: {nonfinite.bad_example(examples, dtype)}")


def _memory(network: Network, examples: Examples, optimizer: Optimizer, batch_size: int) -> int:
    """The bytes of the arrays of a training run, roughly: too few rather than too many.

    These are the vectors of the size of θ (the last update and the optimizer's); for each example
    of a batch, its input, and the output of each layer with parameters and its gradient; and the
    examples, if they have to be copied to the device.
    """
    vectors = 1 + len(optimizer.slots)
    outputs = network.with_shapes(input_shape=examples.input_shape)
    numbers = sum(2 * math.prod(shape) for layer, shape in outputs if layer.parameter_shapes())
    numbers += math.prod(examples.input_shape)
    batch = min(batch_size, len(examples)) * numbers * network.dtype.itemsize
    there = namespace(examples.inputs) is network.device.xp
    data = 0 if there else examples.inputs.nbytes + examples.targets.nbytes
    return vectors * network.theta.nbytes + batch + data
