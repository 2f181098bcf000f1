"""Sigmoid against ReLU in a small convolutional network on CIFAR-10: a published comparison.

The published sigmoid network answers at random for four epochs and then begins to learn.  So every
layer is looked at between the steps, sigmoid is trained again with other seeds until it moves, and
once with a smaller learning rate.  ``report.md`` in the output folder says what becomes of each
published claim, and what the plateau is.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from cifar10_cnn_report import write_report
from cifar10_cnn_summary import claims_table
from cifar10_cnn_training import (
    ACTIVATIONS,
    EPOCHS,
    GENTLE,
    Outcome,
    Run,
    first_of_each_class,
    run_network,
)
from study import (
    add_place,
    begin,
    command_line,
    from_zero,
    new_parser,
    recorder_of,
    run_script,
    whole,
)

from minidl.data import load
from minidl.training.checkpoint import Checkpoint

Task = Callable[[Checkpoint], Outcome]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--epochs", type=whole, default=EPOCHS, help="passes over the training images")
    add("--seed", type=from_zero, default=0, help="of weights and batches")
    add(
        "--plateau-seeds",
        type=from_zero,
        default=2,
        metavar="N",
        help="train sigmoid with the next N seeds, too, until it moves",
    )
    add_place(parser, output_dir="runs/cifar10_cnn")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, (data,) = begin(
        "cifar10_cnn",
        chosen,
        lambda: [load("cifar-10", chosen.data_dir, progress=not chosen.quiet)],
        ["plateau_seeds"],
    )

    shown = first_of_each_class(data.test)

    def task(name: str, activation: str, seed: int, **more: Any) -> dict[str, Task]:
        run = functools.partial(
            run_network,
            activation,
            seed,
            data.train,
            data.test,
            len(data.classes),
            shown,
            epochs=chosen.epochs,
            device=begun.device,
            graph=chosen.graph,
            progress=False if chosen.quiet else f"{name:<22}",
            weights=begun.cells.weights_of(name.replace(" ", "-")),
            recorder=recorder_of(chosen, begun.folder, name.replace(" ", "-")),
            **more,
        )
        return {name.replace(" ", "-"): run}

    seed = chosen.seed
    seeds = range(seed + 1, seed + 1 + chosen.plateau_seeds)
    tasks: dict[str, Task] = {}
    for f in ACTIVATIONS:
        tasks |= task(f"{f} seed {seed}", f, seed)
    tasks |= task("sigmoid gentle", "sigmoid", seed, learning_rate=GENTLE, until_it_moves=True)
    for s in seeds:
        tasks |= task(f"sigmoid seed {s}", "sigmoid", s, until_it_moves=True)
    sigmoid, relu, gentle, *others = begun.train(tasks, Outcome, weights=True)
    networks = dict(zip(ACTIVATIONS, (sigmoid, relu), strict=True))
    run = Run(seed, networks, dict(zip(seeds, others, strict=True)), gentle)
    conditions = begun.conditions(command_line("cifar10_cnn", arguments))
    images = data.test.take(shown)
    summary = write_report(begun.folder, begun.used[0], conditions, run, images, data.train)
    print(claims_table(summary))
    begun.say_where(conditions)


if __name__ == "__main__":
    run_script("cifar10_cnn", main)
