"""Five activation functions, two optimizers, two data sets: what is declared, and the report."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data import Dataset
from minidl.pages import Chart, Prose, Table, Told, in_order
from minidl.pages import Series as Line
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, Work, judge, text_table
from minidl.study.charts import PER_CENT, Group, learning_charts, runs_series
from minidl.study.claims import FAILS, HOLDS
from minidl.study.options import whole
from minidl.study.report import claims_section, held, percent, read_rows, set_up_section
from minidl.study.tables import counted
from studies.activation_study.claims import (
    CLAIMS,
    NONE_IS_BEST,
    TABLES,
    TITLES,
    Grid,
    Series,
    Setting,
    published,
    published_title,
    title,
)
from studies.activation_study.training import (
    ACTIVATIONS,
    BATCH_SIZE,
    EPOCHS,
    OPTIMIZERS,
    PATIENCE,
    PIXELS,
    SET_UPS,
    Cell,
    CellData,
    Images,
    grid,
    train_cell,
)

LAYERS = {
    "conv2d_1": "convolution 1",
    "conv2d_2": "convolution 2",
    "dense_1": "dense 1",
    "dense_2": "dense 2",
    "dense_3": "dense 3 (output)",
}
PARTS = {"train": "training images (running)", "validation": "validation images"}
Kept = Mapping[Setting, Mapping[str, CellData]]  # by activation
WEIGHTS = ("last", "best")  # after the last epoch, and at the lowest validation loss
DIGITS = {"accuracy": 2, "loss": 3, "f1": 3}
SIGNIFICANT = 5  # digits of the figures by epoch
IN_DEPTH = Work(
    "An In-depth Study of Activation Functions",
    "Seoyoung Park, Gaeun Seo, Minwoo Ahn, and Jeongyeon Kim",
    2024,
    "https://github.com/gaeun0112/aisystem_project",
)


class ActivationStudy(TrainedStudy):
    name = "activation_study"
    about = "Five activation functions, two optimizers, MNIST and CIFAR-10: a published grid."
    work = IN_DEPTH
    seeds = None
    choosing = ("data_sets", "optimizers")
    kind = CellData
    keeps_weights = False

    def add_options(self, add: Any) -> None:
        part = {"nargs": "+", "help": "part of the grid"}
        add("--data-sets", choices=PIXELS, default=list(PIXELS), **part)
        add("--optimizers", choices=OPTIMIZERS, default=list(OPTIMIZERS), **part)
        start = "initial weights as run or as described"
        add("--set-up", choices=SET_UPS, default="run", help=start)
        most = "at most; a training run may stop earlier"
        add("--epochs", type=whole, default=EPOCHS, help=most)

    def load(self, chosen: argparse.Namespace) -> list[Dataset]:
        return self.load_named(chosen.data_sets, chosen)

    def tasks(self, run: Run) -> dict[str, Task[CellData]]:
        images = {one.name: Images.of(one, run.chosen.seed) for one in run.data}
        classes = {one.name: one.classes for one in run.data}
        return {
            str(cell): functools.partial(
                train_cell, run, cell, images[cell.data_set], classes[cell.data_set]
            )
            for cell in grid(run.chosen.data_sets, run.chosen.optimizers)
        }

    def summarise(self, run: Run, results: Mapping[str, CellData]) -> dict[str, Any]:
        chosen, kept = run.chosen, complete(run)
        study = published()
        return {
            "options": {
                "set-up": chosen.set_up,
                "seed": chosen.seed,
                "epochs": chosen.epochs,
                "device": str(run.device),
                "precision": chosen.precision,
            },
            "cells": [_figures_of(cell) for cells in kept.values() for cell in cells.values()],
            "claims": {
                weights: [claim.as_dict() for claim in judge(CLAIMS, study, [ours])]
                for weights, ours in grids(kept, chosen.epochs).items()
            },
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        """No claim is about times: all are judged in the summary."""

    def tables(self, run: Run, results: Mapping[str, CellData]) -> dict[str, Rows]:
        rows = []
        for cell in (cell for cells in complete(run).values() for cell in cells.values()):
            by_epoch = {k: v for k, v in cell.items() if isinstance(v, list) and k != "images"}
            by_epoch |= {f"gradient_{name}": v for name, v in cell["gradient_norms"].items()}
            for i in range(cell["epochs"]):
                where = {key: cell[key] for key in ("data_set", "optimizer", "activation")}
                figures = {k: f"{v[i]:.{SIGNIFICANT}g}" for k, v in by_epoch.items()}
                rows.append(where | {"epoch": i + 1} | figures)
        return {"epochs.csv": rows}

    def results(self, summary: Mapping[str, Any]) -> str:
        study, rows = published(), []
        for cell in summary["cells"]:
            setting, name = (cell["data_set"], cell["optimizer"]), cell["activation"]
            theirs = study[setting][name]
            accuracies = (
                f"{100 * a:.2f}" for a in (cell["test"]["last"]["accuracy"], theirs.accuracy)
            )
            rows.append([f"{title(setting)}, {name}", *accuracies, cell["epochs"], theirs.epochs])
        head = ["network", "test accuracy, %", "published", "epochs", "published"]
        return text_table(head, rows)

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        kept, options = kept_in(folder, summary), summary["options"]
        ours, study = grids(kept, options["epochs"]), published()
        groups = {title(setting): _group(setting, cells) for setting, cells in kept.items()}
        claims = {f"ours, {w} weights": summary["claims"][w] for w in WEIGHTS}
        theirs = published_title(options["epochs"])
        tests = [_test_table(setting, ours, study, theirs) for setting in kept]
        times = [_time_table(setting, kept[setting], study, theirs) for setting in kept]
        gradients = [_gradient_table(setting, ours["last"][setting]) for setting in kept]
        seconds = (
            "Seconds of training alone, without validation. Whatever else the machine had to do "
            "counts in ours, and the published ones are of a T4 GPU: only the epochs can be "
            "compared."
        )
        return Report(
            "Five activation functions, two optimizers, MNIST and CIFAR-10: "
            + SET_UPS[options["set-up"]].title,
            self.work,
            "Is one activation function the best everywhere in a small convolutional network? The "
            "study trained the network of PyTorch's CIFAR-10 tutorial with five functions, two "
            "optimizers and two data sets, once each, and said no.",
            _answer(summary, kept),
            [_tested(kept)],
            held(summary["claims"]["last"]),
            [
                claims_section(claims, CLAIMS, ONE_SEED, theirs),
                Section("Test accuracy, loss and macro F1 (tables 1 to 4)", tests),
                Section("Which weights are tested", _weights(ours, study)),
                Section("Epochs and time (tables 5 to 8)", [*times, Prose([seconds])]),
                Section("Accuracy and loss", learning_charts(groups, PARTS)),
                Section("Layer by layer (figures 1 to 4)", [_gradients(kept), *gradients]),
                set_up_section(_set_up(summary, kept), summary, note=NOTE),
            ],
            _warning(summary, kept),
        )


def complete(run: Run) -> Kept:
    """Every setting of which the folder holds all five networks, whichever start made them."""
    kept = {}
    for data_set, optimizer in TABLES:
        found = {f: run.kept(str(Cell(data_set, optimizer, f)), CellData) for f in ACTIVATIONS}
        networks = {f: cell for f, cell in found.items() if cell is not None}
        if len(networks) == len(ACTIVATIONS):
            kept[data_set, optimizer] = networks
    return kept


def _figures_of(cell: CellData) -> dict[str, Any]:
    """A cell without what is by epoch; that is in ``epochs.csv``."""
    norms = {name: float(np.mean(values)) for name, values in cell["gradient_norms"].items()}
    plain = {key: value for key, value in cell.items() if not isinstance(value, list | dict)}
    return plain | {
        "test": cell["test"],
        "images": cell["images"],
        "train_accuracy": cell["train_accuracy"][-1],
        "seconds": sum(cell["seconds"]),
        "mean_gradient_norms": norms,
    }


def kept_in(folder: Path, summary: Mapping[str, Any]) -> Kept:
    """The cells of a run again, from its summary and ``epochs.csv``."""
    columns: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in read_rows(folder, "epochs.csv"):
        key = row.pop("data_set"), row.pop("optimizer"), row.pop("activation")
        for name, value in row.items():
            columns.setdefault(key, {}).setdefault(name, []).append(float(value))
    kept: dict[Setting, dict[str, CellData]] = {}
    for cell in summary["cells"]:
        setting, name = (cell["data_set"], cell["optimizer"]), cell["activation"]
        by_epoch = columns[cell["data_set"], cell["optimizer"], name]
        del by_epoch["epoch"]
        norms = {layer: by_epoch[f"gradient_{layer}"] for layer in LAYERS}
        kept.setdefault(setting, {})[name] = cell | by_epoch | {"gradient_norms": norms}
    return kept


def grids(kept: Kept, limit: int) -> dict[str, Grid]:
    return {
        weights: {
            setting: {name: Series.of(cell, weights, limit) for name, cell in cells.items()}
            for setting, cells in kept.items()
        }
        for weights in WEIGHTS
    }


# -- what the report says ----------------------------------------------------------------------


def _group(setting: Setting, cells: Mapping[str, CellData]) -> Group:
    losses = ("train_loss", "validation_loss")  # what is kept of the study by epoch
    study = {
        name: {key: getattr(series, key) for key in losses}
        for name, series in published()[setting].items()
    }
    return Group({name: [cell] for name, cell in cells.items()}, study)


def _answer(summary: Mapping[str, Any], kept: Kept) -> str:
    judged = {c["claim"]: c["verdict"] for c in summary["claims"]["last"]}[NONE_IS_BEST]
    verdict = {HOLDS: "No", FAILS: "Yes"}.get(judged, "Not decided")
    best = []
    for setting, cells in kept.items():
        tested = {name: cell["test"]["last"]["accuracy"] for name, cell in cells.items()}
        first = max(tested, key=tested.__getitem__)
        last = percent(min(tested.values()))
        best.append(f"{first} on {title(setting)} ({percent(tested[first])}, the last {last})")
    return f"{verdict}: the most accurate on the test images is {', '.join(best)}."


def _warning(summary: Mapping[str, Any], kept: Kept) -> str:
    missing = [title(setting) for setting in TABLES if setting not in kept]
    said = f"Not run: {', '.join(missing)}. " if missing else ""
    if missing:
        said += "The verdicts are about the other settings. "
    if summary["options"]["epochs"] != EPOCHS:
        epochs = counted(summary["options"]["epochs"], "epoch")
        said += (
            f"At most {epochs} instead of the study's {EPOCHS}. The "
            "study tested its networks at the end only, so its figures are those of its own last "
            "epoch."
        )
    return said


def _tested(kept: Kept) -> Chart:
    series = []
    for setting in reversed(list(kept)):  # the harder data first
        cells, where = kept[setting], {"setting": title(setting)}
        for colour, weights in ((4, "last"), (2, "best")):
            y = [100 * cell["test"][weights]["accuracy"] for cell in cells.values()]
            series.append(Line(f"{weights} weights", list(cells), y, colour, where=where))
        theirs = [100 * published()[setting][name].accuracy for name in cells]
        series.append(Line("published", list(cells), theirs, 9, published=True, where=where))
    about = "Test images that are recognised, with the weights after the last epoch and with those "
    about += "at the lowest validation loss."
    name = "Test accuracy of each function"
    return Chart(name, about, "function", PER_CENT, series, from_zero=False)


def _gradients(kept: Kept) -> Chart:
    series = [
        runs_series(
            label,
            [cell["gradient_norms"][layer]],
            panel=name,
            where={"setting": title(setting)},
            **in_order(i, len(LAYERS)),
        )
        for setting, cells in kept.items()
        for name, cell in cells.items()
        for i, (layer, label) in enumerate(LAYERS.items())
    ]
    about = "L2 norm of ∂L/∂W of each layer for the last batch of each epoch, L the mean "
    about += "cross-entropy. The study shows them as pictures without figures."
    return Chart("Gradients by layer", about, "epoch", "‖∂L/∂W‖", series, ("log", "linear"))


def _weights(ours: Mapping[str, Grid], study: Grid) -> list[Told]:
    rows = []
    for who, some in (("published", study), *((f"ours, {w}", one) for w, one in ours.items())):
        for setting, networks in some.items():
            each = networks.values()
            above_last = np.mean([s.loss - s.validation_loss[-1] for s in each])
            above_best = np.mean([s.loss - s.validation_loss.min() for s in each])
            rows.append([who, title(setting), f"{above_last:+.3f}", f"{above_best:+.3f}"])
    head = ["test loss", "setting", "minus validation loss of the last epoch", "minus the lowest"]
    before = (
        "The study does not say whether its figures are those of the weights after the last epoch "
        "or of those with the lowest validation loss, five epochs before. Its own logs tell: "
        "validation and test images are drawn alike, so the losses on them should nearly be the "
        "same."
    )
    after = (
        "With Adam on CIFAR-10 the published test losses fit the last weights, not the best. So "
        "ours are those of the last weights, too, and those of the best ones stand beside them."
    )
    return [Prose([before]), Table("Means over the five functions", head, rows), Prose([after])]


def _test_table(setting: Setting, ours: Mapping[str, Grid], study: Grid, theirs: str) -> Table:
    names = {"accuracy": "accuracy, %", "loss": "loss", "f1": "F1"}
    head = ["function"]
    for shown in names.values():
        head += [f"{shown}: {theirs}", "ours, last", "ours, best"]
    rows = []
    for name in ours["last"][setting]:
        row = [name]
        for what in names:
            for some in (study, ours["last"], ours["best"]):
                value = (100 if what == "accuracy" else 1) * getattr(some[setting][name], what)
                row.append(f"{value:.{DIGITS[what]}f}")
        rows.append(row)
    return Table(f"Table {TABLES[setting]}, {title(setting)}", head, rows)


def _time_table(setting: Setting, cells: Mapping[str, CellData], study: Grid, shown: str) -> Table:
    rows = []
    for name, cell in cells.items():
        theirs, seconds = study[setting][name], sum(cell["seconds"])
        epochs = [str(n) for n in (theirs.epochs, cell["epochs"], cell["best_epoch"])]
        times = [f"{theirs.seconds:.1f}", f"{seconds:.1f}"]
        each = [f"{theirs.seconds / theirs.epochs:.2f}", f"{seconds / cell['epochs']:.2f}"]
        rows.append([name, *epochs, *times, *each])
    head = ["function", f"epochs: {shown}", "ours", "lowest validation loss in epoch"]
    head += [f"total s: {shown}", "ours", f"s per epoch: {shown}", "ours"]
    return Table(f"Table {TABLES[setting] + 4}, {title(setting)}", head, rows)


def _gradient_table(setting: Setting, networks: Mapping[str, Series]) -> Table:
    rows = []
    for name, series in networks.items():
        assert series.gradients is not None
        norms = [series.gradients[layer] for layer in LAYERS]
        ratio = float(np.median(norms[0] / norms[-1]))
        rows.append([name, *(f"{n.mean():.3f}" for n in norms), f"{ratio:.3f}"])
    about = "means over the epochs, and the median of the first layer's norm over the last one's"
    return Table(f"{title(setting)}, {about}", ["function", *LAYERS.values(), "first / last"], rows)


ONE_SEED = (
    "One seed, as in the study. The standard error of an accuracy on 10,000 images is 0.5 points "
    "at 62% and 0.12 points at 98.5%, so functions that lie closer than 1.4 or 0.35 points (two "
    "standard errors of a difference) could change places on other test images, and more easily "
    "with another seed."
)
NOTE = (
    "All five networks of a setting start from the same weights and see the same batches. f is "
    "computed after the pooling instead of before it: all five functions rise, so max f(z) = "
    "f(max z), with the same gradient and a quarter of the work. What differs from the study: its "
    "framework (PyTorch), its random numbers (split, weights, batches; no seed is known), its "
    "device (a T4 GPU)."
)


def _set_up(summary: Mapping[str, Any], kept: Kept) -> list[Sequence[str | Told]]:
    options = summary["options"]
    cells = [cell for some in kept.values() for cell in some.values()]
    seconds = sum(sum(cell["seconds"]) for cell in cells)
    pixels = "; ".join(
        f"{TITLES[name]}: (x / 255 − {mean[0]:g}) / {std[0]:g}"
        for name, (mean, std) in PIXELS.items()
    )
    images = "; ".join(
        "{}: {:,} training, {:,} validation, {:,} test".format(TITLES[name], *sizes)
        for name, sizes in {cell["data_set"]: cell["images"] for cell in cells}.items()
    )
    network = (
        "conv 5×5 to 6, f, max 2, conv 5×5 to 16, f, max 2, dense 120, f, dense 84, f, dense 10"
    )
    rules = (
        "SGD, learning rate 0.001, momentum 0.9; Adam, learning rate 0.001, ε = 1e-8 as in PyTorch"
    )
    stopping = f"early stopping on the validation loss, patience {PATIENCE}"
    return [
        ["network", network],
        ["functions f", "sigmoid, ReLU, leaky ReLU (0.01), ELU (α = 1), SELU"],
        ["weights", SET_UPS[options["set-up"]].start],
        ["optimizers", rules],
        ["batch size", str(BATCH_SIZE)],
        ["epochs", f"at most {options['epochs']}, {stopping}"],
        ["images", images],
        ["pixels", pixels],
        ["seed", str(options["seed"])],
        ["training runs", f"{len(cells)}, {seconds:,.0f} s of training, added up"],
    ]


STUDY = ActivationStudy()
