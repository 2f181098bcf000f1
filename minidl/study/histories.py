"""The histories of training runs as data for ``summary.json`` and ``epochs.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.study.recording import History


def by_epoch(history: History) -> dict[str, list[Any]]:
    """For each quantity of a training run, a list over the epochs."""
    return {
        "train_accuracy": history.train_accuracy,
        "train_loss": history.train_loss,
        "test_accuracy": history.test_accuracy,
        "test_loss": history.test_loss,
        "seconds": history.seconds,
        "correct": history.correct,
    }


def by_layer(history: History) -> dict[str, Any]:
    """For each quantity of the layers, a list over the epochs of lists over the layers.

    ``gradients`` (mean |∂L/∂θ|) and ``update_ratios`` (‖Δθ‖ / ‖θ‖ of the epoch's last step; NaN
    if θ = 0) are those of ``weights`` and ``biases``; ``units`` has the shares of ``dead`` units
    and of ``saturated`` slopes in the hidden layers with an activation function.
    """
    parameters = {"weights": "W", "biases": "b"}
    hidden = [probe.units[:-1] for probe in history.probes]
    return {
        "gradients": {
            key: [probe.mean_abs(name) for probe in history.probes]
            for key, name in parameters.items()
        },
        "update_ratios": {
            key: [
                [g.update_ratio for g in probe.gradients if g.parameter == name]
                for probe in history.probes
            ]
            for key, name in parameters.items()
        },
        "units": {
            "dead": [[unit.dead for unit in units] for units in hidden],
            "saturated": [[unit.saturated for unit in units] for units in hidden],
        },
    }


def epoch_rows(seed: int, network: str, history: History) -> list[dict[str, Any]]:
    """One row per epoch."""
    return [
        {
            "seed": seed,
            "epoch": epoch + 1,
            "network": network,
            "train_loss": history.train_loss[epoch],
            "train_accuracy": history.train_accuracy[epoch],
            "test_loss": history.test_loss[epoch],
            "test_accuracy": history.test_accuracy[epoch],
            "seconds": history.seconds[epoch],
        }
        for epoch in range(len(history.seconds))
    ]


def mean_of(blocks: Sequence[Any]) -> Any:
    """The mean, for example over seeds, of numbers, lists or dictionaries of the same form.

    Without text, and without what one of them lacks.
    """
    if isinstance(blocks[0], dict):
        common = [key for key in blocks[0] if all(key in block for block in blocks)]
        numbers = [key for key in common if not _is_text(blocks[0][key])]
        return {key: mean_of([block[key] for block in blocks]) for key in numbers}
    return np.mean(blocks, axis=0).tolist()


def _is_text(value: Any) -> bool:
    several = value if isinstance(value, list) else [value]
    return all(isinstance(one, str) for one in several)
