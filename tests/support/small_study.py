"""A study that trains in a moment and can be made to fail; also a command."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl import Adam, Dense, Examples, Flatten, Network
from minidl.data import Dataset
from minidl.study import Run, Task, TrainedStudy
from minidl.study.folder import RunFolder
from minidl.study.options import whole
from minidl.study.recording import History
from minidl.training import NonFiniteLoss
from minidl.training.checkpoint import Checkpoint

EPOCHS, BATCH_SIZE = 4, 20


def images(n: int) -> Examples:
    rng = np.random.default_rng(n)
    return Examples(rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8), rng.integers(0, 5, n))


class Small(TrainedStudy):
    """As many networks as there are seeds; it logs what it does to ``--log``."""

    name = "small"
    about = "For tests."
    seeds = 4
    kind = History
    # The options that only make it fail change no result.
    choosing = ("seed", "seeds", "log", "slow", "fails", "with_error", "kills", "only_once")

    def add_options(self, add: Any) -> None:
        add("--log", type=Path, default=Path(os.devnull))
        add("--slow", type=float, default=0.0, help="seconds per step")
        add("--images", type=whole, default=100)
        add("--fails", type=int, help="seed whose network fails")
        add("--with-error", choices=("OSError", "NonFiniteLoss"), default="OSError")
        add("--kills", type=int, help="seed whose network kills its process, in the second epoch")
        add("--only-once", type=Path, default=Path(), help="file that records that it happened")

    def load(self, chosen: argparse.Namespace) -> list[Dataset]:
        note(chosen.log, f"load {os.getpid()}")
        classes = tuple("abcde")
        return [Dataset("random", "random", images(chosen.images), images(50), classes, "")]

    def tasks(self, run: Run) -> dict[str, Task[History]]:
        return {f"seed{seed}": functools.partial(self.train, run, seed) for seed in run.seeds}

    def train(self, run: Run, seed: int, checkpoint: Checkpoint) -> History:
        chosen, (data,) = run.chosen, run.data
        note(chosen.log, f"train {os.getpid()} seed{seed}")
        network = Network([Flatten(), Dense(192, 8, "relu"), Dense(8, 5)], (3, 8, 8), rng=seed)

        def watch(epoch: int, step: int) -> None:
            time.sleep(chosen.slow)
            if epoch == 1 and chosen.fails == seed:
                raise {"OSError": OSError, "NonFiniteLoss": NonFiniteLoss}[chosen.with_error](
                    f"seed {seed} is broken"
                )
            if epoch == 1 and chosen.kills == seed and not chosen.only_once.exists():
                chosen.only_once.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        history = run.record(
            *(f"seed{seed}", f"seed {seed}", network, data.train, data.test, Adam()),
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            rng=seed,
            checkpoint=checkpoint,
            watch=watch,
        )
        network.save(run.weights_of(f"seed{seed}"))
        return history

    def summarise(self, run: Run, results: Mapping[str, History]) -> dict[str, Any]:
        return {
            "networks": {
                name: {"train_loss": history.train_loss, "test_loss": history.test_loss}
                for name, history in results.items()
            }
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        """It makes no claims."""

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def results(self, summary: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def finish(self, folder: RunFolder, summary: Mapping[str, Any], data: str = "") -> None:
        folder.write_json("summary.json", summary)


def note(log: Path, line: str) -> None:
    """Append a line to that file, which several processes write."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def noted(log: Path, what: str) -> Sequence[Sequence[str]]:
    """The words after ``what`` in the lines that begin with it."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(f"{what} ")]
