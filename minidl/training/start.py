"""What identifies a training run: its parameters, examples, settings and generators at the start.

A checkpoint holds it, and a run that started with anything else does not resume from it; ranks that
train together compare it before the first step.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.optimizers import AdamW, Rate
from minidl.training.step import TrainingStep

DRAWN = "first parameters"
SHORT = 16  # digits of a digest to show and compare


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


def start_of(step: TrainingStep, generators: list[np.random.Generator]) -> dict[str, str]:
    """What identifies a training run, before its first step."""
    network = step.network
    states = [state_of(generator).encode() for generator in generators]
    return {
        DRAWN: digest(*map(to_numpy, (network.theta, network.state))),
        "random generators": digest(*states),
        "examples": step.examples.digest()[:SHORT],
        "batch size": f"{step.batch_size}{', the last one dropped' if step.drop_last else ''}",
        "loss": settings(step.loss),
        "optimizer": settings(step.optimizer),
        "augmentation": "none" if step.augment is None else settings(step.augment),
    }


def digest(*contents: Any) -> str:
    """A short digest of these bytes, one after the other."""
    found = hashlib.sha256()
    for one in contents:
        found.update(one)
    return found.hexdigest()[:SHORT]


def settings(owner: Any) -> str:
    """The class of an optimizer, loss or augmentation, with its options."""
    found = {n: v for n, v in getattr(owner, "__dict__", {}).items() if not n.startswith("_")}
    if hasattr(owner, "learning_rate"):  # a property
        rate = owner.learning_rate
        found = {"learning_rate": rate_identity(rate) if callable(rate) else rate} | found
    if isinstance(owner, AdamW):  # which parameters decay, and how much each
        decay = owner.weight_decay
        found["weight_decay"] = decay if isinstance(decay, float) else digest(to_numpy(decay))
        decays = found.pop("decays")
        if decays is not None:
            found["decays"] = getattr(decays, "__qualname__", repr(decays))
    options = ", ".join(
        f"{name}={value.item() if isinstance(value, np.generic) else value!r}"
        for name, value in found.items()
        if isinstance(value, bool | int | float | str | np.generic | None) and name not in COUNTS
    )
    return f"{type(owner).__name__}({options})"


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


def state_of(generator: np.random.Generator) -> str:
    return json.dumps(generator.bit_generator.state, default=lambda array: array.tolist())


def difference(expected: Mapping[str, str], got: Mapping[str, str]) -> tuple[str, str] | None:
    """What was expected and what was found, where they differ; None if they do not."""
    missing = "not there"
    other = [n for n in sorted({*expected, *got}) if expected.get(n) != got.get(n)]
    if not other:
        return None
    ours, theirs = (
        ", ".join(f"{name} {some.get(name, missing)}" for name in other) for some in (expected, got)
    )
    return ours, theirs
