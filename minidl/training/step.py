"""One training step, and an epoch of steps: batch, forward, loss, backward, update.

A step consists of the lines of :meth:`TrainingStep._compute`.  On a GPU,
:class:`minidl.gpu.step.CudaStep` records the same lines as a CUDA graph.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend import Array, Random, namespace, to_numpy
from minidl.data.examples import Examples
from minidl.inspection import INPUT, first_nonfinite
from minidl.kernel import at_full_speed
from minidl.layers import BatchNorm
from minidl.losses import Loss
from minidl.network import Network
from minidl.optimizers import Optimizer


class NonFiniteLoss(FloatingPointError):
    """The loss of a training step became NaN or infinite."""


class TrainingStep:
    """The steps of a training run, and the loss of each example at its step."""

    leads: bool = True  # whether this process shows and stores the results of training
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
        self.hits = xp.empty(len(examples), network.dtype)
        self.done = 0  # steps of this epoch

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        """A context in which to call the step up to ``steps`` times; ``order`` are the rows.

        The first ``done`` steps of the epoch are already done, see
        :mod:`minidl.training.checkpoint`.  At its end everything is computed, and a loss that is
        not finite is reported.
        """
        self.order = self.network.device.asarray(order)
        self.done = done
        with at_full_speed():
            yield

    def __call__(self) -> None:
        """The next step of the epoch."""
        batch = slice(self.done * self.batch_size, (self.done + 1) * self.batch_size)
        self._compute(self.order[batch], self.losses[batch], self.hits[batch])
        self.done += 1

    def begin(self, rng: np.random.Generator, **place: object) -> None:
        """Called before the first step, with the generator of the order and the position."""

    def settle(self) -> None:
        """Wait until the losses and hits of all steps so far in the epoch are available."""
        self.network.device.synchronize()

    def meet(self) -> None:
        """Wait until all processes that train together have arrived."""

    def is_stopped(self) -> bool:
        """Whether training should stop after this step."""
        return self.stop is not None and self.stop.is_set()

    def drawing(self) -> list[Random]:
        """All that draws random numbers in a step: layers in forward order, and augmentation."""
        owners: list[Any] = [*self.network.walk(), self.augment]
        return [o for o in owners if isinstance(o, Random) and o.rng is not None]

    def figures(self) -> tuple[float, float]:
        """Mean loss and share of hits so far in the epoch, each batch at its own step."""
        seen = slice(self.done * self.batch_size)
        return (
            float(self.losses[seen].mean(dtype=np.float64)),
            float(self.hits[seen].mean(dtype=np.float64)),
        )

    def _compute(
        self, rows: Array, losses: Array, hits: Array, now: Sequence[Any] | None = None
    ) -> None:
        """The step on the examples of ``rows``; loss and hit of each go to ``losses``, ``hits``."""
        network, loss = self.network, self.loss
        x, targets = self.examples.draw(rows, network.dtype, self.augment)
        state = network.state.copy()  # running means change with each batch
        # An overflow is reported by the check, with the place where it began.
        with np.errstate(over="ignore", invalid="ignore"):
            logits = network.forward(x, training=True)
            losses[...], dlogits = loss.value_terms(logits, targets, divisor=len(rows))
            hits[...] = loss.correct(logits, targets)
            self._check(rows, losses, state)
            network.backward(dlogits)
            self.optimizer.step(network.theta, network.dtheta, now)

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

    # -- a loss that is not finite --------------------------------------------------

    def _check(self, rows: Array, losses: Array, state: Array) -> None:
        """Report a loss that is not finite, and restore the network from before the step."""
        if not np.isfinite(losses).all():
            self._give_up(rows, losses, state, first_nonfinite(self.network))

    def _give_up(self, rows: Array, losses: Array, state: Array, place: str | None) -> None:
        """Raise for a loss that is not finite, due to ``place`` or to the loss itself."""
        self.network.state[...] = state
        way_out = self._bad_examples(rows)
        if way_out is None and place == INPUT:
            way_out = "the examples are finite, so augment or their scaling makes it so"
        place = place or "the loss itself, all layers are finite"
        self._report(self.done, losses, f"which first appears in {place}", way_out)

    def _bad_examples(self, rows: Array) -> str | None:
        """What is not finite in the data: in this batch, or in an earlier one."""
        dtype = self.network.dtype
        found = bad_example(self.examples, dtype, to_numpy(rows))
        return found or bad_example(self.examples, dtype)

    def _report(self, step: int, losses: np.ndarray, where: str, way_out: str | None) -> None:
        way_out = way_out or "try a smaller learning_rate, or clip_norm=1.0"
        raise NonFiniteLoss(f"step {step + 1}: the loss is {losses.mean()}, {where}; {way_out}")


def bad_example(examples: Examples, dtype: np.dtype, rows: np.ndarray | None = None) -> str | None:
    """What is not finite in these rows, or in all, and what to do; None if nothing is."""
    found = examples.first_nonfinite(np.arange(len(examples)) if rows is None else rows, dtype)
    return found and f"{found}: put a finite number there, or leave that example out"


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
                raise ValueError(f"{owner}: {bad_example(examples, dtype)}")


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
