"""Adaptive piecewise linear units on CIFAR-10: a published study, as it was run and as described.

How many hinges, APL against ReLU and leaky ReLU, what shapes are learned, and what depth
changes.  On a processor with fewer images and smaller networks; ``--full`` is the study's size.
``report.md`` in the output folder says what becomes of each published claim.
"""

from __future__ import annotations

import argparse
import functools
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
    Outcomes,
    Size,
    Training,
    prepared,
)
from study import (
    Begun,
    add_place,
    add_seeds,
    begin,
    command_line,
    new_parser,
    recorder_of,
    run_script,
    whole,
)

from minidl.data import Dataset, load
from minidl.training.checkpoint import Checkpoint

Task = Callable[[Training], Outcomes]


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


def tasks_of_a_seed() -> dict[str, Task]:
    """Every network of one seed; longest first, so that no job waits for it in the end."""
    tasks: dict[str, Task] = {"hinges-as-run": Training.hinges_as_run}
    tasks |= {name: functools.partial(Training.function, name=name) for name in FUNCTIONS}
    for s in HINGES:
        tasks[f"hinges-{s}"] = functools.partial(Training.hinges_as_described, hinges=s)
    for layers in DEPTHS:
        for name in FUNCTIONS:
            tasks[f"depth-{layers}-{name}"] = functools.partial(_depth, layers=layers, name=name)
    return tasks


def _depth(training: Training, layers: int, name: str) -> Outcomes:
    return training.shrunk().depth(layers, name)


def train_all(
    chosen: argparse.Namespace, size: Size, data: Dataset, begun: Begun
) -> dict[int, Outcomes]:
    """All outcomes by seed."""
    images = prepared(data.train, size.train_images), prepared(data.test, size.test_images)

    def run(task: Task, seed: int, checkpoint: Checkpoint) -> Outcomes:
        train, test = (examples.to() for examples in images)  # buffers of its own
        training = Training(
            size,
            train,
            test,
            len(data.classes),
            seed,
            begun.device,
            chosen.graph,
            chosen.quiet,
            checkpoint,
            lambda name: recorder_of(chosen, begun.folder, f"{name}-seed{seed}"),
        )
        return task(training)

    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    cells = {
        f"{name}-seed{seed}": (seed, task)
        for seed in seeds
        for name, task in tasks_of_a_seed().items()
    }
    tasks = {name: functools.partial(run, task, seed) for name, (seed, task) in cells.items()}
    trained: dict[int, Outcomes] = {seed: {} for seed in seeds}
    found = begun.train(tasks, Outcomes)
    for (seed, _), outcomes in zip(cells.values(), found, strict=True):
        trained[seed].update(outcomes)
    return trained


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, (data,) = begin(
        "adaptive_activations",
        chosen,
        lambda: [load("cifar-10", chosen.data_dir, progress=not chosen.quiet)],
        ["seed", "seeds"],
    )
    size = size_of(chosen)
    trained = train_all(chosen, size, data, begun)
    conditions = begun.conditions(command_line("adaptive_activations", arguments))
    summary = write_report(begun.folder, begun.used[0], size, conditions, trained)
    print(claims_text(summary))
    begun.say_where(conditions)


if __name__ == "__main__":
    run_script("adaptive_activations", main)
