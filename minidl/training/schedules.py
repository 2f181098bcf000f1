"""Learning rates that change from epoch to epoch, and one that changes from step to step.

A schedule returns the rate for a number of finished epochs: the first epoch runs
with ``schedule(0)``.  Pass it to :func:`~minidl.fit`, or use it in the loop::

    schedule = CosineAnnealing(0.1, epochs=20)
    optimizer = SGD(schedule(0))
    for epoch in train(network, examples, loss, optimizer, epochs=20):
        optimizer.learning_rate = schedule(epoch.number)  # of the next epoch

:class:`LinearWarmUp` counts steps: it is the learning rate of an optimizer itself,
``Adam(LinearWarmUp(5e-5, steps=100))``.  Each has ``counts``, its unit, so that neither is taken
for the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from minidl.backend import checks


@dataclass(frozen=True)
class StepDecay:
    """η_t = η₀ γ^⌊t / s⌋ after t epochs: multiplied by γ every s epochs.

    Like PyTorch's ``StepLR``.
    """

    counts: ClassVar[str] = "epochs"
    start: float  # η₀
    every: int  # s
    factor: float = 0.1  # γ

    def __post_init__(self) -> None:
        checks.positive("StepDecay", "start", self.start)
        checks.integer("StepDecay", "every", self.every)
        checks.positive("StepDecay", "factor", checks.fraction("StepDecay", "factor", self.factor))

    def __call__(self, done: int) -> float:
        done = checks.integer("StepDecay", "done", done, least=0)
        return self.start * self.factor ** (done // self.every)


@dataclass(frozen=True)
class CosineAnnealing:
    """η_t = η_min + ½ (η_max − η_min) (1 + cos(π t / T)) after t of T epochs.

    From η_max to η_min along half a wave; after T epochs it stays at η_min.
    Source: Loshchilov and Hutter, ICLR 2017, equation 5, without restarts, like
    PyTorch's ``CosineAnnealingLR``.
    """

    counts: ClassVar[str] = "epochs"
    start: float  # η_max
    epochs: int  # T
    end: float = 0.0  # η_min

    def __post_init__(self) -> None:
        checks.positive("CosineAnnealing", "start", self.start)
        checks.integer("CosineAnnealing", "epochs", self.epochs)
        if checks.not_negative("CosineAnnealing", "end", self.end) > self.start:
            raise ValueError(
                f"CosineAnnealing: expected an end from 0 to the start {self.start}, got {self.end}"
            )

    def __call__(self, done: int) -> float:
        done = checks.integer("CosineAnnealing", "done", done, least=0)
        wave = 1 + math.cos(math.pi * min(done, self.epochs) / self.epochs)
        return self.end + (self.start - self.end) * wave / 2


@dataclass(frozen=True)
class LinearWarmUp:
    """η_t = η_max t / w up to step w, then η_max (T − t) / (T − w): up from 0, and down to 0.

    t counts the finished steps, so the first step has a rate of 0 (if w > 0), the
    step after w others has η_max, and from t = T on the rate is 0.  Like
    ``get_linear_schedule_with_warmup`` of transformers; Devlin et al., 2019, appendix A.2.  An
    epoch has ⌈N / batch size⌉ steps::

        optimizer = AdamW(LinearWarmUp(5e-5, steps=3 * each, warm_up=each // 2))
        for epoch in train(network, examples, loss, optimizer, epochs=3): ...
    """

    counts: ClassVar[str] = "steps"
    peak: float  # η_max
    steps: int  # T
    warm_up: int = 0  # w

    def __post_init__(self) -> None:
        checks.positive("LinearWarmUp", "peak", self.peak)
        checks.integer("LinearWarmUp", "steps", self.steps)
        if checks.integer("LinearWarmUp", "warm_up", self.warm_up, least=0) >= self.steps:
            raise ValueError(
                f"LinearWarmUp: expected a warm_up below the {self.steps} steps, got {self.warm_up}"
            )

    def __call__(self, done: int) -> float:
        done = checks.integer("LinearWarmUp", "done", done, least=0)
        if done < self.warm_up:
            return self.peak * done / self.warm_up
        return self.peak * max(0, self.steps - done) / (self.steps - self.warm_up)
