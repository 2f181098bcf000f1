"""What a run was made with: the data set, and the machine, software and command."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minidl.backend import Device
from minidl.datasets import Dataset
from minidl.printable import printable
from minidl.reporting.environment import (
    hardware,
    load_of_others,
    peak_memory_mb,
    today,
    versions,
)
from minidl.reporting.markup import code, plain


@dataclass(frozen=True)
class DataUsed:
    """What the report says of the data set, without its images."""

    name: str
    title: str
    note: str
    is_stand_in: bool
    train_images: int
    test_images: int
    inputs: int  # numbers in one image
    classes: tuple[str, ...]

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
        )

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return (
            f"data: {self.title}, {self.train_images:,} training and "
            f"{self.test_images:,} test images{note}"
        )


@dataclass(frozen=True)
class Conditions:
    """Machine and software, and how long it took."""

    device: str
    jobs: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    date: str
    seconds: float
    peak_memory_mb: float | None
    command: str
    done_before: int = 0  # networks that earlier starts of the command trained
    load_of_others: float | None = None  # processors that other programs kept busy meanwhile

    @classmethod
    def now(
        cls,
        device: Device,
        precision: str,
        jobs: int,
        command: str,
        start: float,
        done_before: int = 0,
    ) -> Conditions:
        """Those of this process at the end of its work, begun at ``time.perf_counter()`` start."""
        computed = device.describe() + (f", {precision} products" if device.is_cuda else "")
        seconds = time.perf_counter() - start
        return cls(
            computed,
            jobs,
            hardware(),
            versions(),
            today(),
            seconds,
            peak_memory_mb(),
            command,
            done_before,
            load_of_others(seconds),
        )

    def rows(self) -> list[list[str]]:
        """For the table of the set-up."""
        memory = "unknown" if self.peak_memory_mb is None else f"{self.peak_memory_mb:.0f} MB"
        machine = ", ".join(f"{key.replace('_', ' ')}: {v}" for key, v in self.hardware.items())
        earlier = f"; {self.done_before} network(s) are of an earlier start of the command"
        time = f"{self.seconds:.0f} s{earlier if self.done_before else ''}"
        others = (
            "" if self.load_of_others is None else f", load of other work {self.load_of_others:.1f}"
        )
        return [
            ["device", f"{self.device}, {self.jobs} network(s) at a time"],
            ["machine", plain(machine)],
            ["versions", ", ".join(f"{k} {v}" for k, v in self.versions.items())],
            ["date, time, peak memory", f"{self.date}, {time}, {memory}{others}"],
            ["command", code(self.command)],
        ]

    def as_dict(self) -> dict[str, Any]:
        """For ``summary.json``: all but the command."""
        known = asdict(self)
        del known["command"]
        return known
