"""The report page of the CIFAR-10 study, made from the summary of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cifar10_cnn_claims import REASONS, published
from cifar10_cnn_training import EPOCHS, GENTLE, LEARNING_RATE

from minidl.pages import Chart, Page, Section, Series, Table
from minidl.study.claims import published_title
from minidl.study.page import (
    claims_section,
    held,
    pictures,
    read_summary,
    report_page,
    set_up_section,
)
from minidl.study.page_charts import (
    Group,
    function_colour,
    layer_charts,
    layer_colour,
    learning_charts,
    published_series,
    runs_series,
)
from minidl.study.tables import counted

LAYERS = {"conv2d_1": "convolution", "dense_1": "dense, hidden", "dense_2": "dense, output"}
FIGURES = {
    "flat": "flat slopes",
    "size": "mean |z|",
    "gradient": "mean |∂L/∂W|",
    "spread": "spread of the outputs",
}
PICTURES = {
    "plateau": "Sigmoid networks of several seeds on the plateau and when they leave it.",
    "filters": "Filters of the convolution before and after; both networks start from the same.",
    "predictions": "One test image of each class, and what the two networks take it for.",
}


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    runs = {name: [block] for name, block in summary["networks"].items()}
    study = {name: vars(series) for name, series in published().items()}
    group = {"": Group(runs, study)}
    epochs = summary["epochs"]
    claims = {"this run": summary["claims"]}
    return report_page(
        "Sigmoid against ReLU in a small convolutional network on CIFAR-10",
        "Does ReLU learn CIFAR-10 better than sigmoid in a small convolutional network, and why "
        "does the published sigmoid network answer at random for four epochs before it learns?",
        _answer(summary),
        [_accuracy(summary)],
        [
            claims_section(claims, REASONS, published=published_title(epochs, EPOCHS)),
            Section("Accuracy and loss", learning_charts(group)),
            Section("The plateau", [_first_steps(summary), _plateaus(summary)]),
            Section("Layer by layer", layer_charts(group, list(LAYERS.values()))),
            Section("Pictures", pictures(folder, PICTURES)),
            set_up_section(_set_up(summary), summary),
        ],
        "" if epochs == EPOCHS else f"{counted(epochs, 'epoch')} instead of the study's {EPOCHS}.",
    )


def _answer(summary: Mapping[str, Any]) -> str:
    relu, sigmoid = (summary["networks"][n]["test_accuracy"][-1] for n in ("relu", "sigmoid"))
    lasted = ", ".join(_lasted(row) for row in summary["plateaus"][:-1])
    return (
        f"{held(summary['claims'])}: ReLU reaches {relu:.4f} on the test images and sigmoid "
        f"{sigmoid:.4f}; sigmoid stays at chance for {lasted} epochs, and for "
        f"{_lasted(summary['plateaus'][-1])} with a learning rate of {GENTLE:g} in the place of "
        f"{LEARNING_RATE:g}."
    )


def _lasted(row: Mapping[str, Any]) -> str:
    lasted = row["epochs_at_chance"]
    return f"more than {row['epochs_trained']}" if lasted is None else str(lasted)


def _accuracy(summary: Mapping[str, Any]) -> Chart:
    series = []
    for name, block in summary["networks"].items():
        colour = function_colour(name)
        series.append(runs_series(name, [block["test_accuracy"]], colour=colour))
        theirs = published()[name].test_accuracy.tolist()
        series.append(published_series(name, theirs, colour=colour))
    about = "Share of the test images that are recognised after each epoch; 0.1 is chance. "
    return Chart("Test accuracy", about + "Dashed: published.", "epoch", "accuracy", series)


def _first_steps(summary: Mapping[str, Any]) -> Chart:
    about = (
        "On 64 training images. Flat slopes: share of f'(z) below 1% of the steepest. Spread: "
        "standard deviation of a unit's outputs over the images, in the mean. L is the summed loss."
    )
    series = list(_looks(summary))
    return Chart("The first steps of Adam", about, "step", "", series, ("linear", "log"))


def _looks(summary: Mapping[str, Any]) -> Iterator[Series]:
    for figure, title in FIGURES.items():
        for name, block in summary["networks"].items():
            steps = [str(look["step"]) for look in block["first_steps"]]
            for i, (layer, label) in enumerate(LAYERS.items()):
                y = [look["layers"][layer][figure] for look in block["first_steps"]]
                where = {"shown": title}
                colour = layer_colour(i, len(LAYERS))
                yield Series(label, steps, y, colour, panel=name, where=where)


def _plateaus(summary: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            _lasted(row),
            str(row["epochs_trained"]),
            f"{row['last_test_accuracy']:.4f}",
        ]
        for row in summary["plateaus"]
    ]
    rows.insert(0, ["published, seed 42, learning rate 0.001", "4", "10", "0.4672"])
    head = ["sigmoid network", "epochs at chance", "epochs trained", "last test accuracy"]
    return Table("How long sigmoid networks stay at chance", head, rows)


def _set_up(summary: Mapping[str, Any]) -> list[list[str]]:
    sizes = f"{summary['train_images']:,} training and {summary['test_images']:,} test images"
    return [
        ["data", f"{summary['dataset_title']}, official split: {sizes}"],
        ["network", summary["network"]],
        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
        ["optimizer", f"{summary['optimizer']}, in Keras's form"],
        ["epochs, batch size", f"{summary['epochs']}, {summary['batch_size']}"],
        ["seed", str(summary["seed"])],
    ]
