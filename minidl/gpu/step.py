"""A training step on a GPU: the plain step, recorded once as a CUDA graph and replayed.

What changes from step to step (rows, coefficients of the rule, where losses go) is read
from tables on the device, so that a replay needs nothing from the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minidl.backend import Array, checks, to_numpy
from minidl.gpu import kernels
from minidl.gpu.graph import Graph
from minidl.network import Network
from minidl.training import loop, nonfinite
from minidl.training.loop import Training
from minidl.training.step import STEPS, TrainingStep

WARM_UP = 2  # steps launched kernel by kernel before recording: they create arrays and kernels


def train(*parts: Any, graph: bool = True, **options: Any) -> Training:
    """:func:`minidl.train`; with ``graph=False``, each step launches kernel by kernel.

    A layer of your own may then fetch values from the GPU in a step.  On the CPU, both are the
    same.
    """
    checks.one_process("train")
    checks.boolean("train", "graph", graph)
    return loop.train(*parts, make_step=partial(step_on, graph=graph), **options)


def step_on(network: Network, *parts: Any, graph: bool = True) -> TrainingStep:
    """The step on the network's device."""
    if network.device.is_cuda:
        return CudaStep(network, *parts, graph=graph)
    return TrainingStep(network, *parts)


class CudaStep(TrainingStep):
    """The same step on a GPU, which is waited for only at the end of an epoch."""

    def __init__(self, *parts: Any, graph: bool = True) -> None:
        super().__init__(*parts)
        self._warm = 0  # full batches launched one by one
        self._is_graph = False  # whether the step is one of those that a replay repeats
        self.graph: Graph | None = None
        if graph:
            self._prepare_graph()

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
        self._random = self.random_sources()
        self.graph = Graph(network.device, dict.fromkeys([*network.walk(), *self._random]))

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        device = self.network.device
        with super().epoch(order, done):
            if self.graph is None:
                yield
                device.synchronize()
            else:
                t = self.optimizer.t - done
                table = [self.optimizer.coefficients(t + i + 1) for i in range(self.steps)]
                self._order[...] = self.order
                numbers = device.asarray(np.array(table).ravel(), self.network.dtype)
                self._coefficients[...] = numbers
                self._place.fill(done * self.batch_size)
                with self.graph.current():
                    yield
        self._check_epoch()

    def __call__(self) -> None:
        left = len(self.examples) - self.done * self.batch_size
        if self.graph is None or left < self.batch_size:
            self._warm = min(self._warm, WARM_UP - 1)  # arrays of the graph's size come first
            super().__call__()
        else:
            self._launch(self.graph)
            self.done += 1

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
            owner.predraw()
        try:
            if graph.launches is None:
                graph.record(self._one_of_graph)
            graph.replay()
        finally:
            for owner in self._random:
                owner.is_ahead = False

    def _one_of_graph(self) -> None:
        kernels.fetch(self._order, self._place, 1, 1, self._rows)
        kernels.fetch(self._coefficients, self._place, self._width, self.batch_size, self._now)
        self._is_graph = True
        try:
            with self._coefficients_on_device():
                self.compute(self._rows)
        finally:
            self._is_graph = False
        self._place += self.batch_size

    @contextmanager
    def _coefficients_on_device(self) -> Iterator[None]:
        """A context in which the rule reads its numbers where a replay finds those of its step."""
        now = [self._now[i : i + 1] for i in range(self._width)]
        vars(self.optimizer)["coefficients"] = lambda t: now
        try:
            yield
        finally:
            del vars(self.optimizer)["coefficients"]

    def record(self, losses: Array, correct: Array) -> None:
        """Keep both; whether the losses are finite is found at the end, so as not to wait."""
        if self._is_graph:
            kernels.store(losses, correct, self._place, self.losses, self.correct)
        else:
            self.losses[self.batch] = losses
            self.correct[self.batch] = correct

    def _check_epoch(self) -> None:
        losses = to_numpy(self.losses[: self.done * self.batch_size])
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            step = int(bad[0]) // self.batch_size
            batch = slice(step * self.batch_size, (step + 1) * self.batch_size)
            where = "found at the end of the epoch, when all parameters have changed"
            hint = nonfinite.of_examples(self, self.order[batch])
            raise nonfinite.error(step, losses[batch], where, hint)


STEPS["cuda"] = CudaStep
