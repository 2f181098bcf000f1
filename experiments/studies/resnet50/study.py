"""Five functions in ResNet-50: the declaration of the study, and its report."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.pages import Prose, Told
from minidl.study import Claim, Report, Rows, Run, Section, Task, judge, text_table
from minidl.study.charts import Group, learning_charts
from minidl.study.options import whole
from minidl.study.report import percent, sentence, set_up_section
from minidl.study.sized_study import SET_UPS, SizedStudy
from minidl.study.tables import counted
from minidl.study.verdicts import both, word
from studies.activation_study.series import Setting, published_title, title
from studies.activation_study.study import IN_DEPTH, pixels
from studies.activation_study.study import images_of as images_told
from studies.activation_study.training import ACTIVATIONS, PATIENCE, PIXELS, CellData
from studies.resnet50 import parts
from studies.resnet50.claims import (
    CLAIMS,
    SEEDS,
    TABLES,
    VANISHES,
    Block,
    Figures,
    decades,
    published,
    worst,
)
from studies.resnet50.training import (
    BATCH_SIZE,
    BATCH_SIZES,
    BY_EPOCH,
    COLLAPSES,
    FULL,
    MOMENTUM,
    REDUCED,
    STAGES,
    Cell,
    Size,
    cells,
    images_of,
    train_cell,
)

TESTED = {"as_run": "last", "as_described": "best"}  # the weights that a set-up reports


class ResNet50(SizedStudy):
    name = "resnet50"
    about = "Five activation functions in ResNet-50, two optimizers, MNIST and CIFAR-10."
    work = IN_DEPTH
    data = tuple(PIXELS)
    seeds = 3
    kind = CellData
    keeps_weights = False
    full, reduced = FULL, REDUCED
    sized_by = (("epochs", "epochs"), ("images", "images"))

    def add_options(self, add: Any) -> None:
        full = "networks, images and epochs of the study; for a GPU"
        add("--full", action="store_true", help=full)
        add("--epochs", type=whole, help="maximum number (default: 6; with --full 50)")
        images = "training and validation images (default: the first 4000; with --full all)"
        add("--images", type=whole, metavar="N", help=images)

    def check(self, chosen: argparse.Namespace) -> None:
        images = self.size(chosen).images
        for batch_size in (BATCH_SIZE, *BATCH_SIZES):
            train = 0 if images is None else images - images // 5
            if images is not None and (images < 10 or train % batch_size == 1):
                raise ValueError(
                    "argument --images: expected 10 or more that leave no batch of one image, got "
                    f"{images}; four fifths of them are split into batches of {batch_size}"
                )

    def tasks(self, run: Run) -> dict[str, Task[CellData]]:
        size = self.size(run.chosen)
        images = {one.name: images_of(one, size, run.chosen.seed) for one in run.data}
        classes = {one.name: len(one.classes) for one in run.data}
        return {
            str(cell): functools.partial(
                train_cell, run, size, cell, images[cell.data_set], classes[cell.data_set]
            )
            for cell in cells(run.seeds)
        }

    def summarise(self, run: Run, results: Mapping[str, CellData]) -> dict[str, Any]:
        cells = [_rounded(cell) for cell in results.values()]
        return self.size_block(run) | {"seeds": list(run.seeds), "cells": cells}

    def judged(self, summary: Mapping[str, Any], results: Any, key: str) -> list[Claim]:
        return judge(CLAIMS, published(), [figures(summary, key)])

    def tables(self, run: Run, results: Mapping[str, CellData]) -> dict[str, Rows]:
        rows = []
        for cell in results.values():
            for i in range(cell["epochs"]):
                where = {key: cell[key] for key in Cell._fields} | {"epoch": i + 1}
                stages = {
                    f"{name}_{stage}": value
                    for name in ("gradients", "shift", "scale")
                    for stage, value in zip(STAGES, cell[name][i], strict=True)
                }
                rows.append(where | {name: cell[name][i] for name in BY_EPOCH} | stages)
        return {"epochs.csv": rows}

    def results(self, summary: Mapping[str, Any]) -> str:
        study, ours, rows = published().grid, figures(summary, "as_run").grid, []
        for setting, networks in ours.items():
            for f, (cell, *_) in networks.items():
                tests = (cell["test"]["last"], study[setting][f][0]["test"]["last"])
                rows.append([f"{title(setting)}, {f}", *(percent(t["accuracy"], 2) for t in tests)])
        return text_table(["network, as run", "test accuracy", "published"], rows)

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        run, described = (figures(summary, key) for key in SET_UPS)
        verdicts = self.verdicts(summary)
        groups = {
            f"{name}, {title(setting)}": Group(networks, parts.published_logs(setting))
            for one, name in zip((run, described), SET_UPS.values(), strict=True)
            for setting, networks in one.grid.items()
        }
        tables = [parts.test_table(setting, run, described) for setting in TABLES]
        theirs = published_title(summary["size"]["epochs"])
        return Report(
            "Five activation functions in ResNet-50, two optimizers, MNIST and CIFAR-10",
            self.work,
            "Do gradients vanish in ResNet-50 with Adam on MNIST, where the published networks "
            "recognise 10.6% of the test images with ReLU and 50.7% with sigmoid? And does the "
            "activation function after the first convolution, the only one that was replaced, "
            "make a larger difference than another seed?",
            _answer(summary, run),
            [parts.opening(run)],
            verdicts.held(),
            [
                Section("How running statistics fail", parts.collapse(summary, run)),
                verdicts.section(CLAIMS, ONE_SEED, theirs),
                Section("Seeds and functions", [parts.spreads(run), Prose([SPREAD])]),
                Section("Test accuracy and loss (tables 9 to 12)", [*tables, Prose([WEIGHTS])]),
                Section("Epochs (tables 13 to 16)", [parts.epochs(run, described), Prose([TIMES])]),
                Section("The same weights by both statistics", [parts.statistics(run, described)]),
                Section("Gradients by stage (figures 5 to 8)", parts.gradients(run, described)),
                Section("Accuracy and loss", learning_charts(groups, parts.PARTS)),
                set_up_section(_set_up(summary), summary, [self.sizes(summary, SIZES)], NOTE),
            ],
            _warning(summary, self.size_of(summary)),
            "" if summary["is_full_size"] else "a reduced run",
        )


def _rounded(value: Any) -> Any:
    """Rounded to five digits: enough for every figure, and a summary that can be read."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def figures(summary: Mapping[str, Any], key: str) -> Figures:
    """The figures of one set-up in a summary."""
    grid: dict[Setting, dict[str, list[Block]]] = {
        setting: {f: [] for f in ACTIVATIONS} for setting in TABLES
    }
    forgetful = []
    for cell in summary["cells"]:
        if cell["set_up"] != key or cell["batch_size"] != BATCH_SIZE:
            continue
        if cell["momentum"] == MOMENTUM:
            grid[cell["data_set"], cell["optimizer"]][cell["activation"]].append(cell)
        else:
            forgetful.append(cell)
    return Figures(grid, TESTED[key], forgetful)


