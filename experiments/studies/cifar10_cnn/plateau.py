"""Charts and tables of the first steps and of the plateau."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidl.pages import Chart, Prose, Series, Table, Told, in_order
from minidl.pages.colours import APART
from minidl.study.report import percent, read_rows
from studies.cifar10_cnn.training import CHANCE, JUDGED

LAYERS = {"conv2d_1": "convolution", "dense_1": "dense, hidden", "dense_2": "dense, output"}
FIGURES = {
    "flat": "flat slopes",
    "size": "mean |z|",
    "gradient": "mean |∂L/∂W|",
    "spread": "spread of the outputs",
}
ROW_HEAD = ["dW conv", "dW dense 1", "dW dense 2", "|z|", "flat", "one sign", "spread"]
THEIR_PLATEAU = ["published, seed 42, learning rate 0.001", "4", "10", "46.7%"]
LEGEND = (
    "dW: mean |∂L/∂W| of each layer, with the loss summed over 64 training images. The other "
    "columns are about the dense hidden layer: |z|, the mean size of its pre-activations; flat, "
    "the share of slopes f'(z) below 1% of the steepest; one sign, Σ_j |Σ_i ∂L/∂W_ij| / Σ_ij "
    "|∂L/∂W_ij|, which is 1 if the gradients of each unit's weights all have the same sign; "
    "spread, the standard deviation of its outputs over the images, averaged over the units."
)


def lasted(row: Mapping[str, Any]) -> str:
    lasted = row["epochs_at_chance"]
    return f"more than {row['epochs_trained']}" if lasted is None else str(lasted)


def first_steps(summary: Mapping[str, Any]) -> Chart:
    series = []
    for shown, title in FIGURES.items():
        for name, block in summary["networks"].items():
            steps = [str(snapshot["step"]) for snapshot in block["first_steps"]]
            for i, (layer, label) in enumerate(LAYERS.items()):
                y = [snapshot["layers"][layer][shown] for snapshot in block["first_steps"]]
                style: dict[str, Any] = {"panel": name, "where": {"shown": title}}
                style |= in_order(i, len(LAYERS))
                series.append(Series(label, steps, y, **style))
    about = (
        "On 64 training images. Flat slopes: share of f'(z) below 1% of the steepest. Spread: "
        "standard deviation of the outputs over the images, averaged over the units. L is the "
        "summed loss."
    )
    return Chart("The first steps of Adam", about, "step", "", series, ("linear", "log"))


def plateau_charts(folder: Path) -> list[Chart]:
    """Every sigmoid network at each snapshot, if the folder has them."""
    networks: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in read_rows(folder, "snapshots.csv"):
        if row["network"] == "sigmoid":
            layers = networks.setdefault((row["seed"], row["learning_rate"]), {})
            layers.setdefault(row["layer"], []).append(row)
    shown = {
        "test accuracy, %": ("accuracy", "dense_1"),
        "flat slopes of the hidden dense layer": ("flat", "dense_1"),
        "spread of its outputs": ("spread", "dense_1"),
        "mean |∂L/∂W| of the convolution": ("gradient", "conv2d_1"),
    }
    series = []
    for title, (what, layer) in shown.items():
        for ((seed, rate), layers), colour in zip(networks.items(), APART, strict=False):
            rows, unit = layers[layer], 100 if what == "accuracy" else 1
            y = [unit * float(row[what] or "nan") for row in rows]
            x = [float(row["epoch"]) for row in rows]
            name = f"seed {seed}, learning rate {float(rate):g}"
            series.append(Series(name, x, y, colour, where={"shown": title}))
    about = f"Eight snapshots per epoch; the accuracy is measured on {JUDGED:,} test images."
    title = "Sigmoid on the plateau, and when it leaves it"
    scales = ("linear", "log")
    return [Chart(title, about, "epoch", "", series, scales, name="plateau")] if series else []


def lengths(summary: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            *(lasted(row), str(row["epochs_trained"]), percent(row["last_test_accuracy"])),
        ]
        for row in summary["plateaus"]
    ]
    head = ["sigmoid network", "epochs at chance", "epochs trained", "last test accuracy"]
    title = f"Epochs at chance: those before the first one with a test accuracy above {CHANCE:.0%}"
    return Table(title, head, [THEIR_PLATEAU, *rows])


def tables(summary: Mapping[str, Any]) -> list[Told]:
    steps = [
        [name, f"step {snapshot['step']}", *_cells(snapshot)]
        for name, block in summary["networks"].items()
        for snapshot in block["first_steps"]
    ] + [
        [name, f"epoch {snapshot['epoch']:.0f}", *_cells(snapshot)]
        for name, block in summary["networks"].items()
        for snapshot in block["whole_epochs"]
    ]
    ends = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            *(f"{snapshot['epoch']:.3f}", percent(snapshot["accuracy"]), *_cells(snapshot)),
        ]
        for row in summary["plateaus"]
        if row["moment"] is not None
        for snapshot in (row["moment"]["before"], row["moment"]["after"])
    ]
    found: list[Told] = [
        Table("Both networks in the first steps and later", ["network", "after", *ROW_HEAD], steps),
        Prose([LEGEND]),
    ]
    if ends:
        title = (
            "The two snapshots between which the plateau ends: the last one with an accuracy of at "
            f"most {1.5 * CHANCE:.1%} on {JUDGED:,} test images, and the next"
        )
        found.append(Table(title, ["network", "epoch", "test accuracy", *ROW_HEAD], ends))
    note = "The criterion for the claim on saturation was written after a first trial with seed 0."
    return [*found, Prose([note])]


def _cells(snapshot: Mapping[str, Any]) -> list[str]:
    """A snapshot: the gradients of the layers, then the figures of the dense hidden layer."""
    layers = snapshot["layers"]
    hidden = layers["dense_1"]
    return [
        *(f"{layer['gradient']:.1e}" for layer in layers.values()),
        *(f"{hidden['size']:.2f}", f"{hidden['flat']:.2%}"),
        *(f"{hidden['one_sign']:.2f}", f"{hidden['spread']:.1e}"),
    ]
