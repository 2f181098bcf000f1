"""Train networks and record what a study of them needs, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from minidl.backend import Array
from minidl.data.examples import Examples
from minidl.fast.pool import one_pool
from minidl.inspection import Probe, probe
from minidl.losses import Loss
from minidl.microscope.snapshot_file import Recorder
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.study.correct import packed
from minidl.study.training import train
from minidl.training import NonFiniteLoss, evaluate
from minidl.training.checkpoint import Checkpoint


@dataclass
class History:
    """A training run: for each quantity, a list over its epochs."""

    train_loss: list[float] = field(default_factory=list)  # running, over the epoch
    train_accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)  # after the epoch
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of training only
    probes: list[Probe] = field(default_factory=list)  # after the epoch
    # Which test examples were answered correctly (see minidl.study.correct); empty: not stored
    correct: list[str] = field(default_factory=list)


def record(
    network: Network,
    train_examples: Examples,
    test_examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int = 64,
    rng: np.random.Generator | int = 0,
    augment: Callable[[Array], Array] | None = None,
    probe_size: int = 64,
    test_batch_size: int = 256,
    progress: bool | str = True,
    graph: bool = True,
    checkpoint: Checkpoint | None = None,
    recorder: Recorder | None = None,
    watch: Callable[[int, int], None] | None = None,
    after: Callable[[History], bool] | None = None,
) -> History:
    """Train ``network`` and, after each epoch, evaluate it on the test examples and probe it.

    The probe takes the gradient of the loss *summed* over the first
    ``probe_size`` training examples, with the update of the epoch's last step.
    Parameters are those of :func:`minidl.training.train`; a ``checkpoint`` includes the
    history as well.  A ``recorder`` takes a snapshot on the probed examples, before the first
    epoch and after each one.  ``after`` is called with the history after each epoch and returns
    whether that was the last one.

    Raises
    ------
    NonFiniteLoss
        as in :func:`expect_number`, and if the loss of a step is NaN or infinite.
    """
    history = History() if checkpoint is None else checkpoint.track("history", History())
    probed = train_examples.first(probe_size).to(network.device)
    if recorder is not None and not history.seconds:
        recorder.record(network, loss, *probed.batch(0, probe_size, network.dtype), epoch=0)
    for epoch in train(
        network,
        train_examples,
        loss,
        optimizer,
        epochs=epochs,
        batch_size=batch_size,
        rng=rng,
        augment=augment,
        progress=progress,
        graph=graph,
        checkpoint=checkpoint,
        watch=watch,
    ):
        tested = evaluate(network, test_examples, loss, test_batch_size)
        expect_number("test", tested.loss, epoch.number)
        x, targets = probed.batch(0, probe_size, network.dtype)
        history.train_loss.append(epoch.train_loss)
        history.train_accuracy.append(epoch.train_accuracy)
        history.test_loss.append(tested.loss)
        history.test_accuracy.append(tested.accuracy)
        before = len(history.seconds) - len(history.correct)  # of an earlier version's checkpoint
        history.correct += [""] * before + [packed(tested.correct)]
        history.seconds.append(epoch.seconds)
        with one_pool():  # the same sums whether another network is in a step or not
            history.probes.append(probe(network, loss, x, targets, "sum", epoch.update))
        if recorder is not None:
            recorder.record(network, loss, x, targets, epoch.number)
        del epoch  # which holds Δθ, as large as θ
        if after is not None and after(history):
            break
    return history


def expect_number(part: str, loss: float, epoch: int) -> None:
    """Raise ``NonFiniteLoss`` if the weights after an epoch's last step make the loss NaN.

    The next step would find it, if there were one.
    """
    if math.isnan(loss):
        raise NonFiniteLoss(
            f"epoch {epoch}: the {part} loss is {loss} after its last step; "
            "try a smaller learning_rate, or clip_norm=1.0"
        )
