"""The conditions of a run: data set, machine, software and command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from minidl._printable import printable
from minidl.backend import Device
from minidl.data import Dataset, Sentences
from minidl.pages import Told, Typed
from minidl.study.environment import (
    Stopwatch,
    hardware,
    peak_memory_mb,
    today,
    versions,
)
from minidl.training.software import Software


@dataclass(frozen=True)
class DataUsed:
    """What the report says about the data set, without its images."""

    name: str
    title: str
    note: str
    is_stand_in: bool
    train_images: int
    test_images: int
    inputs: int  # numbers in one example
    classes: tuple[str, ...]
    what: str = "images"  # the examples: images or sentences

    @classmethod
    def of(cls, data: Dataset) -> DataUsed:
        return cls(
            data.name,
            data.title,
            printable(data.note),
            data.is_stand_in,
            len(data.train),
            len(data.test),
            int(np.prod(data.train.input_shape)),
            data.classes,
            "sentences" if isinstance(data.train, Sentences) else "images",
        )

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return (
            f"data: {self.title}, {self.train_images:,} training and "
            f"{self.test_images:,} test {self.what}{note}"
        )


@dataclass(frozen=True)
class Conditions:
    """Machine and software, and how long the run took."""

    device: str
    jobs: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    date: str
    seconds: float
    peak_memory_mb: float | None
    command: str = ""  # empty in summaries of version 0.1
    done_before: int = 0  # networks trained by earlier invocations of the command
    threads: int | None = None  # of each training run; None if nothing is trained
    software: Sequence[Mapping[str, str]] = ()  # with which the results were computed, each once
    load_of_others: float | None = None  # processors that other programs kept busy meanwhile
    # If a cluster trained: the number of "workers", and the number of them on each of "machines".
    cluster: Mapping[str, Any] | None = None

    @classmethod
    def now(
        cls,
        device: Device,
        precision: str,
        jobs: int,
        command: str,
        since: Stopwatch,
        done_before: int = 0,
        threads: int | None = None,
        software: Sequence[Software] = (),
        cluster: Mapping[str, Any] | None = None,
    ) -> Conditions:
        """Those of this process when it has finished; the stopwatch has run since its start."""
        computed = device.describe(precision)
        return cls(
            computed,
            jobs,
            hardware(),
            versions(),
            today(),
            since.seconds(),
            peak_memory_mb(),
            command,
            done_before,
            threads,
            [one.parts for one in software],
            None if cluster else since.load_of_others(),  # workers would count as other programs
            cluster,
        )

    def rows(self) -> list[list[str | Told]]:
        """Rows for the table of the set-up."""
        memory = "unknown" if self.peak_memory_mb is None else f"{self.peak_memory_mb:.0f} MB"
        memory += " (without the workers)" if self.cluster else ""
        machine = ", ".join(f"{key.replace('_', ' ')}: {v}" for key, v in self.hardware.items())
        earlier = f"; {self.done_before} network(s) were trained by an earlier start of the command"
        time = f"{self.seconds:.0f} s{earlier if self.done_before else ''}"
        threads = "" if self.threads is None else f", {self.threads} thread(s) for each"
        others = (
            "" if self.load_of_others is None else f", load of other work {self.load_of_others:.1f}"
        )
        command: list[list[str | Told]] = []
        if self.command:
            command.append(["command", Typed(self.command, is_code=True)])
        return [
            ["device", f"{self.device}, {self.jobs} network(s) at a time{threads}"],
            ["machine", Typed(machine)],
            *self._workers(),
            ["versions", ", ".join(f"{k} {v}" for k, v in self.versions.items())],
            *self._mixture(),
            ["date, time, peak memory", f"{self.date}, {time}, {memory}{others}"],
            *command,
        ]

    def _workers(self) -> list[list[str | Told]]:
        """A row with the workers, if a cluster trained."""
        if not self.cluster:
            return []
        machines = self.cluster["machines"]
        each = "; ".join(f"{count} on {machine}" for machine, count in machines.items())
        told = f"{self.cluster['workers']} worker(s) of Dask, each a process: {each}"
        return [["trained on", Typed(told)]]

    def _mixture(self) -> list[list[str | Told]]:
        """A row with the differences, if parts of the results were computed with other software."""
        if len(self.software) < 2:
            return []
        names = dict.fromkeys(name for one in self.software for name in one)
        differing = [n for n in names if len({one.get(n) for one in self.software}) > 1]
        each = "; ".join(
            ", ".join(f"{name} {one.get(name, 'none')}" for name in differing)
            for one in self.software
        )
        told = f"with different software, so the last digits may differ: {each}"
        return [["computed in parts", Typed(told)]]

    def as_dict(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return asdict(self)

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Conditions:
        """The conditions stored in a summary."""
        return cls(**{f.name: summary[f.name] for f in fields(cls) if f.name in summary})
