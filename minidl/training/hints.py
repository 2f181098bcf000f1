"""Hints from the figures of a training run that has learned nothing."""

from __future__ import annotations

import math

import numpy as np

from minidl.data.examples import Examples
from minidl.losses import Loss
from minidl.training.history import FitHistory

STEPS = 100  # fewer steps than this may not have been enough
BETTER = 0.995  # share of the loss of a constant answer below which something was learned
FLAT = 0.95  # share of flat slopes above which a layer lets no gradient through
STILL = 0.01  # ‖θ − θ₀‖ / ‖θ₀‖ below which nothing has moved


def nothing_learned(
    history: FitHistory, loss: Loss, examples: Examples, batch_size: int
) -> str | None:
    """Say that the network is no better than a constant answer, and why that may be; or None."""
    steps = len(history) * math.ceil(len(examples) / batch_size)
    constant = loss.constant_baseline(examples.targets)
    last = history.train_loss[-1], history.validation_loss[-1]  # with dropout, without
    if steps < STEPS or not np.nanmin(last) > BETTER * constant:  # NaN: not known
        return None
    return (
        f"nothing was learned: the loss of the last epoch is {history.train_loss[-1]:.4g}, and one "
        f"answer to all examples would have {constant:.4g}; {_cause(history)}; range_test shows "
        "the learning rates at which the loss falls"
    )


def _cause(history: FitHistory) -> str:
    moved, first, highest = history.moved, history.learning_rate[0], max(history.learning_rate)
    flat = [unit for unit in history.probes[-1].units[:-1] if unit.saturated >= FLAT]
    if moved[0] > 1:
        return (
            f"in the first epoch the parameters moved by {moved[0]:.3g} times their own size, so "
            f"try a learning rate far below {first:g}"
        )
    if flat:
        return (
            f"{flat[0].saturated:.0%} of the slopes of {flat[0].layer} are flat and let no "
            f"gradient through, so try a learning rate below {highest:g}, or other initial weights"
        )
    if max(moved) < STILL:
        return (
            f"the parameters have moved by no more than {max(moved):.1g} of their size, so try a "
            f"learning rate above {highest:g}"
        )
    return "are the targets those of these inputs, and are the inputs of sizes around 1?"
