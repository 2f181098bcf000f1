"""Checkpoints: the state of a training run between two steps, to resume from bit for bit.

The next step depends on little: θ and the layers' state, the optimizer's
vectors and step count, every random generator, and the position in the epoch.
A step after resuming computes what it would have computed without the interruption, to the last
bit, on the same device with the same software and number of threads.

A checkpoint also records which training run it belongs to, and with which software it was
computed: that of another run is refused, different software is reported.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from minidl._printable import printable
from minidl._renamed import warn_renamed
from minidl.backend import checks, to_numpy
from minidl.storage.files import remove_parts
from minidl.storage.sealed import DamagedFile, decoded, encoded, read_sealed, write_sealed
from minidl.training.software import Software, distinct
from minidl.training.start import DRAWN, difference, generators_of, start_of, state_of
from minidl.training.step import Position, TrainingStep

T = TypeVar("T")


WAY_OUT = "remove it (--fresh) to train from the start, or choose another folder"


class CheckpointError(RuntimeError):
    """A checkpoint belongs to another training run, or cannot be read."""


class Stopped(Exception):
    """Training was asked to stop; its checkpoint, if it has one, has been written."""


@dataclass(frozen=True)
class Saved:
    """The contents of a checkpoint."""

    of: dict[str, str]  # the identity of the training run; fields are called as in the file
    start: dict[str, str]  # what the run started with
    software: list[Software]  # with which its steps were computed, each once, the latest last
    network: str
    position: Position
    losses: np.ndarray  # of the examples seen in the epoch
    hits: np.ndarray
    theta: np.ndarray  # (P,)
    state: np.ndarray  # (S,)
    t: int  # steps of the optimizer
    learning_rate: float
    slots: dict[str, np.ndarray]  # the optimizer's vectors, (P,) each; none before its first step
    generators: list[str]  # JSON, whose integers may have 128 bits
    kept: dict[str, msgspec.Raw]


class Checkpoint:
    """The checkpoint of one training run, and the request that it should stop::

        checkpoint = Checkpoint("runs/relu.checkpoint")
        history = checkpoint.track("history", History())
        for epoch in train(network, examples, loss, Adam(), epochs=20, checkpoint=checkpoint):
            history.train_loss.append(epoch.train_loss)
        checkpoint.remove()

    If this is killed and run again, it trains the missing epochs and ends with the
    same ``network`` and ``history``.  The file is written when the loop asks for the
    next epoch, so it includes what the loop did with the last one.  The previous file is
    kept as ``….previous``, and used, with a line on standard error, if the newer one
    is damaged.

    Parameters
    ----------
    path : path of the file; its folder must exist.  Each start of the run makes a new checkpoint
        of the same path
    every : also write after this many steps; with ``None``, only after epochs
    stop : once this is set, training writes the checkpoint after the current step and raises
        :class:`Stopped`
    identity : the name and the options of the training run: a checkpoint
        with other values is refused.  In any case, a checkpoint is refused if it started with
        other examples, parameters, random generators or settings than the run that would
        resume from it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None = None,
        stop: threading.Event | None = None,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        if every is not None:
            every = checks.integer("Checkpoint", "every", every)
        self.path = Path(path)
        if not os.access(self.path.parent, os.W_OK) or self.path.is_dir():
            raise CheckpointError(
                f"{self.path}: expected a file in a folder that exists and can be written to; "
                "create that folder, or choose another"
            )
        self.previous = self.path.with_name(self.path.name + ".previous")
        self.every = every
        self.stop = threading.Event() if stop is None else stop
        self.identity = dict(identity or {})
        if not all(isinstance(text, str) for item in self.identity.items() for text in item):
            raise ValueError(
                f"Checkpoint: expected identity to be a dict of strings, got {self.identity!r}"
            )
        self._start: dict[str, str] = {}
        self._software: list[Software] = []
        self._tracked: dict[str, Any] = {}
        self._children: list[Checkpoint] = []
        self._is_whole = False  # whether the file at ``path`` is complete
        self._is_used = False  # by a training run
        self._saved: Saved | None = self._newest()

    def child(self, name: str) -> Checkpoint:
        """The checkpoint of another training run of the same task, which ends or fails with it."""
        path = self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}")
        if path in (child.path for child in self._children):
            raise ValueError(f"Checkpoint.child: expected each name only once, got {name} again")
        identity = self.identity | {"part": name}
        self._children.append(type(self)(path, self.every, self.stop, identity))
        return self._children[-1]

    def track(self, name: str, value: T, kind: Any = None) -> T:
        """``value`` as it was when the checkpoint was written, or as given if there is none.

        From now on, the returned object is written with each checkpoint, as it is then: a list,
        a dict, an array or a dataclass of these, of numbers and of text, which changes in place.
        ``kind``, for example ``list[Probe]``, is its type if ``type(value)`` does not say enough.
        """
        if isinstance(value, Number | str | bytes | tuple):
            raise ValueError(
                f"Checkpoint.track: expected {name} to be an object that changes in place, such as "
                f"a list or a dict, got {checks.describe(value)}; a number or text that replaces "
                "it would not be written"
            )
        return self._track(name, value, kind)

    def keep(self, name: str, value: T, kind: Any = None) -> T:
        """Deprecated: :meth:`track`."""
        warn_renamed("Checkpoint.keep", "track")
        return self.track(name, value, kind)

    def part(self, name: str) -> Checkpoint:
        """Deprecated: :meth:`child`."""
        warn_renamed("Checkpoint.part", "child")
        return self.child(name)

    def expect(self, name: str, value: str) -> None:
        """Refuse a checkpoint that was written with another ``value`` of that name.

        Raises
        ------
        CheckpointError
            with both values.
        """
        if (found := self._track(name, value)) != value:
            raise self._mismatch(f"{name} {value}", f"{name} {found}")

    def _track(self, name: str, value: T, kind: Any = None) -> T:
        if name in self._tracked:
            raise ValueError(f"Checkpoint: expected each name only once, got {name} again")
        if self._saved is not None:
            if name not in self._saved.kept:
                raise CheckpointError(f"{self.path}: expected {name} in it; {WAY_OUT}")
            value = decoded(bytes(self._saved.kept[name]), kind or type(value), self.path)
        else:
            _expect_to_come_back(name, value, kind or type(value), self.path)
        self._tracked[name] = value
        return value

    def resume_with(self, learning_rate: float) -> None:
        """Resume with this rate: a run of fewer epochs did not know that of the next one."""
        if self._saved is not None:
            self._saved = replace(self._saved, learning_rate=learning_rate)

    def restore(self, step: TrainingStep, rng: np.random.Generator) -> Position:
        """Restore the state at which the checkpoint was written, and return its position.

        Raises
        ------
        CheckpointError
            if the checkpoint belongs to another network, optimizer or data set, or was used
            for a training run before.
        """
        if self._is_used:
            raise CheckpointError(
                f"{self.path}: expected one training run for each Checkpoint, got a second; use "
                "checkpoint.child(name) for another run, a new Checkpoint(path) to start again"
            )
        self._is_used = True
        saved, now = self._saved, Software.now()
        step.stop = self.stop
        generators = list(generators_of(step, rng))
        self._start = start_of(step, generators)
        earlier = saved.software if saved is not None else []
        self._software = [*(one for one in earlier if one != now), now]
        if saved is None:
            return Position()
        network, optimizer = step.network, step.optimizer
        self._check(saved, step, len(generators))
        self._check_start(saved, now)
        try:
            if not callable(optimizer.learning_rate):
                optimizer.learning_rate = saved.learning_rate
            for generator, state in zip(generators, saved.generators, strict=True):
                generator.bit_generator.state = json.loads(state)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise self._mismatch(
                "a learning rate and generators like these", repr(error)
            ) from error
        for array, value in ((network.theta, saved.theta), (network.state, saved.state)):
            array[...] = network.device.asarray(value)
        optimizer.resume(network.theta, saved.t, saved.slots)
        for array, value in ((step.losses, saved.losses), (step.correct, saved.hits)):
            array[: len(value)] = network.device.asarray(value)
        if saved.software[-1:] != [now]:
            before = saved.software[-1] if saved.software else Software({})
            print(
                f"minidl: {self.path.name}: resumed with other software than before: "
                f"{now.difference(before)}",
                file=sys.stderr,
                flush=True,
            )
        return saved.position

    def save(self, step: TrainingStep, rng: np.random.Generator, position: Position) -> None:
        """Write the current state, at ``position``; the previous file is kept.

        If several processes train together, one of them writes.

        Raises
        ------
        Stopped
            once it is written, if ``stop`` is set.
        """
        if step.is_root:
            self._write(step, rng, position)
        if step.is_stopped():
            step.barrier()  # the first rank to end would end the others before they have written
            raise Stopped

    def _write(self, step: TrainingStep, rng: np.random.Generator, position: Position) -> None:
        network, optimizer = step.network, step.optimizer
        seen = slice(position.steps * step.batch_size)
        saved = Saved(
            of=self.identity,
            start=self._start,
            software=self._software,
            network=repr(network),
            position=position,
            losses=step.losses[seen],
            hits=step.correct[seen],
            theta=network.theta,
            state=network.state,
            t=optimizer.t,
            learning_rate=optimizer.rate(max(optimizer.t, 1)),
            slots={name: getattr(optimizer, name) for name in optimizer.slots if optimizer.t},
            generators=[state_of(generator) for generator in generators_of(step, rng)],
            kept={name: msgspec.Raw(encoded(value)) for name, value in self._tracked.items()},
        )
        if self._is_whole:
            os.replace(self.path, self.previous)
        write_sealed(self.path, saved)
        if not self._is_whole:  # perhaps since a process was killed while it wrote
            remove_parts(self.path.parent, self.path.name)
        self._is_whole = True

    def is_due(self, step: TrainingStep) -> bool:
        """Whether to write after the last step."""
        every = self.every
        return step.is_stopped() or (every is not None and step.optimizer.t % every == 0)

    def software(self) -> list[Software]:
        """The software with which the run and its children were computed so far, each once."""
        children = [one for child in self._children for one in child.software()]
        return distinct([*self._software, *children])

    def remove(self) -> None:
        """Remove the files, and those of its children, once the results are stored elsewhere."""
        for path in (self.path, self.previous):
            path.unlink(missing_ok=True)
        for child in self._children:
            child.remove()

    def compare(self, identity: Mapping[str, str]) -> tuple[str, str] | None:
        """Where the identity in a file differs from ours, both as text; None if it does not."""
        return difference(self.identity, identity)

    def _newest(self) -> Saved | None:
        """The newest complete contents; ``None`` if nothing was ever written."""
        damage = []
        for path in (self.path, self.previous):
            try:
                saved = read_sealed(path, Saved)
            except FileNotFoundError:
                continue
            except DamagedFile as error:
                damage.append(str(error))
                continue
            if other := self.compare(saved.of):
                raise mismatch(path, *other)
            self._is_whole = path == self.path
            if damage:
                print(f"minidl: {damage[0]}; {path.name} is used", file=sys.stderr, flush=True)
            return saved
        if damage:
            raise CheckpointError(f"{'; '.join(damage)}; {WAY_OUT}")
        return None

    def _check(self, saved: Saved, step: TrainingStep, generators: int) -> None:
        """Refuse what does not match, before anything is changed."""
        network, n, position = step.network, len(step.examples), saved.position
        seen = position.steps * step.batch_size
        theta = dtype_and_shape(network.theta)
        for name, ours, theirs in (
            ("", repr(network), saved.network),
            ("parameters ", theta, dtype_and_shape(saved.theta)),
            ("state ", dtype_and_shape(network.state), dtype_and_shape(saved.state)),
            (
                "vectors ",
                str({name: theta for name in step.optimizer.slots if saved.t}),
                str({name: dtype_and_shape(v) for name, v in saved.slots.items()}),
            ),
            ("", f"{generators} generators", f"{len(saved.generators)} generators"),
            ("losses ", f"{network.dtype} {(seen,)}", dtype_and_shape(saved.losses)),
            ("hits ", f"{network.dtype} {(seen,)}", dtype_and_shape(saved.hits)),
        ):
            if ours != theirs:
                raise self._mismatch(name + ours, name + theirs)
        if not 0 <= position.steps < step.steps or min(position.epochs, saved.t) < 0:
            raise self._mismatch(f"a step below {step.steps}", f"{position.steps}")
        if position.steps:
            order = position.order
            is_order = order.dtype.kind == "i" and np.array_equal(np.sort(order, None), range(n))
            if not is_order or order.ndim != 1:
                raise self._mismatch(f"an order of {n} examples", dtype_and_shape(order))

    def _check_start(self, saved: Saved, now: Software) -> None:
        """Refuse a run that started differently; nothing has been changed yet.

        Different software may round the initial parameters differently, so they are not compared
        then.
        """
        ours, theirs = self._start, saved.start
        if saved.software[-1:] != [now]:
            ours, theirs = ({k: v for k, v in one.items() if k != DRAWN} for one in (ours, theirs))
        if other := difference(ours, theirs):
            raise self._mismatch(*other)

    def _mismatch(self, expected: str, got: str) -> CheckpointError:
        return mismatch(self.path, expected, got)


