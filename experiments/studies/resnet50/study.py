"""Five functions in ResNet-50: what is declared of the study, and its report."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minidl.pages import Chart, Prose, Table, Told
from minidl.pages import Series as Line
from minidl.pages.colours import layer_colour
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, judge, text_table
from minidl.study.charts import PER_CENT, Group, learning_charts, runs_series
from minidl.study.options import whole
from minidl.study.report import (
    both,
    claims_section,
    held_in,
    percent,
    sentence,
    set_up_section,
    word,
)
from minidl.study.tables import counted
from studies.activation_study.claims import TITLES, Setting, title
from studies.activation_study.study import IN_DEPTH
from studies.activation_study.training import ACTIVATIONS, PATIENCE, PIXELS, CellData
from studies.resnet50.claims import (
    CLAIMS,
    SEEDS,
    TABLES,
    VANISHES,
    Block,
    Figures,
    collapsed,
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
    SET_UPS,
    STAGES,
    Cell,
    Size,
    cells,
    images_of,
    train_cell,
)

PARTS = {"train": "training images (running)", "validation": "validation images"}
TESTED = {"as_run": "last", "as_described": "best"}  # the weights that a set-up reports
STATISTICS = {"batch_accuracy": "the batch's statistics", "validation_accuracy": "running ones"}
COLOURS = {"batch_accuracy": 2, "validation_accuracy": 1}


class ResNet50(TrainedStudy):
    name = "resnet50"
    about = "Five activation functions in ResNet-50, two optimizers, MNIST and CIFAR-10."
    work = IN_DEPTH
    data = tuple(PIXELS)
    seeds = 3
    kind = CellData
    keeps_weights = False
    reduced: Size = REDUCED

    def add_options(self, add: Any) -> None:
        full = "networks, images and epochs of the study; for a GPU"
        add("--full", action="store_true", help=full)
        add("--epochs", type=whole, help="at most (default: 6; with --full 50)")
        images = "first images to train and validate with (default: 4000; with --full all)"
        add("--images", type=whole, metavar="N", help=images)

    def check(self, chosen: argparse.Namespace) -> None:
        images = self.size(chosen).images
        for batch_size in (BATCH_SIZE, *BATCH_SIZES):
            train = 0 if images is None else images - images // 5
            if images is not None and (images < 10 or train % batch_size == 1):
                raise ValueError(
                    "argument --images: expected 10 or more that leave no batch of one, got "
                    f"{images}; four fifths of them are cut into batches of {batch_size}"
                )

    def size(self, chosen: argparse.Namespace) -> Size:
        size = FULL if chosen.full else self.reduced
        return replace(
            size, epochs=chosen.epochs or size.epochs, images=chosen.images or size.images
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
        size = self.size(run.chosen)
        return {
            "size": asdict(size),
            "is_full_size": size == FULL,
            "seeds": list(run.seeds),
            "cells": [_rounded(cell) for cell in results.values()],
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        study = published()
        summary["claims"] = {
            key: [claim.as_dict() for claim in judge(CLAIMS, study, [figures(summary, key)])]
            for key in SET_UPS
        }

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
        claims = {title: summary["claims"][key] for key, title in SET_UPS.items()}
        groups = {
            f"{name}, {title(setting)}": Group(networks, _study(setting))
            for one, name in zip((run, described), SET_UPS.values(), strict=True)
            for setting, networks in one.grid.items()
        }
        tables = [_test_table(setting, run, described) for setting in TABLES]
        return Report(
            "Five activation functions in ResNet-50, two optimizers, MNIST and CIFAR-10",
            self.work,
            "Do gradients vanish in ResNet-50 with Adam on MNIST, where the published networks "
            "recognise 10.6% of the test images with ReLU and 50.7% with sigmoid? And does the "
            "activation function after the first convolution, the only one that was exchanged, "
            "make a larger difference than another seed?",
            _answer(summary, run),
            [_opening(run)],
            held_in(claims),
            [
                Section("How running statistics fail", _collapse(summary, run)),
                claims_section(claims, CLAIMS, ONE_SEED),
                Section("Seeds and functions", [_spreads(run), Prose([SPREAD])]),
                Section("Test accuracy and loss (tables 9 to 12)", [*tables, Prose([WEIGHTS])]),
                Section("Epochs (tables 13 to 16)", [_epochs(run, described), Prose([TIMES])]),
                Section("The same weights by both statistics", [_statistics(run, described)]),
                Section("Gradients by stage (figures 5 to 8)", _gradients(run, described)),
                Section("Accuracy and loss", learning_charts(groups, PARTS)),
                set_up_section(_set_up(summary), summary, [_sizes(summary)], NOTE),
            ],
            _warning(summary),
            "" if summary["is_full_size"] else "a reduced run",
        )


def _rounded(value: Any) -> Any:
    """With five digits: enough for every figure, and a summary that can be read."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def figures(summary: Mapping[str, Any], key: str) -> Figures:
    """What a summary has of a set-up."""
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
    batch, running = (percent(block[kind][epoch]) for kind in STATISTICS)
    return (
        f"{sentence(both(vanishes, seeds))}: the gradient of the first convolution is "
        f"{10 ** float(np.mean(ratios)):.1f} times the last stage's; but of the validation images "
        f"the same ReLU network, after epoch {epoch + 1}, recognises {batch} with the statistics "
        f"of the batch and {running} with BatchNorm's running ones of momentum "
        f"{block['momentum']:g}."
    )


