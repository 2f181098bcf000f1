"""How well a network does on examples, in inference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from minidl.backend import checks, to_numpy
from minidl.data.examples import Examples
from minidl.data.sentences import Sentences
from minidl.inspection import expect_logits
from minidl.layers import Embedding, SelfAttention
from minidl.losses import Loss
from minidl.network import Network
from minidl.training.step import NonFiniteLoss, bad_example, check_targets


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
    hits = network.device.xp.empty(len(examples), network.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # it shows in the loss
        for start in range(0, len(examples), batch_size):
            batch = slice(start, start + batch_size)
            x, targets = examples.batch(start, start + batch_size, network.dtype)
            logits = network.forward(x)
            losses[batch], _ = loss.value_terms(logits, targets)
            hits[batch] = loss.correct(logits, targets)
    mean = float(losses.mean(dtype=np.float64))
    if not math.isfinite(mean) and (found := bad_example(examples, network.dtype)):
        raise NonFiniteLoss(f"evaluate: the loss is {mean}; {found}")
    return Evaluation(mean, float(hits.mean(dtype=np.float64)), to_numpy(hits) == 1)


def check_parts(owner: str, network: Network, examples: Examples, loss: Loss) -> None:
    """Raise ``ValueError`` unless the arguments have the right types, and the examples match."""
    checks.instance(owner, "network", network, Network)
    network.expect_views(owner)
    if not isinstance(examples, Examples):
        raise ValueError(
            f"{owner}: expected examples of the class Examples, got {checks.describe(examples)}; "
            "Examples(x, y) are made of arrays, and fit(network, x, y) takes arrays themselves"
        )
    checks.instance(owner, "loss", loss, Loss)
    expect_logits(owner, network, loss)
    check_inputs(owner, network, examples)


def check_inputs(owner: str, network: Network, examples: Examples) -> None:
    """Raise ``ValueError`` unless the network can take the inputs."""
    if network.integer_input != isinstance(examples, Sentences):
        kind = "Sentences" if network.integer_input else "Examples of numbers"
        raise ValueError(
            f"{owner}: expected {kind} for {network.layers[0]!r}, the first layer of the network, "
            f"got {type(examples).__name__}"
        )
    if not network.accepts_shape(examples.input_shape):
        shorter = ", or shorter" if network.integer_input else ""
        hint = checks.shape_hint("inputs", examples.inputs.shape, network.input_shape)
        raise ValueError(
            f"{owner}: expected examples of shape {network.input_shape} like the network's "
            f"input{shorter}, got {examples.input_shape}{hint}"
        )
    network.check_tokens(examples.inputs)
    if isinstance(examples, Sentences):
        _expect_padding(owner, network, examples)


def _expect_padding(owner: str, network: Network, sentences: Sentences) -> None:
    """Raise ``ValueError`` if padding would be taken for a token, and answers change with it."""
    embedding = next((la for la in network.walk() if isinstance(la, Embedding)), None)
    if embedding is None or embedding.padding == sentences.padding:
        return
    attends = any(isinstance(layer, SelfAttention) and not layer.tokens for layer in network.walk())
    is_padded = int(sentences.lengths.min()) < sentences.input_shape[0]
    if embedding.padding is not None or (attends and is_padded):
        raise ValueError(
            f"{owner}: expected an Embedding whose padding is that of the sentences, "
            f"{sentences.padding}, got {embedding!r}"
        )
