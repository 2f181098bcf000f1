"""The report page of the CIFAR-100 study, made from the summary of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cifar100_claims import EPOCHS, REASONS, published
from cifar100_units import explained, unit_rows, units_head

from minidl.pages import Chart, Page, Prose, Section, Series, Table
from minidl.study.claims import published_title
from minidl.study.page import (
    claims_section,
    held,
    read_summary,
    report_page,
    set_up_section,
)
from minidl.study.page_charts import (
    Group,
    function_colour,
    layer_charts,
    learning_charts,
    published_series,
    runs_series,
)
from minidl.study.tables import figure

AS_PUBLISHED: dict[str, Any] = {
    "dataset_title": "CIFAR-100",
    "epochs": EPOCHS,
    "batch_size": 64,
    "hidden": [512] * 4,
    "train_images": 50_000,
    "optimizer": "adam, learning rate 0.001",
}
QUESTION = (
    "Does ReLU limit the vanishing gradient, and does it learn CIFAR-100 better than sigmoid? "
    "A published study trained two networks that differ in nothing else and said yes to both."
)


def departures(summary: Mapping[str, Any]) -> list[str]:
    """Where a run differs from the published set-up."""
    return [
        f"{key.removesuffix('_title').replace('_', ' ')} {summary[key]} instead of {value}"
        for key, value in AS_PUBLISHED.items()
        if summary[key] != value
    ]


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    blocks = [run["networks"] for run in summary.get("runs", [summary])]
    runs = {name: [block[name] for block in blocks] for name in summary["networks"]}
    study = {
        name: {"train_accuracy": series.accuracy, "gradients": series.gradients}
        for name, series in published().items()
        if name in runs
    }
    group = {"": Group(runs, study)}
    differs = departures(summary)
    warning = f"Not the published set-up: {'; '.join(differs)}." if differs else ""
    if summary["dataset"] != "cifar-100":
        warning += " What this run shows says nothing about the published figures."
    sections = [
        Section("Accuracy and loss", learning_charts(group)),
        Section("Layer by layer", layer_charts(group)),
        set_up_section(_set_up(summary), summary),
    ]
    rows = unit_rows(summary)
    if rows:
        table = Table("After the last epoch", units_head(summary), rows)
        said = explained(summary).replace("**", "")
        sections.insert(0, Section("Dead units", [Prose([said]), table]))
    if summary["claims"]:
        theirs = published_title(summary["epochs"], EPOCHS)
        claims = {"this run": summary["claims"]}
        sections.insert(0, claims_section(claims, REASONS, published=theirs))
    return report_page(
        "Sigmoid against ReLU: a dense network and its gradients",
        QUESTION,
        _answer(summary),
        [_average_gradients(runs)],
        sections,
        warning,
    )


def _answer(summary: Mapping[str, Any]) -> str:
    networks = summary["networks"]
    tested = ", ".join(f"{name} {n['test_accuracy'][-1]:.4f}" for name, n in networks.items())
    if not summary["claims"]:
        return f"On the test images after {summary['epochs']} epochs: {tested}."
    relu, sigmoid = (
        float(np.mean([g[:-1] for g in networks[name]["gradients"]["weights"]]))
        for name in ("relu", "sigmoid")
    )
    compared = (
        f"{relu / sigmoid:.1f} times as large as sigmoid's"
        if sigmoid > 0 and np.isfinite(relu)
        else f"{figure(relu)} in the mean, sigmoid's {figure(sigmoid)}"
    )
    return (
        f"{held(summary['claims'])}: the gradients of ReLU's hidden layers are {compared}, and on "
        f"the test images the networks reach {tested}."
    )


def _average_gradients(runs: Mapping[str, list[Any]]) -> Chart:
    """The study's figure 8."""
    series: list[Series] = []
    for name, blocks in runs.items():
        colour = function_colour(name)
        ours = [
            [np.mean(layers[:-1]) for layers in block["gradients"]["weights"]] for block in blocks
        ]
        series.append(runs_series(name, ours, colour=colour))
        if name in published():
            theirs = published()[name].average.tolist()
            series.append(published_series(name, theirs, colour=colour))
    return Chart(
        "Average gradient of the hidden layers",
        "Mean |∂L/∂W| over the hidden layers after each epoch, L summed over 64 training images. "
        "Dashed: published.",
        "epoch",
        "mean |∂L/∂W|",
        series,
        ("linear", "log"),
    )


def _set_up(summary: Mapping[str, Any]) -> list[list[str]]:
    hidden = "-".join(map(str, summary["hidden"]))
    return [
        [
            "data",
            f"{summary['dataset_title']}: {summary['train_images']:,} training and "
            f"{summary['test_images']:,} test images",
        ],
        ["hidden layers", f"{hidden}, each of {' or '.join(summary['networks'])}"],
        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
        ["optimizer", summary["optimizer"]],
        ["epochs, batch size", f"{summary['epochs']}, {summary['batch_size']}"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]
