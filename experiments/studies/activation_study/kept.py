"""What is kept of the cells: in the folder while they are trained, then in summary and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study import Rows, Run
from minidl.study.report import read_rows
from studies.activation_study.series import TABLES, Grid, Series, Setting
from studies.activation_study.training import ACTIVATIONS, Cell, CellData

LAYERS = {
    "conv2d_1": "convolution 1",
    "conv2d_2": "convolution 2",
    "dense_1": "dense 1",
    "dense_2": "dense 2",
    "dense_3": "dense 3 (output)",
}
Kept = Mapping[Setting, Mapping[str, CellData]]  # by activation
WEIGHTS = ("last", "best")  # after the last epoch, and at the lowest validation loss
SIGNIFICANT = 5  # significant digits of the figures by epoch


def complete(run: Run) -> Kept:
    """Every setting of which the folder holds all five networks, from this start or earlier."""
    kept = {}
    for data_set, optimizer in TABLES:
        found = {f: run.kept(str(Cell(data_set, optimizer, f)), CellData) for f in ACTIVATIONS}
        networks = {f: cell for f, cell in found.items() if cell is not None}
        if len(networks) == len(ACTIVATIONS):
            kept[data_set, optimizer] = networks
    return kept


def figures_of(cell: CellData) -> dict[str, Any]:
    """A cell without its figures by epoch, which are in ``epochs.csv``."""
    norms = {name: float(np.mean(values)) for name, values in cell["gradient_norms"].items()}
    plain = {key: value for key, value in cell.items() if not isinstance(value, list | dict)}
    return plain | {
        "test": cell["test"],
        "images": cell["images"],
        "train_accuracy": cell["train_accuracy"][-1],
        "seconds": sum(cell["seconds"]),
        "mean_gradient_norms": norms,
    }


def epoch_rows(kept: Kept) -> Rows:
    """One row for each cell and epoch."""
    rows = []
    for cell in (cell for cells in kept.values() for cell in cells.values()):
        by_epoch = {k: v for k, v in cell.items() if isinstance(v, list) and k != "images"}
        by_epoch |= {f"gradient_{name}": v for name, v in cell["gradient_norms"].items()}
        for i in range(cell["epochs"]):
            where = {key: cell[key] for key in Cell._fields}
            figures = {k: f"{v[i]:.{SIGNIFICANT}g}" for k, v in by_epoch.items()}
            rows.append(where | {"epoch": i + 1} | figures)
    return rows


def kept_in(folder: Path, summary: Mapping[str, Any]) -> Kept:
    """The cells of a run, restored from its summary and ``epochs.csv``."""
    columns: dict[Cell, dict[str, list[float]]] = {}
    for row in read_rows(folder, "epochs.csv"):
        by_epoch = columns.setdefault(Cell(*(row.pop(key) for key in Cell._fields)), {})
        for name, value in row.items():
            by_epoch.setdefault(name, []).append(float(value))
    kept: dict[Setting, dict[str, CellData]] = {}
    for cell in summary["cells"]:
        key = Cell(*(cell[name] for name in Cell._fields))
        by_epoch = columns[key]
        del by_epoch["epoch"]
        norms = {layer: by_epoch[f"gradient_{layer}"] for layer in LAYERS}
        networks = kept.setdefault((key.data_set, key.optimizer), {})
        networks[key.activation] = cell | by_epoch | {"gradient_norms": norms}
    return kept


def grids(kept: Kept, limit: int) -> dict[str, Grid]:
    return {
        weights: {
            setting: {name: Series.of(cell, weights, limit) for name, cell in cells.items()}
            for setting, cells in kept.items()
        }
        for weights in WEIGHTS
    }