def _published_logs(panel: str, f: str) -> Iterator[Line]:
    block = published().grid[COLLAPSES][f][0]
    for part, kind in (("train", "batch_accuracy"), ("validation", "validation_accuracy")):
        y = (100 * block[f"{part}_accuracy"]).tolist()
        name = f"{PARTS[part]}, published"
        yield Line(name, range(1, len(y) + 1), y, COLOURS[kind], published=True, panel=panel)


def _opening(run: Figures) -> Chart:
    plain = run.grid[COLLAPSES]["relu"][0]
    here = "here: the same weights, other statistics"
    batch = [100 * np.array(plain["batch_accuracy"], float)]
    lines = [runs_series("the batch's statistics", batch, colour=2, panel=here)]
    cells = sorted([plain, *run.forgetful], key=lambda cell: float(cell["momentum"]))
    for cell, colour in zip(cells, (3, 1, 0), strict=True):
        values = [100 * np.array(cell["validation_accuracy"], float)]
        name = f"running, momentum {cell['momentum']:g}"
        lines.append(runs_series(name, values, colour=colour, panel=here))
    lines += _published_logs("published: training and validation", "relu")
    about = (
        "ReLU on MNIST with Adam. Here: validation images that the network recognises after each "
        "epoch, normalised with the statistics of the batch, as while it trains, or with running "
        "ones. Published: training images, over the epoch (the batch's statistics), and validation "
        f"images, after it (running ones, momentum {MOMENTUM:g})."
    )
    name = "The same weights with running statistics and with those of the batch"
    return Chart(name, about, "epoch", PER_CENT, lines, name="same_weights")


BATCH_NORM = (
    "BatchNorm takes from each channel its mean μ and divides by its standard deviation σ. While "
    "the network trains both are those of the batch; afterwards they are running means over the "
    "batches so far, running ← m · running + (1 − m) · batch, which remember about 1 / (1 − m) "
    "steps. Nothing in training depends on them: with another momentum m the weights are the same, "
    "bit for bit. But the weights move on, and where the statistics of a layer change faster than "
    "the running ones follow, or where these begin at 0 and 1 and have had few steps, a network "
    "that has learned is evaluated with numbers that were never its own; 53 such layers follow "
    "one another. At 28×28 pixels an image of the last stage is a single pixel, so there the "
    "batch's statistics are of as many values as it has images, and a small batch's are noisy."
)


def _collapse(summary: Mapping[str, Any], run: Figures) -> list[Told]:
    varied = {
        f"momentum {c['momentum']:g}, batch {c['batch_size']}": c
        for c in summary["cells"]
        if c["set_up"] == "as_run"
        and (c["data_set"], c["optimizer"], c["activation"]) == (*COLLAPSES, "relu")
        and c["seed"] == summary["seeds"][0]
    }
    accuracies = [
        runs_series(name, [100 * np.array(cell[kind], float)], colour=COLOURS[kind], panel=panel)
        for panel, cell in varied.items()
        for kind, name in STATISTICS.items()
    ]
    about = "ReLU on MNIST with Adam, as run: validation images that are recognised."
    charts = [Chart("Momentum and batch size", about, "epoch", PER_CENT, accuracies)]
    for kind, name, y in (
        ("shift", "How far running means lie from the batch's", "|μ_running − μ_batch| / σ_batch"),
        ("scale", "How much too small running deviations are", "σ_batch / σ_running"),
    ):
        lines = [
            line for panel, cell in varied.items() for line in _stages(cell[kind], panel=panel)
        ]
        about = "Median over the channels of each stage, mean over the validation batches."
        charts.append(Chart(name, about, "epoch", y, lines, ("log", "linear")))
    count = [int(collapsed(b).sum()) for blocks in run.grid[COLLAPSES].values() for b in blocks]
    epochs = sum(len(b["train_loss"]) for blocks in run.grid[COLLAPSES].values() for b in blocks)
    theirs = [collapsed(blocks[0]) for blocks in published().grid[COLLAPSES].values()]
    said = (
        f"Published with Adam on MNIST: {sum(int(c.sum()) for c in theirs)} of "
        f"{sum(map(len, theirs))} epochs end with a validation loss above 1 that is more than four "
        "times the training loss, and two of these are the last ones, whose weights were tested. "
        f"Here, with the study's momentum: {sum(count)} of {epochs} epochs."
    )
    logs = [line for f in ACTIVATIONS for line in _published_logs(f, f)]
    about = "MNIST with Adam: the training accuracy shows what the weights have learned."
    log = Chart("The published run, epoch by epoch", about, "epoch", PER_CENT, logs)
    return [Prose([BATCH_NORM]), *charts, Prose([said]), log]


