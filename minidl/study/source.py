"""What a worker builds a training run from: the class of a study and its options.

A worker loads the data sets from a folder of its own machine, once, and keeps them.
"""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from minidl.backend import Device
from minidl.data import Dataset, DatasetError
from minidl.study.identity import DATA
from minidl.study.order import Order
from minidl.study.pools import Task
from minidl.study.run import Run


class Declared(Protocol):
    """What the command of a study, and its workers, need of its class."""

    name: ClassVar[str]
    choosing: ClassVar[Sequence[str]]

    def load(self, chosen: Namespace) -> Sequence[Dataset]: ...

    def tasks(self, run: Run) -> Mapping[str, Task[Any]]: ...


class Source(Protocol):
    """What a training run is built from."""

    @property
    def package(self) -> str:
        """The top-level package or module that has its code."""
        ...

    def task(self, order: Order, folder: Path) -> Task[Any]:
        """The training run of that name, with weights and snapshots in ``folder``."""
        ...


@dataclass(frozen=True)
class OfStudy:
    """A study, given by its class and its options."""

    module: str
    name: str
    chosen: dict[str, Any]

    @classmethod
    def of(cls, study: Declared, chosen: Namespace, device: Device) -> OfStudy:
        kind = type(study)
        if kind.__module__ == "__main__" or "." in kind.__qualname__ or vars(study):
            raise ValueError(
                f"{kind.__qualname__}: expected a study that workers can import from a module and "
                "create without arguments; move it out of the script, or use --jobs"
            )
        options = {k: v for k, v in vars(chosen).items() if k not in ("output_dir", "fresh")}
        return cls(kind.__module__, kind.__qualname__, options | {"device": str(device)})

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def task(self, order: Order, folder: Path) -> Task[Any]:
        data, digests = _data.of(repr(self), self._loaded)
        _expect_same(digests, order)
        return _tasks.of(f"{self} in {folder}", lambda: self._built(data, folder))[order.name]

    def _study(self) -> Declared:
        study: Declared = getattr(importlib.import_module(self.module), self.name)()
        return study

    def _loaded(self) -> tuple[Sequence[Dataset], dict[str, str]]:
        """The data sets, and the digest of each by name."""
        data = self._study().load(Namespace(**self.chosen | {"quiet": True}))
        return data, {one.name: one.digest() for one in data}

    def _built(self, data: Sequence[Dataset], folder: Path) -> Mapping[str, Task[Any]]:
        chosen = Namespace(**self.chosen | {"quiet": True})  # a worker prints nothing
        tasks = self._study().tasks(Run.of(chosen, data, folder))
        chosen.quiet = self.chosen["quiet"]  # the submitting process shows the progress
        return tasks


class Kept:
    """The last object that was built, kept until another one is asked for."""

    def __init__(self) -> None:
        self.key = ""
        self.value: Any = None

    def of(self, key: str, build: Callable[[], Any]) -> Any:
        if key != self.key:
            self.key, self.value = "", None
            self.value = build()
            self.key = key
        return self.value


# In a worker, which executes one training run after the other.
_data, _tasks = Kept(), Kept()


def _expect_same(digests: Mapping[str, str], order: Order) -> None:
    """Raise ``DatasetError`` if the data sets are not those of the submitting process."""
    for name, digest in digests.items():
        expected, got = order.identity.get(DATA + name), json.dumps(digest)
        if expected != got:
            raise DatasetError(
                f"{name}: expected the data set that the run was started with, "
                f"{expected or 'which has another name'}, got {got}; "
                "give this machine the same files (docs/data.md)"
            )
