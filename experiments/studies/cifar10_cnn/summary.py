"""A run of the CIFAR-10 study as data: its networks, its snapshots, its plateaus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minidl.study.histories import by_epoch, by_layer
from minidl.study.study import Rows
from studies.cifar10_cnn.training import CHANCE, Cell, Outcome, plateau

Trained = Sequence[tuple[Cell, Outcome]]
FIRST_STEPS = (0, 1, 2, 4, 8, 16, 32)  # the steps that summary and report show,
WHOLE_EPOCHS = (1, 2, 5, 10)  # and the epochs


def network_block(outcome: Outcome, labels: np.ndarray) -> dict[str, Any]:
    """The figures of one network by epoch, and those of its layers after the first steps."""
    right = outcome.probabilities.argmax(axis=1) == labels
    return (
        by_epoch(outcome.history)
        | by_layer(outcome.history)
        | {
            "first_steps": [asdict(one) for one in outcome.snapshots if one.step in FIRST_STEPS],
            "whole_epochs": [asdict(one) for one in outcome.snapshots if one.epoch in WHOLE_EPOCHS],
            "right": {"count": int(right.sum()), "of": len(right)},  # of the images shown
        }
    )


def plateau_rows(trained: Trained) -> Rows:
    """Each sigmoid network: its epochs at chance, and its layers when it leaves chance."""
    return [
        {
            "seed": cell.seed,
            "learning_rate": cell.learning_rate,
            "epochs_trained": len(outcome.history.seconds),
            "epochs_at_chance": plateau(outcome.history.test_accuracy),
            "last_test_accuracy": outcome.history.test_accuracy[-1],
            "moment": moment(outcome),
        }
        for cell, outcome in trained
        if cell.activation == "sigmoid"
    ]


def snapshot_rows(trained: Trained) -> Rows:
    """One row for each snapshot and layer."""
    return [
        {
            "seed": cell.seed,
            "network": cell.activation,
            "learning_rate": cell.learning_rate,
            **{name: getattr(snapshot, name) for name in ("epoch", "step", "accuracy")},
            "layer": layer,
            **vars(figures),
        }
        for cell, outcome in trained
        for snapshot in outcome.snapshots
        for layer, figures in snapshot.layers.items()
    ]


def moment(outcome: Outcome) -> dict[str, Any] | None:
    """The snapshots around the end of the plateau; None if it has no end, or there is no plateau.

    It ends with the first snapshot from which on all of them are above 1.5 times chance.
    """
    moving = [snapshot.accuracy > 1.5 * CHANCE for snapshot in outcome.snapshots]
    if all(moving) or not moving[-1]:
        return None
    first = len(moving) - moving[::-1].index(False)
    before, after = outcome.snapshots[first - 1], outcome.snapshots[first]
    return {"epoch": after.epoch, "before": asdict(before), "after": asdict(after)}
