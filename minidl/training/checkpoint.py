"""Checkpoints: the state of a training run between two steps, to resume from bit for bit.

The next step depends on little: θ and the layers' state, the optimizer's
vectors and step count, every random generator, and the position in the epoch.
A step after resuming computes what it would have computed without the interruption, to the last
bit, on the same device with the same software and number of threads.

A checkpoint also records which training run it belongs to, and with which software it was
computed: that of another run is refused, different software is reported.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from numbers import Number
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, TypeVar

import msgspec
import numpy as np

from minidl._printable import printable
from minidl.backend import checks, to_numpy
from minidl.optimizers import Rate
from minidl.storage.files import remove_parts
from minidl.storage.sealed import DamagedFile, decoded, encoded, read_sealed, write_sealed
from minidl.training.software import Software, distinct
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

    of: dict[str, str]  # the training run, as its study names it
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
        history = checkpoint.keep("history", History())
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
    of : the name and the options of the training run: a checkpoint
        with other values is refused.  In any case, a checkpoint is refused if it started with
        other examples, parameters, random generators or settings than the run that would
        resume from it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None = None,
        stop: threading.Event | None = None,
        of: Mapping[str, str] | None = None,
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
        self.of = dict(of or {})
        if not all(isinstance(text, str) for item in self.of.items() for text in item):
            raise ValueError(f"Checkpoint: expected of to be a dict of strings, got {self.of!r}")
        self._start: dict[str, str] = {}
        self._software: list[Software] = []
        self._kept: dict[str, Any] = {}
        self._parts: list[Checkpoint] = []
        self._is_whole = False  # whether the file at ``path`` is complete
        self._is_used = False  # by a training run
        self._saved: Saved | None = self._newest()

    def part(self, name: str) -> Checkpoint:
        """The checkpoint of another training run of the same task, which ends or fails with it."""
        path = self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}")
        if path in (part.path for part in self._parts):
            raise ValueError(f"Checkpoint.part: expected each name only once, got {name} again")
        self._parts.append(Checkpoint(path, self.every, self.stop, self.of | {"part": name}))
        return self._parts[-1]

    def keep(self, name: str, value: T, kind: Any = None) -> T:
        """``value`` as it was when the checkpoint was written, or as given if there is none.

        From now on, the returned object is written with each checkpoint, as it is then: a list,
        a dict, an array or a dataclass of these, of numbers and of text, which changes in place.
        ``kind``, for example ``list[Probe]``, is its type if ``type(value)`` does not say enough.
        """
        if isinstance(value, Number | str | bytes | tuple):
            raise ValueError(
                f"Checkpoint.keep: expected {name} to be an object that changes in place, such as "
                f"a list or a dict, got {checks.describe(value)}; a number or text that replaces "
                "it would not be written"
            )
        return self._keep(name, value, kind)

    def expect(self, name: str, value: str) -> None:
        """Refuse a checkpoint that was written with another ``value`` of that name.

        Raises
        ------
        CheckpointError
            with both values.
        """
        if (found := self._keep(name, value)) != value:
            raise self._of_another(f"{name} {value}", f"{name} {found}")

    def _keep(self, name: str, value: T, kind: Any = None) -> T:
        if name in self._kept:
            raise ValueError(f"Checkpoint: expected each name only once, got {name} again")
        if self._saved is not None:
            if name not in self._saved.kept:
                raise CheckpointError(f"{self.path}: expected {name} in it; {WAY_OUT}")
            value = decoded(bytes(self._saved.kept[name]), kind or type(value), self.path)
        else:
            _expect_to_come_back(name, value, kind or type(value), self.path)
        self._kept[name] = value
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
                "checkpoint.part(name) for another run, a new Checkpoint(path) to start again"
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
            raise self._of_another(
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
            of=self.of,
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
            generators=[_state_of(generator) for generator in generators_of(step, rng)],
            kept={name: msgspec.Raw(encoded(value)) for name, value in self._kept.items()},
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
        """The software with which the run was computed so far, including its parts, each once."""
        parts = [one for part in self._parts for one in part.software()]
        return distinct([*self._software, *parts])

    def remove(self) -> None:
        """Remove the files, and those of its parts, once the results are stored elsewhere."""
        for path in (self.path, self.previous):
            path.unlink(missing_ok=True)
        for part in self._parts:
            part.remove()

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
            if other := difference(self.of, saved.of):
                raise self._of_another(*other, path)
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
        slots = {name: _form(network.theta) for name in step.optimizer.slots if saved.t}
        for expected, got in (
            (repr(network), saved.network),
            (f"parameters {_form(network.theta)}", f"parameters {_form(saved.theta)}"),
            (f"state {_form(network.state)}", f"state {_form(saved.state)}"),
            (f"vectors {slots}", f"vectors { {k: _form(v) for k, v in saved.slots.items()} }"),
            (f"{generators} generators", f"{len(saved.generators)} generators"),
            (f"losses {network.dtype} {(seen,)}", f"losses {_form(saved.losses)}"),
            (f"hits {network.dtype} {(seen,)}", f"hits {_form(saved.hits)}"),
        ):
            if expected != got:
                raise self._of_another(expected, got)
        if not 0 <= position.steps < step.steps or min(position.epochs, saved.t) < 0:
            raise self._of_another(f"a step below {step.steps}", f"{position.steps}")
        if position.steps:
            order = position.order
            is_order = order.dtype.kind == "i" and np.array_equal(np.sort(order, None), range(n))
            if not is_order or order.ndim != 1:
                raise self._of_another(f"an order of {n} examples", _form(order))

    def _check_start(self, saved: Saved, now: Software) -> None:
        """Refuse a run that started differently; nothing has been changed yet.

        Different software may round the initial parameters differently, so they are not compared
        then.
        """
        ours, theirs = self._start, saved.start
        if saved.software[-1:] != [now]:
            ours, theirs = ({k: v for k, v in one.items() if k != DRAWN} for one in (ours, theirs))
        if other := difference(ours, theirs):
            raise self._of_another(*other)

    def _of_another(self, expected: str, got: str, path: Path | None = None) -> CheckpointError:
        return of_another(path or self.path, expected, got)


def _expect_to_come_back(name: str, value: Any, kind: Any, path: Path) -> None:
    """Raise ``ValueError`` for what could not be written, or would be read as something else."""
    try:
        back = decoded(encoded(value), kind, path)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Checkpoint.keep: expected {name} to be a list, a dict, an array or a dataclass of "
            f"these, of numbers and of text, got {checks.describe(value)}: {error}"
        ) from error
    if not _alike(back, value):
        raise ValueError(
            f"Checkpoint.keep: expected the kind of {name}, such as dict[str, numpy.ndarray], got "
            f"none; without it, {checks.describe(value)} would be read as {checks.describe(back)}"
        )


def _alike(back: Any, value: Any) -> bool:
    """Whether what was read is of the same types as what was written; any number is a number."""
    if isinstance(value, dict):
        return isinstance(back, dict) and all(_alike(back.get(k), v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return isinstance(back, list | tuple) and all(map(_alike, back, value))
    return isinstance(value, Number) or type(back) is type(value)


def of_another(path: Path, expected: str, got: str) -> CheckpointError:
    """The error for a file of another training run, or of another part of one, than expected."""
    expected, got = printable(expected, 2000), printable(got, 2000)
    return CheckpointError(
        f"{path}: is of another training run: expected {expected}, got {got}; {WAY_OUT}"
    )


DATA = "data "  # before the name of a data set


def difference(expected: Mapping[str, str], got: Mapping[str, str]) -> tuple[str, str] | None:
    """What was expected and what was found, where they differ; None if they do not.

    Data sets that only one of them has used are not compared.
    """
    missing = "not there"
    names = [
        name
        for name in sorted({*expected, *got})
        if not name.startswith(DATA) or (name in expected and name in got)
    ]
    other = [n for n in names if expected.get(n) != got.get(n)]
    if not other:
        return None
    ours, theirs = (
        ", ".join(f"{name} {some.get(name, missing)}" for name in other) for some in (expected, got)
    )
    return ours, theirs


DRAWN = "first parameters"


def start_of(step: TrainingStep, generators: list[np.random.Generator]) -> dict[str, str]:
    """What identifies a training run, before its first step."""
    network = step.network
    states = [_state_of(generator).encode() for generator in generators]
    return {
        DRAWN: digest(*(to_numpy(array).tobytes() for array in (network.theta, network.state))),
        "random generators": digest(*states),
        "examples": step.examples.digest()[:SHORT],
        "batch size": f"{step.batch_size}{', the last one dropped' if step.drop_last else ''}",
        "loss": _settings(step.loss),
        "optimizer": _settings(step.optimizer),
        "augmentation": "none" if step.augment is None else _settings(step.augment),
    }


SHORT = 16  # digits of a digest to show and compare


def digest(*contents: bytes) -> str:
    """A short digest of these bytes, one after the other."""
    return hashlib.sha256(b"".join(contents)).hexdigest()[:SHORT]


def _settings(owner: Any) -> str:
    """The class of an optimizer, loss or augmentation, with its options."""
    found = {n: v for n, v in getattr(owner, "__dict__", {}).items() if not n.startswith("_")}
    if hasattr(owner, "learning_rate"):  # a property
        rate = owner.learning_rate
        found = {"learning_rate": rate_identity(rate) if callable(rate) else rate} | found
    options = ", ".join(
        f"{name}={value.item() if isinstance(value, np.generic) else value!r}"
        for name, value in found.items()
        if isinstance(value, bool | int | float | str | np.generic | None) and name not in COUNTS
    )
    return f"{type(owner).__name__}({options})"


def rate_identity(rate: Rate) -> str:
    """What tells one learning rate from another, for the record of a training run.

    That is the number, or the ``repr`` of a schedule of minidl; of any other function, its name
    and its values after 0, 1, 2, 4, 8, … steps.
    """
    if not callable(rate) or hasattr(rate, "counts"):
        return repr(rate)
    values: list[float] = []
    with suppress(Exception):  # it may be a table that ends
        values += (float(rate(t)) for t in (0, *(2**k for k in range(21))))
    return f"{getattr(rate, '__qualname__', type(rate).__qualname__)}{values}"


COUNTS = ("t", "is_ahead")  # attributes that change while an optimizer or augmentation is used


def generators_of(step: TrainingStep, rng: np.random.Generator) -> Iterator[np.random.Generator]:
    """Every source of randomness of a training run: order, layers, loss, augmentation."""
    yield rng
    for owner in (*step.network.walk(), step.loss, step.augment):
        yield from _generators_in(owner)


def _generators_in(owner: Any) -> Iterator[np.random.Generator]:
    """Those in the attributes of an object, or in the variables that a function uses."""
    if isinstance(owner, np.random.Generator):
        yield owner
    elif isinstance(owner, FunctionType):
        used = inspect.getclosurevars(owner)
        values = (*used.nonlocals.values(), *used.globals.values(), *(owner.__defaults__ or ()))
        yield from (value for value in values if isinstance(value, np.random.Generator))
    elif isinstance(owner, MethodType):
        yield from _generators_in(owner.__self__)
    elif isinstance(owner, partial):
        for part in (owner.func, *owner.args, *owner.keywords.values()):
            yield from _generators_in(part)
    else:
        values = tuple(getattr(owner, "__dict__", {}).values())
        yield from (value for value in values if isinstance(value, np.random.Generator))


def _state_of(generator: np.random.Generator) -> str:
    return json.dumps(generator.bit_generator.state, default=lambda array: array.tolist())


def _form(array: Any) -> str:
    return f"{to_numpy(array).dtype} {array.shape}"
