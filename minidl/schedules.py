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


@dataclass(frozen=True)
class StepDecay:
    """η_t = η₀ γ^⌊t / s⌋ after t epochs: times γ every s epochs.

    As PyTorch's ``StepLR``.
    """

    start: float  # η₀
    every: int  # s
    factor: float = 0.1  # γ

    def __post_init__(self) -> None:
        _check_start(self, self.start)
        if self.every < 1:
            raise ValueError(f"StepDecay: expected every of at least 1 epoch, got {self.every}")
        if not 0 < self.factor <= 1:
            raise ValueError(f"StepDecay: expected a factor above 0 and up to 1, got {self.factor}")

    def __call__(self, done: int) -> float:
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
        _check_start(self, self.start)
        if self.epochs < 1:
            raise ValueError(f"CosineAnnealing: expected epochs of at least 1, got {self.epochs}")
        if not 0 <= self.end <= self.start:
            raise ValueError(
                f"CosineAnnealing: expected an end from 0 to the start {self.start}, got {self.end}"
            )

    def __call__(self, done: int) -> float:
        wave = 1 + math.cos(math.pi * min(done, self.epochs) / self.epochs)
        return self.end + (self.start - self.end) * wave / 2


def _check_start(schedule: object, start: float) -> None:
    if not 0 < start < math.inf:
        raise ValueError(f"{type(schedule).__name__}: expected a start above 0, got {start}")
