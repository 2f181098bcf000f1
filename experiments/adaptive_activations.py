"""Adaptive piecewise linear units on CIFAR-10: a published study, as it was run and as described.

How many hinges, APL against ReLU and leaky ReLU, what shapes are learned, and what depth
changes.  On a processor with fewer images and smaller networks; ``--full`` is the study's size.
``report.md`` in the output folder says what becomes of each published claim.
"""

from __future__ import annotations

import argparse
import functools
import threading
from collections.abc import Callable
from dataclasses import replace

from adaptive_activations_report import write_report
from adaptive_activations_summary import claims_text
from adaptive_activations_training import (
    DEPTHS,
    FULL,
    FUNCTIONS,
    HINGES,
    REDUCED,
    Outcome,
    Size,
    Training,
    prepared,
)
from study import add_place, add_seeds, begin, command_line, new_parser, run_script, whole

from minidl.backend import Device
from minidl.datasets import Dataset, load
from minidl.recording import side_by_side

Task = Callable[[Training], dict[tuple[str, str], Outcome]]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--full", action="store_true", help="images and networks of the study's size; for a GPU")
    add("--epochs", type=whole, help="of each training (default: 10)")
    add("--images", type=whole, metavar="N", help="only the first N training images")
    add_seeds(parser, seeds=1)
    add_place(parser, output_dir="runs/adaptive_activations")
    return parser.parse_args(arguments)


def size_of(chosen: argparse.Namespace) -> Size:
    size = FULL if chosen.full else REDUCED
    return replace(
        size,
        epochs=chosen.epochs or size.epochs,
        train_images=chosen.images or size.train_images,
    )


def tasks_of_a_seed() -> list[Task]:
    """Every network of one seed; longest first, so that no job waits for it in the end."""
    tasks: list[Task] = [Training.hinges_as_run]
    tasks += [functools.partial(Training.function, name=name) for name in FUNCTIONS]
    tasks += [functools.partial(Training.hinges_as_described, hinges=s) for s in HINGES]
    tasks += [
        functools.partial(_depth, layers=layers, name=name)
        for layers in DEPTHS
        for name in FUNCTIONS
    ]
    return tasks


def _depth(training: Training, layers: int, name: str) -> dict[tuple[str, str], Outcome]:
    return training.shrunk().depth(layers, name)


def train_all(
    chosen: argparse.Namespace, size: Size, data: Dataset, device: Device, jobs: int
) -> dict[int, dict[tuple[str, str], Outcome]]:
    """All outcomes by seed."""
    trained: dict[int, dict[tuple[str, str], Outcome]] = {}
    images = prepared(data.train, size.train_images), prepared(data.test, size.test_images)
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)

    def run(task: Task, seed: int, stop: threading.Event) -> dict[tuple[str, str], Outcome]:
        train, test = (examples.to() for examples in images)  # buffers of its own
        training = Training(
            size,
            train,
            test,
            len(data.classes),
            seed,
            device,
            chosen.graph,
            chosen.quiet,
            stop,
        )
        return task(training)

    cells = [(seed, task) for seed in seeds for task in tasks_of_a_seed()]
    found = side_by_side([functools.partial(run, task, seed) for seed, task in cells], jobs)
    for (seed, _), outcomes in zip(cells, found, strict=True):
        trained.setdefault(seed, {}).update(outcomes)
    return trained


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, data = begin(
        chosen, lambda: load("cifar-10", chosen.data_dir, progress=not chosen.quiet)
    )
    size = size_of(chosen)
    trained = train_all(chosen, size, data, begun.device, begun.jobs)
    conditions = begun.conditions(command_line("adaptive_activations", arguments))
    summary = write_report(begun.folder, begun.used, size, conditions, trained)
    print(claims_text(summary))
    begun.say_where(conditions)


if __name__ == "__main__":
    run_script("adaptive_activations", main)
