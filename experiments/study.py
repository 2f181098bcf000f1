"""What the command lines of the studies have in common."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minidl._output import dispensable_output
from minidl._printable import printable
from minidl.backend import PRECISIONS, Device, DeviceError, get_device, set_precision
from minidl.data import Dataset, DatasetError
from minidl.microscope.look_file import FOLDER as LOOKS
from minidl.microscope.look_file import Recorder, remove_looks
from minidl.optimizers import OPTIMIZERS, Optimizer
from minidl.storage.files import own_folder
from minidl.study import Conditions, DataUsed, FolderInUse, RunFolder
from minidl.study.cells import Cells, Interrupted
from minidl.training import NonFiniteLoss
from minidl.training.checkpoint import Checkpoint, CheckpointError

T = TypeVar("T")

# The defaults of Keras, which the studies used, where they are not minidl's.
LEARNING_RATES = {"sgd": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
KERAS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-7},
    "adam": {"epsilon": 1e-7, "epsilon_hat": True},
    "adamw": {"epsilon": 1e-7, "epsilon_hat": True, "weight_decay": 0.004},
}


def keras_optimizer(name: str, learning_rate: float | None = None) -> Optimizer:
    """The update rule with the defaults and in the form that it has in Keras."""
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    return OPTIMIZERS[name](rate, **KERAS[name])


def weights_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0])


def batches_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])


# -- the command line -------------------------------------------------------------------------


def whole(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return number


def from_zero(text: str) -> int:
    """A whole number from 0; seeds are parts of file names, which must not become too long."""
    if text.isdecimal() and len(text) <= 18:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected 0 or more, got {printable(text)}; up to 18 digits")


def folder_name(text: str) -> Path:
    """A folder, whose name can be shown in a terminal and in a report of UTF-8."""
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a name of signs that print, got {text!a}")
    return Path(text)


def new_parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def add_seeds(parser: argparse.ArgumentParser, seeds: int) -> None:
    add = parser.add_argument
    add("--seed", type=from_zero, default=0, help="of weights and batches; the first of several")
    add("--seeds", type=whole, default=seeds, metavar="N", help="repeat with N seeds in a row")


def add_place(parser: argparse.ArgumentParser, output_dir: str) -> None:
    """Where the data are, where it is computed, where the results go."""
    add = parser.add_argument
    help_text = "folder with the data set (default: $MINIDL_DATA, the cache)"
    add("--data-dir", type=folder_name, help=help_text)
    add("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    add("--precision", choices=PRECISIONS, default="float32", help="of matrix products on a GPU")
    add("--no-graph", dest="graph", action="store_false", help="no CUDA graph of the step")
    add("--jobs", type=whole, help="networks side by side (default: 2 where processors allow it)")
    add("--threads", type=whole, default=1, metavar="N", help="processors for each network")
    add("--output-dir", type=folder_name, default=output_dir, help="folder for the results")
    look = "keep a look at every layer after each epoch, for python -m minidl.microscope"
    add("--record", action="store_true", help=look)
    add("--checkpoint-every", type=whole, metavar="N", help="steps (default: after each epoch)")
    add("--fresh", action="store_true", help="throw away what an earlier start has trained")
    add("--quiet", action="store_true", help="no progress, only the results")


def recorder_of(chosen: argparse.Namespace, folder: RunFolder, name: str) -> Recorder | None:
    """What keeps the looks at the network of that name, where --record asks for them."""
    return Recorder(own_folder(folder / LOOKS) / name) if chosen.record else None


def device_of(chosen: argparse.Namespace) -> Device:
    """The device that was asked for, in the precision that was asked for."""
    device = get_device(chosen.device)
    set_precision(chosen.precision, device)
    return device


def jobs_on(device: Device, jobs: int | None, threads: int) -> int:
    """How many networks are trained side by side."""
    return jobs or device.side_by_side(threads)


# Options that change nothing about the training of a network, not even its last bits.
ASIDE = ("data_dir", "jobs", "output_dir", "checkpoint_every", "fresh", "quiet")


@dataclass(frozen=True)
class Begun:
    """A study that has been set up: where it computes, and where its results go."""

    folder: RunFolder
    cells: Cells
    used: list[DataUsed]
    device: Device
    precision: str
    jobs: int
    start: float

    def train(
        self, tasks: Mapping[str, Callable[[Checkpoint], T]], kind: Any, weights: bool = False
    ) -> list[T]:
        """The results of the training runs by name, each a ``kind``; done ones are kept.

        With ``weights`` each task writes its network to ``cells.weights_of(name)``.
        """
        return self.cells.train(tasks, kind, self.jobs, weights)

    def conditions(self, command: str) -> Conditions:
        """Those at the end of the work."""
        return Conditions.now(
            self.device,
            self.precision,
            self.jobs,
            command,
            self.start,
            self.cells.done_before,
            self.cells.threads,
            self.cells.software,
        )

    def say_where(self, conditions: Conditions) -> None:
        """The last line of a run; like the first, it says which data it was."""
        place = self.folder.path / "report.md"
        data = "; ".join(map(str, self.used))
        print(f"written to {place} after {conditions.seconds:.0f} s; {data}")


def begin(
    study: str,
    chosen: argparse.Namespace,
    load: Callable[[], Sequence[Dataset]],
    choosing: Sequence[str] = (),
) -> tuple[Begun, list[Dataset]]:
    """Load the data and choose the device; what is impossible fails before the download.

    ``choosing`` are options that say which networks to train, and not how.
    """
    start = time.perf_counter()
    if chosen.device != "auto":
        device_of(chosen)
    folder = RunFolder(chosen.output_dir, study)
    data = list(load())
    used = [DataUsed.of(one) for one in data]
    print(*used, sep="\n", flush=True)
    device = device_of(chosen)
    trained = {k: v for k, v in vars(chosen).items() if k not in (*ASIDE, *choosing)}
    trained["device"] = str(device)
    if "dataset" in trained:  # it may be "auto"
        trained["dataset"] = used[0].name
    cells = Cells(
        folder.path,
        trained,
        {one.name: one.digest() for one in data},
        chosen.threads,
        chosen.fresh,
        chosen.checkpoint_every,
    )
    if chosen.fresh:
        remove_looks(folder.path)
    jobs = jobs_on(device, chosen.jobs, chosen.threads)
    if not chosen.quiet:
        print(f"device: {device}; {jobs} network(s) at a time, {chosen.threads} thread(s) each")
    return Begun(folder, cells, used, device, chosen.precision, jobs, start), data


def command_line(script: str, arguments: list[str] | None) -> str:
    """The command that repeats this run, quoted for a shell."""
    return shlex.join(["python", f"experiments/{script}.py", *(arguments or sys.argv[1:])])


# What a user can put right.
USER_ERRORS = (
    DatasetError,
    DeviceError,
    NonFiniteLoss,
    CheckpointError,
    FolderInUse,
    OSError,
    ValueError,
)


def run_script(name: str, main: Callable[[], None]) -> None:
    """Run ``main``; what a user can put right ends it in one line, without a traceback."""
    with dispensable_output(name):
        try:
            main()
        except USER_ERRORS as error:
            sys.exit(f"{name}: {error}")
        except Interrupted as error:
            print(f"{name}: {error}", file=sys.stderr)
            sys.exit(128 + error.signal)
        except KeyboardInterrupt:
            sys.exit(130)
