"""A loss that is NaN or infinite: where it comes from, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import Array, to_numpy
from minidl.data.examples import Examples
from minidl.data.finite import first_nonfinite
from minidl.inspection import INPUT


class NonFiniteLoss(FloatingPointError):
    """The loss of a training step became NaN or infinite."""


def found_in_step(step: Any, losses: Array, place: str | None) -> NonFiniteLoss:
    """The error for the losses of the current step, whose first such number is at ``place``."""
    hint = of_examples(step, step.order[step.batch])
    if hint is None and place == INPUT:
        hint = "the examples are finite, so augment or their scaling makes it so"
    place = place or "the loss itself, all layers are finite"
    return error(step.done, losses, f"which first appears in {place}", hint)


def error(step: int, losses: Array, where: str, hint: str | None) -> NonFiniteLoss:
    """The error for the losses of step number ``step``, counting from 0."""
    hint = hint or "try a smaller learning_rate, or clip_norm=1.0"
    return NonFiniteLoss(f"step {step + 1}: the loss is {losses.mean()}, {where}; {hint}")


def of_examples(step: Any, rows: Array) -> str | None:
    """What is not finite in the data: in these rows, or in others, seen in an earlier step."""
    dtype = step.network.dtype
    found = bad_example(step.examples, dtype, to_numpy(rows))
    return found or bad_example(step.examples, dtype)


def bad_example(examples: Examples, dtype: np.dtype, rows: np.ndarray | None = None) -> str | None:
    """What is not finite in these rows, or in all, and what to do; None if nothing is."""
    found = first_nonfinite(examples, np.arange(len(examples)) if rows is None else rows, dtype)
    return found and f"{found}: put a finite number there, or leave that example out"
