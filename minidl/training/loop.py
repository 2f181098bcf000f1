"""Training as a generator of epochs."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from minidl.backend import Array, Device, checks
from minidl.data.examples import Examples
from minidl.losses import Loss
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.training.checkpoint import Checkpoint
from minidl.training.nonfinite import NonFiniteLoss
from minidl.training.progress import Progress
from minidl.training.step import (
    Position,
    TrainingStep,
    check_parts,
    expect_finite,
    step_on,
)


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the training examples.

    Loss and accuracy are running values: each batch is judged by the network as
    it was at that step, with dropout on.
    """

    number: int  # from 1
    train_loss: float  # mean over the examples
    train_accuracy: float  # share of correct answers, NaN for a regression
    steps: int
    seconds: float  # of training alone
    images_per_second: float
    update: Array = field(repr=False)  # Δθ (P,) of the last step


class Training(Iterator[Epoch]):
    """The epochs of :func:`train`, each trained on request.

    If it is discarded before the first epoch, it warns that nothing has been trained.
    """

    def __init__(self, epochs: Generator[Epoch, None, None]) -> None:
        self._epochs = epochs

    def __next__(self) -> Epoch:
        return next(self._epochs)

    def close(self) -> None:
        """Stop training."""
        self._epochs.close()

    @property
    def _is_unused(self) -> bool:
        return inspect.getgeneratorstate(self._epochs) == inspect.GEN_CREATED

    def __del__(self) -> None:
        if self._is_unused:
            warnings.warn(f"train(…) was {NEVER_BEGUN}", RuntimeWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"<train(…), {NEVER_BEGUN if self._is_unused else 'begun'}>"


NEVER_BEGUN = (
    "never iterated: nothing was trained; write `for epoch in train(…): …`, "
    "or fit(network, x, y), which is such a loop"
)


def train(
    network: Network,
    examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int = 64,
    rng: np.random.Generator | int = 0,
    augment: Callable[[Array], Array] | None = None,
    progress: bool | str = True,
    checkpoint: Checkpoint | None = None,
    watch: Callable[[int, int], None] | None = None,
    drop_last: bool = False,
    make_step: Callable[..., TrainingStep] | None = None,
) -> Training:
    """Train, and yield one :class:`Epoch` after each pass over ``examples``.

    What should happen between epochs is code in the loop::

        for epoch in train(network, examples, loss, Adam(), epochs=20):
            print(probe(network, loss, x, labels, update=epoch.update))

    Every epoch takes the examples in a new order drawn from ``rng``; the last
    batch is smaller if ``batch_size`` does not divide their number, and left out with
    ``drop_last``.  Batches of
    :class:`minidl.data.Sentences` have sentences of similar length.
    ``augment``, for example a :class:`minidl.data.augmentation.Augmentation`, changes the
    images of each batch before they are scaled.
    ``progress`` shows a bar on a terminal and a line per epoch elsewhere; a
    string is used as a prefix.  With a ``checkpoint``, training resumes from it
    and yields the epochs from there on (see :mod:`minidl.training.checkpoint`).
    ``watch(epoch, step)`` is called before each step, both counted from 0, to inspect the
    network; its time does not count for the epoch.

    ``make_step`` is called as :class:`minidl.training.step.TrainingStep`, by default that of the
    network's device.  On a GPU, the step is a CUDA graph; :func:`minidl.gpu.train` can do
    without.  On several processes, :func:`minidl.data_parallel.train` lets them share each batch.

    Raises
    ------
    ValueError
        if arguments have the wrong type or value, examples do not match the
        network, targets do not match the loss, BatchNorm would get a batch of one, or examples
        that are not augmented contain NaN or infinity, with the index of the first.  Nothing has
        been trained then.
    NonFiniteLoss
        if the loss of a step is NaN or infinite, with epoch, step and the
        first layer in which this appears.  Parameters and state stay as they were
        before that step.  On a GPU, this is only found at the end of the epoch.
    DeviceError
        if the GPU, or this machine, has too little memory.
    GraphError
        if a layer does something in a step that a graph cannot hold.
    CheckpointError
        if the checkpoint belongs to another training run.
    RuntimeError
        if ``mpiexec`` has started several processes, which would not share their work.
    Stopped
        if the checkpoint's ``stop`` is set, once the checkpoint is written.
    """
    if make_step is None:
        checks.one_process("train")
        make_step = step_on
    epochs = checks.integer("train", "epochs", epochs)
    batch_size = checks.integer("train", "batch_size", batch_size)
    rng = checks.generator("train", rng)
    check_parts("train", network, examples, loss)
    checks.instance("train", "optimizer", optimizer, Optimizer)
    optimizer.expect_network(network)
    if augment is not None:
        checks.function("train", "augment", augment, "images")
    if watch is not None:
        checks.function("train", "watch", watch, "epoch", "step")
    if checkpoint is not None:
        checks.instance("train", "checkpoint", checkpoint, Checkpoint)
    if not isinstance(progress, str):
        checks.boolean("train", "progress, unless it is a label,", progress)
    checks.boolean("train", "drop_last", drop_last)
    with network.device.enough_memory():
        step = make_step(network, examples, loss, optimizer, batch_size, augment, drop_last)
        if augment is None:  # which may put numbers in place of NaN
            expect_finite("train", step.examples, network.dtype)
    if callable(optimizer.learning_rate):
        _expect_rates(optimizer, optimizer.t + epochs * step.steps)
    return Training(_train(step, epochs, rng, progress, checkpoint, watch))


def _expect_rates(optimizer: Optimizer, end: int) -> None:
    """Raise ``ValueError`` if a learning rate up to step ``end`` is none; of many, try 10,000."""
    for t in (*range(optimizer.t, end, 1 + (end - optimizer.t) // 10_000), end - 1):
        optimizer.rate(t + 1)


def _train(
    step: TrainingStep,
    epochs: int,
    rng: np.random.Generator,
    progress: bool | str,
    checkpoint: Checkpoint | None,
    watch: Callable[[int, int], None] | None,
) -> Generator[Epoch, None, None]:
    theta, n = step.network.theta, step.seen
    device = step.network.device
    at = Position() if checkpoint is None else checkpoint.restore(step, rng)
    done = (at.epochs, at.steps)
    step.check_ranks(rng, epochs=epochs, done=done, every=checkpoint and checkpoint.every)
    is_shown = step.is_root and progress is not False
    shown = Progress(progress, epochs, step.steps, done) if is_shown else nullcontext()
    with shown as bar, device.enough_memory():
        for number in range(at.epochs + 1, epochs + 1):
            start = time.perf_counter() - at.seconds
            order = at.order if at.steps else step.examples.order(rng, step.batch_size)
            try:
                with step.epoch(order, at.steps):
                    for i in range(at.steps, step.steps):
                        if watch is not None:
                            start += _watched(watch, number - 1, i, device)
                        if i == step.steps - 1:
                            update = theta.copy()
                        step()
                        if bar is not None:
                            bar.step()
                        # A complete epoch is saved together with what the caller made of it.
                        is_within = step.done < step.steps
                        if checkpoint is not None and is_within and checkpoint.is_due(step):
                            step.synchronize()
                            seconds = time.perf_counter() - start
                            at = Position(number - 1, step.done, order, seconds)
                            checkpoint.save(step, rng, at)
                    np.subtract(theta, update, out=update)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(f"epoch {number}, {error}") from None
            seconds = time.perf_counter() - start
            loss, accuracy = step.mean_loss_and_accuracy()
            if bar is not None:
                bar.epoch(number, loss, accuracy, seconds, n)
            yield Epoch(number, loss, accuracy, step.steps, seconds, n / seconds, update)
            del update  # as large as θ
            at = Position(number)
            if checkpoint is not None:
                checkpoint.save(step, rng, at)


def _watched(watch: Callable[[int, int], None], epoch: int, i: int, device: Device) -> float:
    """The seconds that it took."""
    device.synchronize()
    start = time.perf_counter()
    with np.errstate(over="warn", invalid="warn", divide="warn"):
        watch(epoch, i)
    return time.perf_counter() - start