def _expect_to_come_back(name: str, value: Any, kind: Any, path: Path) -> None:
    """Raise ``ValueError`` for what could not be written, or would be read as something else."""
    try:
        back = decoded(encoded(value), kind, path)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Checkpoint.track: expected {name} to be a list, a dict, an array or a dataclass of "
            f"these, of numbers and of text, got {checks.describe(value)}: {error}"
        ) from error
    if not _alike(back, value):
        raise ValueError(
            f"Checkpoint.track: expected the kind of {name}, such as dict[str, numpy.ndarray], got "
            f"none; without it, {checks.describe(value)} would be read as {checks.describe(back)}"
        )


def _alike(back: Any, value: Any) -> bool:
    """Whether what was read is of the same types as what was written; any number is a number."""
    if isinstance(value, dict):
        return isinstance(back, dict) and all(_alike(back.get(k), v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return isinstance(back, list | tuple) and all(map(_alike, back, value))
    return isinstance(value, Number) or type(back) is type(value)


def mismatch(path: Path, expected: str, got: str) -> CheckpointError:
    """The error for a file of another training run, or of another part of one, than expected."""
    expected, got = printable(expected, 2000), printable(got, 2000)
    return CheckpointError(
        f"{path}: is of another training run: expected {expected}, got {got}; {WAY_OUT}"
    )


def dtype_and_shape(array: Any) -> str:
    return f"{to_numpy(array).dtype} {array.shape}"
