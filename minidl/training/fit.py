"""Training in one call: arrays in, history out.  It is a loop over :func:`train`, easy to read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.backend import Array, checks, hints
from minidl.data.examples import Examples
from minidl.data.likeness import expect_same_scale
from minidl.inspection import probe, update_ratio
from minidl.losses import Loss, SoftmaxCrossEntropy
from minidl.network import Network
from minidl.optimizers import Adam, Optimizer
from minidl.training.checkpoint import WAY_OUT, Checkpoint, CheckpointError
from minidl.training.early_stopping import EarlyStopping
from minidl.training.evaluation import Evaluation, evaluate
from minidl.training.hints import nothing_learned
from minidl.training.history import FitHistory
from minidl.training.loop import Training, train
from minidl.training.progress import say
from minidl.training.step import check_parts, check_targets, expect_finite

PROBED = 64  # training examples whose gradients are kept
UNKNOWN = Evaluation(math.nan, math.nan)


def fit(
    network: Network,
    x: Array | Examples,
    y: Array | None = None,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 20,
    batch_size: int = 64,
    validation: float | tuple[Array, Array] | Examples | None = 0.1,
    patience: int | None = None,
    schedule: Callable[[int], float] | None = None,
    augment: Callable[[Array], Array] | None = None,
    rng: np.random.Generator | int = 0,
    progress: bool | str = True,
    checkpoint: Checkpoint | None = None,
    drop_last: bool = False,
    train: Callable[..., Training] = train,
) -> FitHistory:
    """Train ``network`` on ``x`` ``(N, …)`` and ``y``, and return the history::

        history = fit(network, images, labels, epochs=20, patience=3)
        print(history)
        history.plot("run.png")

    Bytes are divided by 255, as in :class:`Examples` and ``network.predict``.

    Parameters
    ----------
    x, y : inputs and targets; or only ``x``, as :class:`Examples`
    loss : by default :class:`SoftmaxCrossEntropy`, whose targets are labels ``(N,)``
    optimizer : by default :class:`Adam`
    validation : what to evaluate after each epoch: a share of the examples, drawn by ``rng``
        (stratified by class if there are labels, each more than once) and not trained on;
        separate data as ``(x, y)`` or :class:`Examples`, on the scale of ``x``; or None
    patience : stop once the validation loss has not fallen for this many epochs; the network then
        gets the weights of the best epoch, see :class:`EarlyStopping`
    schedule : the learning rate as a function of the number of finished epochs, for example
        :class:`CosineAnnealing`; the first epoch uses ``schedule(0)``
    checkpoint : from which an interrupted run resumes, history included; call
        ``checkpoint.remove()`` once the results are safe
    epochs, batch_size, augment, rng, progress, drop_last : as in :func:`train`
    train : what trains: on several processes :func:`minidl.data_parallel.train`

    Warns
    -----
    UserWarning
        if, after the last epoch, the network is no better than a constant answer, with
        what its weights and updates say about the cause.

    Raises
    ------
    ValueError
        if :func:`train` would refuse the arguments, or there is patience without validation.
    NonFiniteLoss, CheckpointError, DeviceError
        as in :func:`train`.
    """
    rng = checks.generator("fit", rng)
    loss = SoftmaxCrossEntropy() if loss is None else loss
    optimizer = Adam() if optimizer is None else optimizer
    checks.instance("fit", "optimizer", optimizer, Optimizer)
    epochs = checks.integer("fit", "epochs", epochs)
    if schedule is not None:
        _check_schedule(schedule, epochs, optimizer)
    examples, held_out = _parts(x, y, validation, rng)
    check_parts("fit", network, examples, loss)
    if held_out is not None:
        _check_held_out(network, examples, held_out, loss)
    probed = examples.first(PROBED).to(network.device)
    stopping = None if patience is None else _stopping(patience, held_out)
    history = FitHistory()
    if checkpoint is not None:
        checkpoint.expect("patience", str(patience))
        checkpoint.expect("validation", "none" if held_out is None else held_out.digest()[:16])
        checkpoint.expect("schedule", _described(schedule))
        history = checkpoint.track("history", history)
        stopping = checkpoint.track("stopping", stopping, EarlyStopping | None)
        if schedule is not None:
            _expect_same_rates(history.learning_rate, schedule)
            if len(history) < epochs:
                checkpoint.resume_with(schedule(len(history)))
    if schedule is not None:
        optimizer.learning_rate = schedule(0)

    options: dict[str, Any] = {"rng": rng, "augment": augment, "progress": progress}
    options |= {"epochs": epochs, "batch_size": batch_size, "checkpoint": checkpoint}
    options["drop_last"] = drop_last
    start = network.theta.copy()
    for epoch in train(network, examples, loss, optimizer, **options):
        judged = UNKNOWN if held_out is None else evaluate(network, held_out, loss)
        figures = probe(network, loss, *probed.batch(0, PROBED, network.dtype), update=epoch.update)
        moved = update_ratio(start, network.theta - start)
        history.add(epoch, judged, optimizer.rate(optimizer.t), moved, figures)
        if progress is not False and held_out is not None:
            say(f"  validation  {judged}")
        if stopping is not None and stopping.update(network, judged.loss):
            break
        if schedule is not None and epoch.number < epochs:
            optimizer.learning_rate = schedule(epoch.number)

    if stopping is not None and stopping.best_epoch:
        stopping.restore(network)
        history.best_epoch = stopping.best_epoch
    if hint := nothing_learned(history, loss, examples, batch_size):
        checks.warn(f"fit: {hint}")
    return history


def _parts(
    x: Any, y: Any, validation: Any, rng: np.random.Generator
) -> tuple[Examples, Examples | None]:
    """The examples to train on, and those to evaluate."""
    examples = as_examples("fit", x, y)
    if validation is None:
        return examples, None
    if isinstance(validation, tuple) and len(validation) == 2:
        validation = as_examples("fit", *validation)
    if isinstance(validation, Examples):
        return examples, validation
    share = checks.fraction("fit", "validation, unless it is (x, y), Examples or None,", validation)
    count = round(share * len(examples))
    if not 0 < count < len(examples):
        raise ValueError(
            f"fit: expected a share of the {len(examples)} examples for validation that leaves "
            f"some on both sides, got {validation}; validation=None does without"
        )
    return examples.split(count, rng, stratify=examples.can_be_stratified())


def as_examples(owner: str, x: Array | Examples, y: Array | None) -> Examples:
    """``x`` and ``y`` as :class:`Examples`, which ``x`` may already be."""
    if not isinstance(x, Examples):
        if y is None:
            raise ValueError(f"{owner}: expected y, the targets of x, got none")
        for name, given in (("x", x), ("y", y)):
            checks.array(owner, name, given)
        hints.pixels(owner, "x", x)
        return Examples(x, y)
    if y is not None:
        raise ValueError(f"{owner}: expected no y beside Examples, which have their targets")
    return x


def _check_schedule(schedule: Callable[[int], float], epochs: int, optimizer: Optimizer) -> None:
    """Raise ``ValueError`` unless it, and it alone, gives a learning rate for each epoch."""
    checks.function("fit", "schedule", schedule, "the number of epochs done")
    if getattr(schedule, "counts", "epochs") != "epochs":
        raise ValueError(
            f"fit: expected schedule to count epochs, got {schedule!r}, which counts steps; make "
            "it the optimizer's learning_rate"
        )
    if callable(optimizer.learning_rate):
        raise ValueError(
            "fit: expected a schedule, or an optimizer whose learning_rate is a function of the "
            f"steps, got both, {schedule!r} and {optimizer.learning_rate!r}"
        )
    for done in range(epochs):
        checks.not_negative("fit", f"schedule({done})", schedule(done))


def _described(schedule: Callable[[int], float] | None) -> str:
    """The schedule as a text; of a function without one, the rates are compared instead."""
    return "a function" if " at 0x" in repr(schedule) else repr(schedule)


def _expect_same_rates(used: list[float], schedule: Callable[[int], float]) -> None:
    """Raise unless the epochs that are done had the rates of this schedule."""
    for done, rate in enumerate(used):
        if schedule(done) != rate:
            raise CheckpointError(
                f"fit: expected schedule({done}) to be {rate}, the learning rate that epoch "
                f"{done + 1} of the checkpoint had, got {schedule(done)}; {WAY_OUT}"
            )


def _check_held_out(network: Network, examples: Examples, held_out: Examples, loss: Loss) -> None:
    """Raise ``ValueError`` for what :func:`evaluate` would refuse after the first epoch."""
    owner = "fit, validation"
    held_out.check_network(owner, network)
    expect_finite(owner, held_out, network.dtype)
    try:
        expect_same_scale(held_out, examples)
        check_targets(network, held_out, loss)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from error


def _stopping(patience: int, held_out: Examples | None) -> EarlyStopping:
    if held_out is None:
        raise ValueError("fit: expected validation where there is patience, got None")
    return EarlyStopping(patience)
