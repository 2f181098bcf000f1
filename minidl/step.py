"""One training step, an epoch of them: batch, forward, loss, backward, update.

A step is the lines of :meth:`TrainingStep._compute`.  On a GPU the same lines are
recorded once as a CUDA graph and replayed from then on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl import kernels
from minidl.backend import Array, Random, Workspace, to_numpy
from minidl.examples import Examples
from minidl.graph import Graph
from minidl.inspection import INPUT, first_nonfinite
from minidl.losses import Loss
from minidl.memory import training_memory
from minidl.network import Network
from minidl.optimizers import Optimizer

WARM_UP = 2  # steps launched one by one before the graph is recorded: they make arrays and kernels


class NonFiniteLoss(FloatingPointError):
    """The loss of a training step became NaN or infinite."""


class TrainingStep:
    """The steps of a training, and the loss of each example as its batch was judged.

    ``graph=False`` launches each kernel by itself on a GPU, too; on the CPU it means nothing.
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        loss: Loss,
        optimizer: Optimizer,
        batch_size: int,
        augment: Callable[[Array], Array] | None = None,
        graph: bool = True,
    ) -> None:
        self.network = network
        size = training_memory(network, examples, optimizer, batch_size)
        network.device.require_memory(size, "the training")
        self.examples = examples.to(network.device)
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.augment = augment
        self.steps = math.ceil(len(examples) / batch_size)  # of an epoch
        outputs = network.shapes[-1]
        loss.check_shapes((len(examples), *outputs), self.examples.targets)
        loss.check_values((len(examples), *outputs), self.examples.targets)

        xp = network.device.xp
        self.losses = xp.empty(len(examples), network.dtype)  # in the order of the epoch
        self.hits = xp.empty(len(examples), network.dtype)
        self._state = network.state.copy()  # before the step, as running means follow each batch
        self.done = 0  # steps of this epoch
        self._warm = 0  # full batches launched one by one
        self.graph: Graph | None = None
        if network.device.is_cuda and graph:
            self._prepare_graph()

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        """Within it, call the step up to ``steps`` times; ``order`` ``(n,)`` are the rows.

        The first ``done`` steps of the epoch lie behind, see :mod:`minidl.checkpoint`.
        At its end everything is computed, and a loss that is not finite is reported.
        """
        device = self.network.device
        self.order = device.asarray(order)
        self.done = done
        if self.graph is None:
            yield
            device.synchronize()
        else:
            t = self.optimizer.t - done
            table = [self.optimizer.coefficients(t + i + 1) for i in range(self.steps)]
            self._order[...] = self.order
            self._coefficients[...] = device.asarray(np.array(table).ravel(), self.network.dtype)
            self._place.fill(done * self.batch_size)
            with self.graph.current():
                yield
        if device.is_cuda:
            self._check_epoch()

    def __call__(self) -> None:
        """The next step of the epoch."""
        start = self.done * self.batch_size
        stop = min(start + self.batch_size, len(self.examples))
        if self.graph is None or stop - start < self.batch_size:
            rows = self.order[start:stop]
            self._warm = min(self._warm, WARM_UP - 1)  # arrays of the graph's size come first
            self._compute(rows, self.losses[start:stop], self.hits[start:stop])
        else:
            self._launch(self.graph)
        self.done += 1

    def owners(self) -> list[Workspace]:
        """All that keeps arrays from step to step: layers, loss, optimizer and so on, each once."""
        roots: list[Any] = [*self.network.layers, self.loss, self.optimizer, self.examples]
        found = [r.workspaces() for r in [*roots, self.augment] if isinstance(r, Workspace)]
        return list(dict.fromkeys(itertools.chain(*found)))

    def figures(self) -> tuple[float, float]:
        """Mean loss and share of hits so far in the epoch; each batch as it was when it came."""
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
        if not network.device.is_cuda:
            self._state[...] = network.state  # a forward changes it, see _check_step
        # An overflow is reported below, with the place where it began.
        with np.errstate(over="ignore", invalid="ignore"):
            logits = network.forward(x, training=True)
            losses[...], dlogits = loss.terms(logits, targets, divisor=len(rows))
            loss.hits(logits, targets, out=hits)
            if not network.device.is_cuda:  # a GPU is not waited for: _check_epoch
                self._check_step(rows, losses)
            network.backward(dlogits)
            self.optimizer.step(network.theta, network.dtheta, now)

    # -- a loss that is not finite --------------------------------------------------

    def _check_step(self, rows: Array, losses: Array) -> None:
        if not np.isfinite(losses).all():
            place = first_nonfinite(self.network) or "the loss itself, all layers are finite"
            self.network.state[...] = self._state
            way_out = self._bad_examples(rows)
            if way_out is None and place == INPUT:
                way_out = "the examples are finite, so augment or their scaling makes it so"
            self._report(self.done, losses, f"which first appears in {place}", way_out)

    def _check_epoch(self) -> None:
        losses = to_numpy(self.losses[: self.done * self.batch_size])
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            step = int(bad[0]) // self.batch_size
            batch = slice(step * self.batch_size, (step + 1) * self.batch_size)
            where = "found at the end of the epoch, with all parameters spoiled"
            self._report(step, losses[batch], where, self._bad_examples(self.order[batch]))

    def _bad_examples(self, rows: Array) -> str | None:
        """What is not finite in the data: of this batch, or of an earlier one that let it in."""
        for some in (to_numpy(rows), np.arange(len(self.examples))):
            found = self.examples.first_nonfinite(some, self.network.dtype)
            if found is not None:
                return f"{found}: put a finite number there, or leave that example out"
        return None

    def _report(self, step: int, losses: np.ndarray, where: str, way_out: str | None) -> None:
        way_out = way_out or "try a smaller learning_rate, or clip_norm=1.0"
        raise NonFiniteLoss(f"step {step + 1}: the loss is {losses.mean()}, {where}; {way_out}")

    # -- the graph ------------------------------------------------------------------

    def _prepare_graph(self) -> None:
        """Tables of the epoch on the device, the place in them, and arrays for one batch.

        A replay reads what changes from step to step at ``_place``, and moves it on.
        """
        network, n = self.network, len(self.examples)
        xp = network.device.xp
        self._width = len(self.optimizer.coefficients(1))
        self._order = xp.zeros(n, np.int64)
        self._coefficients = xp.empty(self.steps * self._width, network.dtype)
        self._place = xp.zeros(1, np.int64)  # examples of the epoch done so far
        self._rows = xp.zeros(self.batch_size, np.int64)
        self._now = xp.empty(self._width, network.dtype)
        self._batch_losses = xp.empty(self.batch_size, network.dtype)
        self._batch_hits = xp.empty(self.batch_size, network.dtype)
        self.graph = Graph(network.device, self.owners())
        self._random = [o for o in self.graph.owners if isinstance(o, Random) and o.rng is not None]

    def _launch(self, graph: Graph) -> None:
        if self._warm < WARM_UP:
            self._warm += 1
            with graph.own_memory():
                self._one_of_graph()
            return
        if graph.launches is not None:
            graph.hold_arrays()  # other work may have replaced them since
            self.optimizer.t += 1
        for owner in self._random:
            owner.draw()
        if graph.launches is None:
            graph.record(self._one_of_graph)
        graph.replay()
        for owner in self._random:
            owner.drawn = False

    def _one_of_graph(self) -> None:
        kernels.fetch(self._order, self._place, 1, 1, self._rows)
        kernels.fetch(self._coefficients, self._place, self._width, self.batch_size, self._now)
        now = [self._now[i : i + 1] for i in range(self._width)]
        self._compute(self._rows, self._batch_losses, self._batch_hits, now)
        kernels.store(self._batch_losses, self._batch_hits, self._place, self.losses, self.hits)
        self._place += self.batch_size
