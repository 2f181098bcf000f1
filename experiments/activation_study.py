"""Five activation functions, two optimizers, MNIST and CIFAR-10: a published grid of trainings.

Each finished training is written at once and not repeated when the command is started again.
``report.md`` in the output folder says what becomes of each published claim.
"""

from __future__ import annotations

import argparse
import functools

from activation_study_claims import TABLES
from activation_study_report import Kept, results_table, write_report
from activation_study_training import (
    ACTIVATIONS,
    EPOCHS,
    OPTIMIZERS,
    PIXELS,
    SET_UPS,
    Cell,
    CellData,
    Images,
    grid,
    train_cell,
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
from minidl.study.cells import Cells


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-sets", nargs="+", choices=PIXELS, default=list(PIXELS), help="part of the grid")
    add("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS), help="part of it")
    add("--set-up", choices=SET_UPS, default="run", help="initial weights as run or as described")
    add("--epochs", type=whole, default=EPOCHS, help="at most; a training may stop earlier")
    add("--seed", type=from_zero, default=0, help="of split, weights and batches")
    add_place(parser, output_dir="runs/activation_study")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, data = begin(
        "activation_study",
        chosen,
        lambda: [load(n, chosen.data_dir, progress=not chosen.quiet) for n in chosen.data_sets],
        ["data_sets", "optimizers"],
    )
    images = {one.name: Images.of(one, chosen.seed) for one in data}
    classes = {one.name: one.classes for one in data}
    begun.train(
        {
            str(cell): functools.partial(
                train_cell,
                cell,
                SET_UPS[chosen.set_up],
                chosen.seed,
                images[cell.data_set],
                classes[cell.data_set],
                epochs=chosen.epochs,
                device=begun.device,
                graph=chosen.graph,
                progress=False if chosen.quiet else f"{cell!s:<24}",
                recorder=recorder_of(chosen, begun.folder, str(cell)),
            )
            for cell in grid(chosen.data_sets, chosen.optimizers)
        },
        CellData,
    )
    kept = complete(begun.cells)
    conditions = begun.conditions(command_line("activation_study", arguments))
    trained_for = {
        "set-up": chosen.set_up,
        "seed": chosen.seed,
        "epochs": chosen.epochs,
        "device": str(begun.device),
        "precision": begun.precision,
    }
    write_report(begun.folder, trained_for, conditions, kept)
    print(results_table(kept))
    begun.say_where(conditions)


def complete(cells: Cells) -> Kept:
    """Every setting of which the folder holds all five networks, whichever start made them."""
    kept = {}
    for data_set, optimizer in TABLES:
        found = {f: cells.read(str(Cell(data_set, optimizer, f)), CellData) for f in ACTIVATIONS}
        networks = {f: cell for f, cell in found.items() if cell is not None}
        if len(networks) == len(ACTIVATIONS):
            kept[data_set, optimizer] = networks
    return kept


if __name__ == "__main__":
    run_script("activation_study", main)
