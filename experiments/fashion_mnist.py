"""Sigmoid against ReLU on Fashion-MNIST: a published comparison, as it was run and as described.

The text of the study describes another network, optimizer and batch size than the run that its
figures come from.  Both are trained here, and two set-ups that differ from the run in one thing
each: with Adam in the place of plain SGD, and with dropout, as the study's code also has it.
``report.md`` in the output folder says what becomes of each published claim.
"""

from __future__ import annotations

import argparse
import functools

from fashion_mnist_report import write_report
from fashion_mnist_summary import Run, claims_table
from fashion_mnist_training import ACTIVATIONS, EPOCHS, SET_UPS, Images, Outcome, run_network
from study import (
    add_place,
    add_seeds,
    begin,
    command_line,
    new_parser,
    recorder_of,
    run_script,
    whole,
)

from minidl.data import load


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    parser.add_argument(
        "--epochs", type=whole, default=EPOCHS, help="passes over the training images"
    )
    add_seeds(parser, seeds=3)
    add_place(parser, output_dir="runs/fashion_mnist")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, (data,) = begin(
        "fashion_mnist",
        chosen,
        lambda: [load("fashion-mnist", chosen.data_dir, progress=not chosen.quiet)],
        ["seed", "seeds"],
    )

    images = Images(data.train, data.test, data.train.joined(data.test))
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    cells = [(s, key, f) for s in seeds for key in SET_UPS for f in ACTIVATIONS]
    tasks = {
        f"{key}-{f}-seed{seed}": functools.partial(
            run_network,
            SET_UPS[key],
            f,
            seed,
            images,
            data.classes,
            epochs=chosen.epochs,
            device=begun.device,
            graph=chosen.graph,
            progress=False if chosen.quiet else f"seed {seed}  {SET_UPS[key].title:<19}  {f:<7}",
            recorder=recorder_of(chosen, begun.folder, f"{key}-{f}-seed{seed}"),
            weights=begun.cells.weights_of(f"{key}-{f}-seed{seed}"),
        )
        for seed, key, f in cells
    }
    outcomes = dict(zip(cells, begun.train(tasks, Outcome, weights=True), strict=True))
    runs = {
        key: [Run(seed, {f: outcomes[seed, key, f] for f in ACTIVATIONS}) for seed in seeds]
        for key in SET_UPS
    }
    conditions = begun.conditions(command_line("fashion_mnist", arguments))
    summary = write_report(begun.folder, begun.used[0], conditions, runs)
    print(claims_table(summary))
    begun.say_where(conditions)


if __name__ == "__main__":
    run_script("fashion_mnist", main)
