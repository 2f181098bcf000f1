"""How well a network does on examples, in inference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from minidl.backend import checks, to_numpy
from minidl.data.examples import Examples
from minidl.losses import Loss
from minidl.network import Network
from minidl.training.nonfinite import NonFiniteLoss, bad_example
from minidl.training.step import check_parts, check_targets


@dataclass(frozen=True)
class Evaluation:
    """Mean loss over all examples, and the share of correct answers (NaN for a regression)."""

    loss: float
    accuracy: float
    # (N,) whether each example was answered correctly; False for a regression
    correct: np.ndarray = field(
        default_factory=lambda: np.empty(0, bool), repr=False, compare=False
    )

    def __str__(self) -> str:
        right = "" if math.isnan(self.accuracy) else f"  accuracy {self.accuracy:.4f}"
        return f"loss {self.loss:.4f}{right}"


def evaluate(network: Network, examples: Examples, loss: Loss, batch_size: int = 256) -> Evaluation:
    """Mean loss and accuracy over ``examples`` in inference, batch by batch, in order.

    Raises
    ------
    ValueError
        if arguments have the wrong type or value, or examples do not match the network.
    NonFiniteLoss
        if the loss is not finite and the examples contain NaN or infinity, with the index of the
        first.  If the loss is not finite although the examples are, it is returned.
    """
    batch_size = checks.integer("evaluate", "batch_size", batch_size)
    check_parts("evaluate", network, examples, loss)
    examples = examples.to(network.device)
    check_targets(network, examples, loss)
    losses = network.device.xp.empty(len(examples), network.dtype)
    correct = network.device.xp.empty(len(examples), network.dtype)
    with np.errstate(all="ignore"):  # it shows in the loss
        for start in range(0, len(examples), batch_size):
            batch = slice(start, start + batch_size)
            x, targets = examples.batch(start, start + batch_size, network.dtype)
            logits = network.forward(x)
            losses[batch], _ = loss.per_example(logits, targets)
            correct[batch] = loss.correct(logits, targets)
    mean = float(losses.mean(dtype=np.float64))
    if not math.isfinite(mean) and (found := bad_example(examples, network.dtype)):
        raise NonFiniteLoss(f"evaluate: the loss is {mean}; {found}")
    return Evaluation(mean, float(correct.mean(dtype=np.float64)), to_numpy(correct) == 1)