def _stages(values: Any, **more: Any) -> list[Line]:
    """A line for each stage."""
    by_stage = np.array(values, float).T
    return [
        runs_series(stage.replace("_", " "), [y], colour=layer_colour(i, len(STAGES)), **more)
        for i, (stage, y) in enumerate(zip(STAGES, by_stage, strict=True))
    ]


def _statistics(run: Figures, described: Figures) -> Chart:
    lines = [
        runs_series(
            name,
            [100 * np.array(cell[kind], float) for cell in blocks],
            colour=COLOURS[kind],
            panel=f,
            where={"setting": f"{title(setting)}, {set_up}"},
        )
        for set_up, one in zip(SET_UPS.values(), (run, described), strict=True)
        for setting, networks in one.grid.items()
        for f, blocks in networks.items()
        for kind, name in STATISTICS.items()
    ]
    about = "Validation images that are recognised after each epoch."
    return Chart("Validation accuracy by both statistics", about, "epoch", PER_CENT, lines)


def _gradients(run: Figures, described: Figures) -> list[Told]:
    lines = [
        line
        for set_up, one in zip(SET_UPS.values(), (run, described), strict=True)
        for setting, networks in one.grid.items()
        for f, blocks in networks.items()
        for line in _stages(
            blocks[0]["gradients"], panel=f, where={"setting": f"{title(setting)}, {set_up}"}
        )
    ]
    about = "L2 norm of ∂L/∂W of the convolutions of each stage for the last batch of each epoch, "
    about += "L the mean cross-entropy. The study shows them by layer, as pictures without figures."
    return [Chart("Gradients by stage", about, "epoch", "‖∂L/∂W‖", lines, ("log", "linear"))]


def _accuracy(block: Block, weights: str = "last") -> float:
    return float(block["test"][weights]["accuracy"])


def _spreads(run: Figures) -> Table:
    study, rows = published().grid, []
    for setting, networks in run.grid.items():
        theirs = [_accuracy(blocks[0]) for blocks in study[setting].values()]
        row = [title(setting), f"{100 * np.ptp(theirs):.2f}"]
        for weights in ("last", "best"):
            ours = [_accuracy(blocks[0], weights) for blocks in networks.values()]
            seeds = [_accuracy(block, weights) for block in networks["relu"]]
            row += [f"{100 * np.ptp(some):.2f}" for some in (ours, seeds)]
        rows.append(row)
    head = ["setting", "published", "functions, last weights", "ReLU's seeds, last weights"]
    head += ["functions, best weights", "ReLU's seeds, best weights"]
    return Table("Highest less lowest test accuracy, points, as run", head, rows)


def _test_table(setting: Setting, run: Figures, described: Figures) -> Table:
    rows = []
    for f, (theirs, *_) in published().grid[setting].items():
        a, b = (one.grid[setting][f][0]["test"] for one in (run, described))
        rows.append(
            [
                f,
                *(
                    percent(t["accuracy"], 2)
                    for t in (theirs["test"]["last"], a["last"], a["best"])
                ),
                percent(a["last"]["batch_accuracy"], 2),
                *(percent(b[weights]["accuracy"], 2) for weights in ("last", "best")),
                *(f"{t['loss']:.3f}" for t in (theirs["test"]["last"], a["last"], b["best"])),
            ]
        )
    head = ["function", "published", "as run, last", "best", "last, the batch's statistics"]
    head += ["as described, last", "best"]
    head += ["loss: published", "as run, last", "as described, best"]
    return Table(f"Table {TABLES[setting]}, {title(setting)}", head, rows)


