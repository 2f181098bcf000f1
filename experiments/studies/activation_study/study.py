"""Five activation functions, two optimizers, two data sets: the declaration, and the report."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidl.data import Dataset
from minidl.pages import Prose, Told
from minidl.study import (
    Report,
    Rows,
    Run,
    Section,
    Task,
    TrainedStudy,
    Verdicts,
    Work,
    judge,
    text_table,
)
from minidl.study.charts import learning_charts
from minidl.study.options import whole
from minidl.study.report import percent, set_up_section
from minidl.study.tables import counted
from minidl.study.verdicts import word
from studies.activation_study import parts
from studies.activation_study.claims import CLAIMS, NONE_IS_BEST
from studies.activation_study.kept import (
    WEIGHTS,
    Kept,
    complete,
    epoch_rows,
    figures_of,
    grids,
    kept_in,
)
from studies.activation_study.series import TABLES, TITLES, published, published_title, title
from studies.activation_study.training import (
    BATCH_SIZE,
    EPOCHS,
    OPTIMIZERS,
    PATIENCE,
    PIXELS,
    SET_UPS,
    CellData,
    Images,
    grid,
    train_cell,
)

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
        part = {"nargs": "+", "help": "the part of the grid to run"}
        add("--data-sets", choices=PIXELS, default=list(PIXELS), **part)
        add("--optimizers", choices=OPTIMIZERS, default=list(OPTIMIZERS), **part)
        start = "initial weights, as run or as described"
        add("--set-up", choices=SET_UPS, default="run", help=start)
        most = "maximum number of epochs; a training run may stop earlier"
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
            "cells": [figures_of(cell) for cells in kept.values() for cell in cells.values()],
            "claims": {
                weights: [claim.as_dict() for claim in judge(CLAIMS, study, [ours])]
                for weights, ours in grids(kept, chosen.epochs).items()
            },
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        """No claim is about times: all are judged in the summary."""

    def tables(self, run: Run, results: Mapping[str, CellData]) -> dict[str, Rows]:
        return {"epochs.csv": epoch_rows(complete(run))}

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
        groups = {title(setting): parts.group(setting, cells) for setting, cells in kept.items()}
        verdicts = Verdicts({f"ours, {w} weights": summary["claims"][w] for w in WEIGHTS})
        theirs = published_title(options["epochs"])
        tests = [parts.test_table(setting, ours, study, theirs) for setting in kept]
        times = [parts.time_table(setting, kept[setting], study, theirs) for setting in kept]
        gradients = [parts.gradient_table(setting, ours["last"][setting]) for setting in kept]
        seconds = (
            "Seconds of training alone, without validation. Other load on the machine adds to "
            "ours, and the published ones are from a T4 GPU: only the epochs can be compared."
        )
        return Report(
            "Five activation functions, two optimizers, MNIST and CIFAR-10: "
            + SET_UPS[options["set-up"]].title,
            self.work,
            "Is one activation function the best everywhere in a small convolutional network? The "
            "study trained the network of PyTorch's CIFAR-10 tutorial with five functions, two "
            "optimizers and two data sets, once each, and says no.",
            _answer(summary, kept),
            [parts.tested(kept)],
            Verdicts({"": summary["claims"]["last"]}).held(),
            [
                verdicts.section(CLAIMS, ONE_SEED, theirs),
                Section("Test accuracy, loss and macro F1 (tables 1 to 4)", tests),
                Section("Which weights are tested", parts.weights(ours, study)),
                Section("Epochs and time (tables 5 to 8)", [*times, Prose([seconds])]),
                Section("Accuracy and loss", learning_charts(groups, parts.PARTS)),
                Section("Layer by layer (figures 1 to 4)", [parts.gradients(kept), *gradients]),
                set_up_section(_set_up(summary, kept), summary, note=NOTE),
            ],
            _warning(summary, kept),
        )


# -- what the report says ----------------------------------------------------------------------


def _answer(summary: Mapping[str, Any], kept: Kept) -> str:
    said = word(summary["claims"]["last"], NONE_IS_BEST)
    verdict = {"yes": "No", "no": "Yes"}.get(said, "Not decided")
    best = []
    for setting, cells in kept.items():
        tested = {name: cell["test"]["last"]["accuracy"] for name, cell in cells.items()}
        first = max(tested, key=tested.__getitem__)
        last = percent(min(tested.values()))
        best.append(f"{first}'s on {title(setting)} ({percent(tested[first])}; lowest: {last})")
    return f"{verdict}: the highest test accuracy is {', '.join(best)}."


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


ONE_SEED = (
    "There is one seed, as in the study. The standard error of an accuracy on 10,000 images is "
    "0.5 points at 62% and 0.12 points at 98.5%, so functions that differ by less than 1.4 or "
    "0.35 points (two standard errors of a difference) could swap places on other test images, "
    "and more easily with another seed."
)
NOTE = (
    "All five networks of a setting start from the same weights and see the same batches. f is "
    "computed after the pooling instead of before it: all five functions are increasing, so "
    "max f(z) = f(max z), with the same gradient and a quarter of the work. The study differs in "
    "its framework (PyTorch), its random numbers (split, weights, batches; no seed is known) and "
    "its device (a T4 GPU)."
)


def pixels() -> str:
    """How the pixels are normalized."""
    return "; ".join(
        f"{TITLES[name]}: (x / 255 − {mean[0]:g}) / {std[0]:g}"
        for name, (mean, std) in PIXELS.items()
    )


def images_of(cells: Iterable[CellData]) -> str:
    """The numbers of images of each data set."""
    sizes = {TITLES[cell["data_set"]]: cell["images"] for cell in cells}
    said = "{}: {:,} training, {:,} validation, {:,} test"
    return "; ".join(said.format(name, *images) for name, images in sizes.items())


def _set_up(summary: Mapping[str, Any], kept: Kept) -> list[Sequence[str | Told]]:
    options = summary["options"]
    cells = [cell for some in kept.values() for cell in some.values()]
    seconds = sum(sum(cell["seconds"]) for cell in cells)
    network = (
        "conv 5×5 to 6 channels, f, max-pool 2×2, conv 5×5 to 16 channels, f, max-pool 2×2, "
        "dense 120, f, dense 84, f, dense 10"
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
        ["images", images_of(cells)],
        ["pixels", pixels()],
        ["seed", str(options["seed"])],
        ["training runs", f"{len(cells)}, with {seconds:,.0f} s of training in total"],
    ]


STUDY = ActivationStudy()
