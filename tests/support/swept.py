"""Functions for sweeps, in a module that workers import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from small_study import images, note

from minidl import Adam, Dense, Flatten, Network, SoftmaxCrossEntropy, train
from minidl.training.checkpoint import Checkpoint


@dataclass
class Trained:
    losses: list[float]
    theta: np.ndarray


def trained(width: int, rate: float, checkpoint: Checkpoint) -> Trained:
    network = Network([Flatten(), Dense(192, width, "relu"), Dense(width, 5)], (3, 8, 8), rng=0)
    losses = [
        epoch.train_loss
        for epoch in train(
            *(network, images(60), SoftmaxCrossEntropy(), Adam(rate)),
            epochs=2,
            checkpoint=checkpoint,
        )
    ]
    return Trained(losses, network.theta)


def halved(log: str, number: int, kind: str = "right") -> float:
    note(Path(log), f"call {os.getpid()} {number}")
    if kind == "wrong":
        return "text"  # type: ignore[return-value]
    return number / 2


def unannotated(number):
    return number


def rows(count: int) -> dict[str, list[int]]:
    return {"rows": list(range(count))}
