"""Five activation functions, two optimizers, MNIST and CIFAR-10: a published grid of trainings.

Each finished training is written at once and not repeated when the command is started again.
``report.md`` in the output folder says what becomes of each published claim.
"""

from __future__ import annotations

import argparse
import functools
import threading
import time

from activation_study_cells import Cells
from activation_study_claims import TABLES
from activation_study_report import Kept, results_table, write_report
from activation_study_training import (
    ACTIVATIONS,
    EPOCHS,
    OPTIMIZERS,
    PIXELS,
    SET_UPS,
    Cell,
    Images,
    grid,
    train_cell,
)
from study import (
    add_place,
    command_line,
    device_of,
    from_zero,
    jobs_on,
    new_parser,
    run_script,
    whole,
)

from minidl.datasets import load
from minidl.recording import side_by_side
from minidl.reporting import Conditions, DataUsed, RunFolder


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-sets", nargs="+", choices=PIXELS, default=list(PIXELS), help="part of the grid")
    add("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS), help="part of it")
    add("--set-up", choices=SET_UPS, default="run", help="initial weights as run or as described")
    add("--epochs", type=whole, default=EPOCHS, help="at most; a training may stop earlier")
    add("--seed", type=from_zero, default=0, help="of split, weights and batches")
    add("--fresh", action="store_true", help="throw away the trainings in the output folder")
    add_place(parser, output_dir="runs/activation_study")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    start = time.perf_counter()
    folder = RunFolder(chosen.output_dir)
    device = device_of(chosen)
    kept_for = {
        "set-up": chosen.set_up,
        "seed": chosen.seed,
        "epochs": chosen.epochs,
        "device": str(device),
        "precision": chosen.precision,
    }
    cells = Cells(folder, kept_for, chosen.fresh)
    asked = grid(chosen.data_sets, chosen.optimizers)
    to_do = [cell for cell in asked if cells.read(cell) is None]
    jobs = jobs_on(device, chosen.jobs)
    if not chosen.quiet:
        done = len(asked) - len(to_do)
        print(f"device: {device}; {jobs} network(s) at a time; {done} of {len(asked)} done before")
    data = {
        name: load(name, chosen.data_dir, progress=not chosen.quiet)
        for name in chosen.data_sets
        if any(cell.data_set == name for cell in to_do)
    }
    print(*map(DataUsed.of, data.values()), sep="\n", flush=True)
    images = {name: Images.of(some, chosen.seed) for name, some in data.items()}

    def make(cell: Cell, stop: threading.Event) -> None:
        found = train_cell(
            cell,
            SET_UPS[chosen.set_up],
            chosen.seed,
            images[cell.data_set],
            data[cell.data_set].classes,
            stop,
            epochs=chosen.epochs,
            device=device,
            graph=chosen.graph,
            progress=False if chosen.quiet else f"{cell!s:<24}",
        )
        cells.write(cell, found)

    side_by_side([functools.partial(make, cell) for cell in to_do], jobs)
    kept = complete(cells)
    command = command_line("activation_study", arguments)
    conditions = Conditions.now(device, chosen.precision, jobs, command, start)
    write_report(folder, kept_for, conditions, len(to_do), kept)
    print(results_table(kept))
    print(f"written to {folder.path / 'report.md'} after {conditions.seconds:.0f} s")


def complete(cells: Cells) -> Kept:
    """Every setting of which the folder holds all five networks, whichever start made them."""
    kept = {}
    for data_set, optimizer in TABLES:
        found = {f: cells.read(Cell(data_set, optimizer, f)) for f in ACTIVATIONS}
        networks = {f: cell for f, cell in found.items() if cell is not None}
        if len(networks) == len(ACTIVATIONS):
            kept[data_set, optimizer] = networks
    return kept


if __name__ == "__main__":
    run_script("activation_study", main)
