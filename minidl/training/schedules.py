"""Learning rates that change from epoch to epoch.

A schedule gives the rate after so many finished epochs: the first epoch runs
with ``schedule(0)``.  It is used in the loop::

    schedule = CosineAnnealing(0.1, epochs=20)
    optimizer = SGD(schedule(0))
    for epoch in train(network, examples, loss, optimizer, epochs=20):
        optimizer.learning_rate = schedule(epoch.number)  # of the next epoch
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minidl.backend import checks


@dataclass(frozen=True)
class StepDecay:
    """η_t = η₀ γ^⌊t / s⌋ after t epochs: times γ every s epochs.

    As PyTorch's ``StepLR``.
    """

    start: float  # η₀
    every: int  # s
    factor: float = 0.1  # γ

    def __post_init__(self) -> None:
        checks.positive("StepDecay", "start", self.start)
        checks.whole("StepDecay", "every", self.every)
        checks.positive("StepDecay", "factor", checks.share("StepDecay", "factor", self.factor))

    def __call__(self, done: int) -> float:
        done = checks.whole("StepDecay", "done", done, least=0)
        return self.start * self.factor ** (done // self.every)


@dataclass(frozen=True)
class CosineAnnealing:
    """η_t = η_min + ½ (η_max − η_min) (1 + cos(π t / T)) after t of T epochs.

    From η_max to η_min along half a wave; after T epochs it stays at η_min.
    Source: Loshchilov and Hutter, ICLR 2017, equation 5, without restarts, as
    PyTorch's ``CosineAnnealingLR``.
    """

    start: float  # η_max
    epochs: int  # T
    end: float = 0.0  # η_min

    def __post_init__(self) -> None:
        checks.positive("CosineAnnealing", "start", self.start)
        checks.whole("CosineAnnealing", "epochs", self.epochs)
        if checks.not_negative("CosineAnnealing", "end", self.end) > self.start:
            raise ValueError(
                f"CosineAnnealing: expected an end from 0 to the start {self.start}, got {self.end}"
            )

    def __call__(self, done: int) -> float:
        done = checks.whole("CosineAnnealing", "done", done, least=0)
        wave = 1 + math.cos(math.pi * min(done, self.epochs) / self.epochs)
        return self.end + (self.start - self.end) * wave / 2
