"""What a run of the activation study writes beside its cells: tables, figures and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import activation_study_page
import numpy as np
from activation_study_claims import (
    CLAIMS,
    PATIENCE,
    REASONS,
    TABLES,
    TITLES,
    Grid,
    Series,
    Setting,
    published,
    published_title,
    title,
)
from activation_study_figures import LAYERS, all_figures
from activation_study_training import BATCH_SIZE, EPOCHS, PIXELS, SET_UPS, CellData

from minidl.study import (
    Conditions,
    RunFolder,
    judge,
    markdown_table,
    text_table,
)
from minidl.study.page import RULE, held
from minidl.study.tables import counted

Kept = Mapping[Setting, Mapping[str, CellData]]  # by activation
WEIGHTS = ("last", "best")  # after the last epoch, and at the lowest validation loss
SCALES = {"accuracy": 100, "loss": 1, "f1": 1}
DIGITS = {"accuracy": 2, "loss": 3, "f1": 3}
SIGNIFICANT = 5  # digits of the figures by epoch


def grids(kept: Kept, limit: int) -> dict[str, Grid]:
    return {
        weights: {
            setting: {name: Series.of(cell, weights, limit) for name, cell in cells.items()}
            for setting, cells in kept.items()
        }
        for weights in WEIGHTS
    }


def write_report(
    folder: RunFolder, options: Mapping[str, Any], conditions: Conditions, kept: Kept
) -> dict[str, Any]:
    """Write every file of the run but the cells."""
    ours, study = grids(kept, options["epochs"]), published()
    claims = {
        weights: [claim.as_dict() for claim in judge(CLAIMS, study, [grid])]
        for weights, grid in ours.items()
    }
    summary = {
        "options": dict(options),
        **conditions.as_dict(),
        "cells": [_figures_of(cell) for cells in kept.values() for cell in cells.values()],
        "claims": claims,
    }
    folder.write_json("summary.json", summary)
    folder.write_csv("epochs.csv", _epoch_rows(kept))
    folder.write_text("report.html", activation_study_page.page(folder.path).html())
    names = []
    for name, drawn in all_figures(ours["last"], study):
        folder.write_figure(f"figures/{name}", drawn)
        names.append(name)
    text = report(options, conditions, kept, ours, study, claims, names)
    folder.write_text("report.md", text)
    return summary


def _figures_of(cell: CellData) -> dict[str, Any]:
    """A cell without what is by epoch; that is in ``epochs.csv``."""
    norms = {name: float(np.mean(values)) for name, values in cell["gradient_norms"].items()}
    plain = {key: value for key, value in cell.items() if not isinstance(value, list | dict)}
    return plain | {
        "test": cell["test"],
        "train_accuracy": cell["train_accuracy"][-1],
        "seconds": sum(cell["seconds"]),
        "mean_gradient_norms": norms,
    }


def _epoch_rows(kept: Kept) -> list[dict[str, Any]]:
    rows = []
    for cells in kept.values():
        for cell in cells.values():
            by_epoch = {k: v for k, v in cell.items() if isinstance(v, list) and k != "images"}
            by_epoch |= {f"gradient_{name}": v for name, v in cell["gradient_norms"].items()}
            for i in range(cell["epochs"]):
                where = {key: cell[key] for key in ("data_set", "optimizer", "activation")}
                figures = {k: f"{v[i]:.{SIGNIFICANT}g}" for k, v in by_epoch.items()}
                rows.append(where | {"epoch": i + 1} | figures)
    return rows


# -- the report -------------------------------------------------------------------------------


def report(
    options: Mapping[str, Any],
    conditions: Conditions,
    kept: Kept,
    ours: Mapping[str, Grid],
    study: Grid,
    claims: Mapping[str, Sequence[Mapping[str, Any]]],
    figures: Sequence[str],
) -> str:
    """The report as Markdown, question and verdict first."""
    theirs = published_title(options["epochs"])
    parts = [
        "# Five activation functions, two optimizers, MNIST and CIFAR-10: "
        f"{SET_UPS[options['set-up']].title}\n",
        _opening(options, kept, claims["last"]),
        "## The claims\n",
        _claims_section(claims, options["epochs"]),
        "## Set-up\n",
        _set_up_section(options, conditions, kept),
        "## Which weights are tested\n",
        _weights_section(ours, study),
        "## Test accuracy, loss and macro F1 (tables 1 to 4)\n",
        *(_test_table(setting, ours, study, theirs) for setting in kept),
        "## Epochs and time (tables 5 to 8)\n",
        *(_time_table(setting, kept[setting], study, theirs) for setting in kept),
        "Seconds of training alone, without validation. Whatever else the machine had to do counts "
        "in ours, and the published ones are of a T4 GPU: only the epochs can be compared.\n",
        "## Gradients (figures 1 to 4)\n",
        "L2 norm of ∂L/∂W of each layer for the last batch of each epoch, L the mean "
        "cross-entropy. The study shows them as pictures without figures. Below, the mean over "
        "the epochs, and the first layer's norm divided by the last layer's (median).\n",
        *(_gradient_table(setting, ours["last"][setting]) for setting in kept),
        *(_picture(name) for name in figures if "gradients" in name),
        "## Losses\n",
        "Ours solid, published dashed.\n",
        *(_picture(name) for name in figures if "losses" in name),
    ]
    return "\n".join(parts)


def _picture(name: str) -> str:
    return f"![{name.replace('_', ' ')}](figures/{name}.png)\n"


def _opening(options: Mapping[str, Any], kept: Kept, claims: Sequence[Mapping[str, Any]]) -> str:
    missing = [title(setting) for setting in TABLES if setting not in kept]
    said = ""
    if missing:
        said += f"**Not run: {', '.join(missing)}. The verdicts are about the other settings.** "
    if options["epochs"] != EPOCHS:
        said += (
            f"**At most {counted(options['epochs'], 'epoch')} instead of the study's {EPOCHS}.** "
            "The study tested its networks at the end only, so its figures are those of its own "
            "last epoch. "
        )
    return (
        (f"{said}\n\n" if said else "")
        + "Is one activation function better than ReLU in a small convolutional network? A "
        "published study trained the network of PyTorch's CIFAR-10 tutorial with five functions, "
        "two optimizers and two data sets, once each, and drew its conclusions from the order of "
        f"the results.\n\n**{held(claims)}.**\n"
    )


def _claims_section(claims: Mapping[str, Sequence[Mapping[str, Any]]], epochs: int) -> str:
    head = ["claim", "criterion", published_title(epochs), "ours, last weights", "verdict"]
    head += ["ours, best weights", "verdict"]
    rows = []
    for last, best in zip(claims["last"], claims["best"], strict=True):
        row = [last["claim"], last["criterion"], last["published"], last["measured"]]
        row.append(f"**{last['verdict']}**")
        row.append("the same" if best["measured"] == last["measured"] else best["measured"])
        rows.append([*row, f"**{best['verdict']}**"])
    reasons = [
        f"- **{claim['claim']}.** {reason}"
        for claim, reason in zip(claims["last"], REASONS, strict=True)
        if reason
    ]
    return "\n".join([markdown_table(head, rows), "", RULE, "", ONE_SEED, "", *reasons, ""])


ONE_SEED = (
    "One seed, as in the study. The standard error of an accuracy on 10,000 images is 0.5 points "
    "at 62% and 0.12 points at 98.5%, so functions that lie closer than 1.4 or 0.35 points (two "
    "standard errors of a difference) could change places on other test images, and more easily "
    "with another seed."
)


def _set_up_section(options: Mapping[str, Any], conditions: Conditions, kept: Kept) -> str:
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
    rows: list[list[Any]] = [
        ["network", "conv 5×5 to 6, f, max 2, conv 5×5 to 16, f, max 2, dense 120, f, dense 84, f, "
         "dense 10"],
        ["functions f", "sigmoid, ReLU, leaky ReLU (0.01), ELU (α = 1), SELU"],
        ["weights", SET_UPS[options["set-up"]].start],
        ["optimizers", "SGD, learning rate 0.001, momentum 0.9; Adam, learning rate 0.001, "
         "ε = 1e-8 as in PyTorch"],
        ["batch size", BATCH_SIZE],
        ["epochs", f"at most {options['epochs']}, early stopping on the validation loss, "
         f"patience {PATIENCE}"],
        ["images", images],
        ["pixels", pixels],
        ["seed", options["seed"]],
        ["trainings", f"{len(cells)}, {seconds:,.0f} s of training, added up"],
        *conditions.rows(),
    ]  # fmt: skip
    return markdown_table(["", ""], rows) + (
        "\n\nAll five networks of a setting start from the same weights and see the same batches. "
        "f is computed after the pooling instead of before it: all five functions rise, so "
        "max f(z) = f(max z), with the same gradient and a quarter of the work. What differs from "
        "the study: its framework (PyTorch), its random numbers (split, weights, batches; no seed "
        "is known), its device (a T4 GPU).\n"
    )


def _weights_section(ours: Mapping[str, Grid], study: Grid) -> str:
    rows = []
    for who, grid in (("published", study), *((f"ours, {w}", grid) for w, grid in ours.items())):
        for setting, networks in grid.items():
            each = networks.values()
            above_last = np.mean([s.loss - s.validation_loss[-1] for s in each])
            above_best = np.mean([s.loss - s.validation_loss.min() for s in each])
            rows.append([who, title(setting), f"{above_last:+.3f}", f"{above_best:+.3f}"])
    head = ["test loss", "setting", "minus validation loss of the last epoch", "minus the lowest"]
    return (
        "The study does not say whether its figures are those of the weights after the last epoch "
        "or of those with the lowest validation loss, five epochs before. Its own logs tell: "
        "validation and test images are drawn alike, so the losses on them should nearly be the "
        "same. Means over the five functions:\n\n"
        + markdown_table(head, rows)
        + "\n\nWith Adam on CIFAR-10 the published test losses fit the last weights, not the best. "
        "So ours are those of the last weights, too, and those of the best ones stand beside "
        "them.\n"
    )


def _test_table(setting: Setting, ours: Mapping[str, Grid], study: Grid, theirs: str) -> str:
    names = {"accuracy": "accuracy, %", "loss": "loss", "f1": "F1"}
    head = ["function"]
    for shown in names.values():
        head += [f"{shown}: {theirs}", "ours, last", "ours, best"]
    rows = []
    for name in ours["last"][setting]:
        row = [name]
        for what in names:
            for grid in (study, ours["last"], ours["best"]):
                value = SCALES[what] * getattr(grid[setting][name], what)
                row.append(f"{value:.{DIGITS[what]}f}")
        rows.append(row)
    return f"Table {TABLES[setting]}, {title(setting)}:\n\n{markdown_table(head, rows)}\n"


def _time_table(setting: Setting, cells: Mapping[str, CellData], study: Grid, shown: str) -> str:
    rows = []
    for name, cell in cells.items():
        theirs, seconds = study[setting][name], sum(cell["seconds"])
        rows.append(
            [
                *(name, theirs.epochs, cell["epochs"], cell["best_epoch"]),
                *(f"{theirs.seconds:.1f}", f"{seconds:.1f}"),
                *(f"{theirs.seconds / theirs.epochs:.2f}", f"{seconds / cell['epochs']:.2f}"),
            ]
        )
    head = ["function", f"epochs: {shown}", "ours", "lowest validation loss in epoch"]
    head += [f"total s: {shown}", "ours", f"s per epoch: {shown}", "ours"]
    return f"Table {TABLES[setting] + 4}, {title(setting)}:\n\n{markdown_table(head, rows)}\n"


def _gradient_table(setting: Setting, networks: Mapping[str, Series]) -> str:
    rows = []
    for name, series in networks.items():
        assert series.gradients is not None
        norms = [series.gradients[layer] for layer in LAYERS]
        ratio = float(np.median(norms[0] / norms[-1]))
        rows.append([name, *(f"{n.mean():.3f}" for n in norms), f"{ratio:.3f}"])
    head = ["function", *LAYERS.values(), "first / last"]
    return f"{title(setting)}:\n\n{markdown_table(head, rows)}\n"


def results_table(kept: Kept) -> str:
    """Ours beside published, for the terminal."""
    study = published()
    rows = [
        [
            f"{title(setting)}, {name}",
            f"{100 * cell['test']['last']['accuracy']:.2f}",
            f"{100 * study[setting][name].accuracy:.2f}",
            cell["epochs"],
            study[setting][name].epochs,
        ]
        for setting, cells in kept.items()
        for name, cell in cells.items()
    ]
    return text_table(["network", "test accuracy", "published", "epochs", "published"], rows)