# -- what the report says ----------------------------------------------------------------------


def _answer(summary: Mapping[str, Any], run: Figures) -> str:
    vanishes, seeds = (word(summary["claims"]["as_run"], claim) for claim in (VANISHES, SEEDS))
    ratios = [float(np.mean(decades(b))) for blocks in run.grid[COLLAPSES].values() for b in blocks]
    block, epoch = worst(run.forgetful)
    batch, running = (percent(block[kind][epoch]) for kind in parts.STATISTICS)
    return (
        f"{sentence(both(vanishes, seeds))}: the gradient of the first convolution is "
        f"{10 ** float(np.mean(ratios)):.1f} times the last stage's, but the same ReLU network, "
        f"after epoch {epoch + 1}, recognises {batch} of the validation images with the batch's "
        f"statistics and {running} with BatchNorm's running statistics (momentum "
        f"{block['momentum']:g})."
    )


ONE_SEED = (
    "As run, all functions have several seeds with Adam on MNIST, and ReLU has several everywhere; "
    "if only one of two functions has several, the seeds that both have are compared."
)
SPREAD = (
    "The published networks have one seed each. As run, only the activation function of the stem "
    "differs, one of 49; all five networks of a seed start from the same weights and see "
    "the same batches."
)
WEIGHTS = (
    "The published test figures are those of the weights after the last epoch, as the logs show: "
    "ReLU's 10.60% with Adam on MNIST belongs to a validation accuracy of 10.26% in epoch 10, the "
    "last, and not to the 98.65% of epoch 5, where the validation loss was lowest; sigmoid's "
    "50.73% likewise belongs to 49.73% and not to 98.41%. As described, the best weights are "
    "tested."
)
TIMES = (
    f"Early stopping waits {PATIENCE} epochs, so it does not end a run of few epochs; the "
    "published runs have up to 50."
)
NOTE = (
    "As run, the blocks keep ReLU whichever function is chosen, as in the study's notebooks. Apart "
    "from its size, the study differs in its framework (PyTorch), its random numbers (no seed is "
    "known) and its device."
)


def _warning(summary: Mapping[str, Any], size: Size) -> str:
    if summary["is_full_size"]:
        return ""
    images = "all" if size.images is None else f"{size.images:,}"
    return (
        f"Smaller than the study: {size.width:g} of its width, {images} images for training "
        f"and validation instead of 60,000 and 50,000, at most {counted(size.epochs, 'epoch')} "
        f"instead of {FULL.epochs}. The accuracies cannot be compared with the published ones. "
        "`--full` is the study's size."
    )


def _count(images: int | None) -> str:
    return "all" if images is None else f"{images:,}"


SIZES: dict[str, Callable[[Size], str]] = {
    "width, relative to the published network": lambda size: f"{size.width:g}",
    "images for training and validation": lambda size: _count(size.images),
    "test images": lambda size: _count(size.test_images),
    "maximum number of epochs": lambda size: str(size.epochs),
}


def _set_up(summary: Mapping[str, Any]) -> list[Sequence[str | Told]]:
    return [
        ["network", "ResNet-50; stem 7×7 with stride 2 for MNIST, 3×3 with stride 1 for CIFAR-10"],
        ["functions", "sigmoid, ReLU, leaky ReLU (0.01), ELU (α = 1), SELU"],
        ["as run", "in the stem only; the weights after the last epoch are tested"],
        ["as described", "everywhere; the weights at the lowest validation loss are tested"],
        ["weights", "He-normal by fan-out, as in torchvision"],
        ["optimizers", "SGD, learning rate 0.001, momentum 0.9; Adam, 0.001, ε = 1e-8"],
        ["batch size, momentum of running statistics", f"{BATCH_SIZE}, {MOMENTUM:g}"],
        ["images", images_told(summary["cells"])],
        ["pixels", pixels()],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        ["training runs", str(len(summary["cells"]))],
    ]


STUDY = ResNet50()