def _epochs(run: Figures, described: Figures) -> Table:
    rows = []
    for setting, networks in published().grid.items():
        for f, (theirs, *_) in networks.items():
            row = [f"{title(setting)}, {f}", str(theirs["epochs"])]
            for one in (run, described):
                row += [str(one.grid[setting][f][0][name]) for name in ("epochs", "best_epoch")]
            rows.append(row)
    best = "lowest validation loss in"
    head = ["network", "published", "as run", best, "as described", best]
    return Table("Epochs until early stopping", head, rows)


def _study(setting: Setting) -> dict[str, Block]:
    return {f: blocks[0] for f, blocks in published().grid[setting].items()}


ONE_SEED = (
    "As run, with Adam on MNIST all functions have several seeds and ReLU has them everywhere; "
    "where only one of two functions has them, the seeds that both have are compared."
)
SPREAD = (
    "The published networks are of one seed each. As run, nothing but the activation function of "
    "the stem differs, one of 49; all five networks of a seed start from the same weights and see "
    "the same batches."
)
WEIGHTS = (
    "The published test figures are those of the weights after the last epoch, as its logs show: "
    "ReLU's 10.60% with Adam on MNIST belongs to a validation accuracy of 10.26% in epoch 10, the "
    "last, and not to the 98.65% of epoch 5, where the validation loss was lowest; sigmoid's "
    "50.73% likewise belongs to 49.73% and not to 98.41%. As described, the best weights count."
)
TIMES = (
    f"Early stopping waits {PATIENCE} epochs, so in a run of few epochs it ends nothing; the "
    "published epochs are of up to 50."
)
NOTE = (
    "As run the blocks keep ReLU whatever the function is called, as in the study's notebooks. "
    "What differs from the study beside the size: its framework (PyTorch), its random numbers (no "
    "seed is known) and its device."
)


def _warning(summary: Mapping[str, Any]) -> str:
    size = Size(**summary["size"])
    if summary["is_full_size"]:
        return ""
    images = "all" if size.images is None else f"{size.images:,}"
    return (
        f"Smaller than the study: {size.width:g} of its width, {images} images to train and "
        f"validate with instead of 60,000 and 50,000, at most {counted(size.epochs, 'epoch')} "
        f"instead of {FULL.epochs}. The accuracies cannot be compared with the published ones. "
        "`--full` is the study's size."
    )


def _sizes(summary: Mapping[str, Any]) -> Table:
    sizes = FULL, Size(**summary["size"])
    rows = [
        ["width, of the published network", *(f"{s.width:g}" for s in sizes)],
        ["images to train and validate with", *(_count(s.images) for s in sizes)],
        ["test images", *(_count(s.test_images) for s in sizes)],
        ["epochs, at most", *(str(s.epochs) for s in sizes)],
    ]
    return Table("Sizes", ["", "study", "here"], rows)


def _count(images: int | None) -> str:
    return "all" if images is None else f"{images:,}"


def _set_up(summary: Mapping[str, Any]) -> list[Sequence[str | Told]]:
    used = {TITLES[cell["data_set"]]: cell["images"] for cell in summary["cells"]}
    pixels = "; ".join(
        f"{TITLES[name]}: (x / 255 − {mean[0]:g}) / {std[0]:g}"
        for name, (mean, std) in PIXELS.items()
    )
    return [
        ["network", "ResNet-50; stem 7×7 with stride 2 for MNIST, 3×3 with stride 1 for CIFAR-10"],
        ["functions", "sigmoid, ReLU, leaky ReLU (0.01), ELU (α = 1), SELU"],
        ["as run", "in the stem only; the weights after the last epoch are tested"],
        ["as described", "everywhere; the weights at the lowest validation loss are tested"],
        ["weights", "He-normal by the outputs, as in torchvision"],
        ["optimizers", "SGD, learning rate 0.001, momentum 0.9; Adam, 0.001, ε = 1e-8"],
        ["batch size, momentum of running statistics", f"{BATCH_SIZE}, {MOMENTUM:g}"],
        [
            "images",
            "; ".join(
                f"{name}: {train:,} training, {validation:,} validation, {test:,} test"
                for name, (train, validation, test) in used.items()
            ),
        ],
        ["pixels", pixels],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        ["training runs", str(len(summary["cells"]))],
    ]


STUDY = ResNet50()
