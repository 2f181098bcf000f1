"""The histories of training runs as data for ``summary.json`` and ``epochs.csv``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.study.recording import History


def by_epoch(history: History) -> dict[str, Any]:
    """For each quantity of a training run, a list over the epochs; and ``correct``, if it is known.

    That is a bit for each test example, as Base64: whether it was answered correctly at the end.
    """
    correct = {"correct": base64.b64encode(history.correct).decode()} if history.correct else {}
    return {
        "train_accuracy": history.train_accuracy,
        "train_loss": history.train_loss,
        "test_accuracy": history.test_accuracy,
        "test_loss": history.test_loss,
        "seconds": history.seconds,
        **correct,
    }


def packed(correct: np.ndarray) -> str:
    """A bit for each example, as Base64, for a summary; see :func:`correct_answers`."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def correct_answers(packed: bytes | str, count: int) -> np.ndarray | None:
    """(count,) whether each test example was answered correctly, from the bits of a history.

    None if there are not as many.
    """
    contents = base64.b64decode(packed) if isinstance(packed, str) else packed
    bits = np.unpackbits(np.frombuffer(contents, np.uint8))
    return bits[:count] if contents and len(contents) == (count + 7) // 8 else None


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
        numbers = [key for key in common if not isinstance(blocks[0][key], str)]
        return {key: mean_of([block[key] for block in blocks]) for key in numbers}
    return np.mean(blocks, axis=0).tolist()
