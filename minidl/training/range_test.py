"""The learning-rate range test: the loss while the learning rate rises from step to step."""

from __future__ import annotations

import copy
import math
import os
from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from minidl.backend import Array, checks
from minidl.data.examples import Examples
from minidl.gradcheck.subjects import restored
from minidl.losses import Loss, SoftmaxCrossEntropy
from minidl.network import Network
from minidl.optimizers import Adam, Optimizer
from minidl.pages.colours import ink
from minidl.pages.picture import Picture, new_grid
from minidl.training.fit import as_examples
from minidl.training.nonfinite import NonFiniteLoss
from minidl.training.step import TrainingStep, check_parts, expect_finite, step_on

SMOOTHING = 0.9  # of the running mean over the steps
FIRST = 9  # step whose mean counts; those before average fewer than 1 / (1 - SMOOTHING) batches
DIVERGED = 4.0  # times the lowest loss: the rest of the test would show nothing
SCATTER = 1.5  # of losses that only scatter, one mean in 200 falls by this times their deviation
FALLEN = 0.005  # share of the first mean: a smaller fall is of no use, however regular it is


@dataclass(repr=False)
class RangeTest:
    """The loss at each learning rate, with the network as it was at that step."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the batch, before the step
    smooth: list[float] = field(default_factory=list)  # their running mean

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate at which the smoothed loss is lowest, from the tenth step on.

        None if the loss has not fallen; then :attr:`reason` says more.
        """
        return None if self.reason else self.rates[self._lowest] / 10

    @property
    def _lowest(self) -> int:
        return FIRST + int(np.argmin(self.smooth[FIRST:]))

    @property
    def reason(self) -> str:
        """Why there is no suggestion, and what to try; empty if there is one."""
        if len(self.smooth) <= FIRST:
            return (
                f"{len(self.smooth)} losses are too few to tell a fall from chance: take more "
                "steps, or, if the loss rises at once, a lower start"
            )
        start, lowest = self.smooth[FIRST], self._lowest
        fall, before = start - self.smooth[lowest], self.losses[: max(lowest, FIRST + 1) + 1]
        deviation = math.sqrt(np.mean(np.diff(before) ** 2) / 2)  # from one batch to the next
        least = max(SCATTER * deviation, FALLEN * abs(start))
        if fall > least:
            return ""
        early = bisect_left(self.rates, 10 * self.rates[FIRST])
        if max(self.smooth[:early]) > start + least:
            return f"the loss rises from {start:.4g} almost at once: take a lower start"
        return (
            f"the loss stays at {start:.4g} (it falls by {fall:.2g}, which may be "
            "chance): look at the inputs, the initial weights and the gradients (probe), or take "
            "larger batches"
        )

    def add(self, rate: float, loss: float) -> None:
        """m_t = β m_{t−1} + (1 − β) L_t; ``smooth`` is m_t / (1 − β^t), as in Adam."""
        self.rates.append(rate)
        self.losses.append(loss)
        t = len(self.losses)
        before = self.smooth[-1] * (1 - SMOOTHING ** (t - 1)) if self.smooth else 0.0
        mean = SMOOTHING * before + (1 - SMOOTHING) * loss
        self.smooth.append(mean / (1 - SMOOTHING**t))

    def __str__(self) -> str:
        lines = ["learning rate        loss"]
        for i in range(0, len(self.rates), max(1, len(self.rates) // 12)):
            lines.append(f"{self.rates[i]:>13.2e}  {self.smooth[i]:>10.4g}")
        if (suggestion := self.suggestion) is None:
            lines.append(f"no learning rate is suggested: {self.reason}")
        else:
            lines.append(f"suggested learning rate: {suggestion:.1e}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Plot the loss by learning rate; a notebook displays the result, ``path`` is written."""
        figure, ((ax,),) = new_grid("", 1, 1, (5.2, 3.4))
        ax.plot(self.rates, self.losses, color="#cccccc", linewidth=0.8, label="of the batch")
        ax.plot(self.rates, self.smooth, color=ink(4), label="smoothed")
        if self.suggestion is None:
            ax.set_title("no learning rate is suggested", fontsize=9.5)
        else:
            ax.axvline(self.suggestion, color=ink(1), label=f"suggested: {self.suggestion:.1e}")
        ax.set_xscale("log")
        ax.set_xlabel("learning rate", fontsize=9)
        ax.set_ylabel("loss", fontsize=9)
        ax.legend(fontsize=8)
        picture = Picture(figure)
        if path is not None:
            picture.save(path)
        return picture


def range_test(
    network: Network,
    x: Array | Examples,
    y: Array | None = None,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    batch_size: int = 64,
    rng: np.random.Generator | int = 0,
) -> RangeTest:
    """Train for ``steps`` steps whose learning rate rises from ``start`` to ``end``::

        print(range_test(network, images, labels, optimizer=SGD(1.0, momentum=0.9)))

    The rate is multiplied by the same factor from step to step.  The test ends early if the
    smoothed loss is four times the lowest so far, or no longer finite.  Good learning rates are
    those at which the loss falls fast; a common choice is a tenth of the one with the lowest loss,
    the ``suggestion``.  There is none if the loss has not fallen by more than its scatter.
    The network, and the optimizer with its rate, are left unchanged.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3,
    where the rate rises by the same amount from step to step.  The other parameters are those of
    :func:`fit`.

    Raises
    ------
    ValueError
        if arguments have the wrong type or value.
    NonFiniteLoss
        if the loss is not finite in the first step.
    """
    loss = SoftmaxCrossEntropy() if loss is None else loss
    optimizer = Adam() if optimizer is None else optimizer
    checks.instance("range_test", "optimizer", optimizer, Optimizer)
    examples = as_examples("range_test", x, y)
    check_parts("range_test", network, examples, loss)
    start, end = (checks.positive("range_test", n, v) for n, v in (("start", start), ("end", end)))
    if end <= start:
        raise ValueError(f"range_test: expected end above start {start}, got {end}")
    steps = checks.integer("range_test", "steps", steps, least=2)
    batch_size = checks.integer("range_test", "batch_size", batch_size)
    generator = checks.generator("range_test", rng)

    rates = np.geomspace(start, end, steps).tolist()
    found, rising = RangeTest(), copy.copy(optimizer)
    rising.expect_network(network)
    rising.t = 0  # with vectors of its own from the first step on
    rising.learning_rate = lambda t: rates[min(t, steps - 1)]
    with restored(network), network.device.enough_memory():
        single = len(examples) % batch_size == 1 < len(examples)  # too few for BatchNorm
        parts = (network, examples, loss, rising, batch_size)
        step = step_on(*parts, None, single)
        expect_finite("range_test", step.examples, network.dtype)
        try:
            _rise(step, rates.copy(), generator, found)
        except NonFiniteLoss:
            if not found.losses:
                raise
    return found


def _rise(
    step: TrainingStep, rates: list[float], rng: np.random.Generator, found: RangeTest
) -> None:
    """One step at each rate, until the loss has risen too far."""
    while rates:
        with step.epoch(step.examples.order(rng, step.batch_size)):
            for _ in range(min(step.steps, len(rates))):
                batch, rate = step.batch, rates.pop(0)
                step()
                loss = float(step.losses[batch].mean(dtype=np.float64))
                if not math.isfinite(loss):
                    return
                found.add(rate, loss)
                if found.smooth[-1] > DIVERGED * min(found.smooth):
                    return
