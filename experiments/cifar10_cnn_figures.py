"""Figures of the CIFAR-10 study: curves, pictures, filters, and every layer between the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from cifar10_cnn_claims import Series
from cifar10_cnn_training import GENTLE, LayerLook, Look, Outcome, Run

from minidl import Examples
from minidl.study.figures import (
    LAYER_COLOURS,
    image_rows,
    learning_curves,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES = 3  # training images of each class
SCALE = 8  # pixels of the picture for one weight of a filter
GRADIENT = "mean |∂L/∂W|, L summed over 64 images"


def all_figures(
    run: Run,
    study: Mapping[str, Series],
    train: Examples,
    shown: Examples,
    classes: Sequence[str],
) -> Iterator[tuple[str, Figure]]:
    """Every figure with its file name."""
    runs = {name: [outcome.history] for name, outcome in run.networks.items()}
    for what in ("accuracy", "loss"):
        yield what, learning_curves(f"{what.capitalize()} on CIFAR-10", what, runs, study)
    yield "classes", samples(train, classes)
    yield "predictions", predictions(run.networks, shown, classes)
    yield "filters", filters(run.networks)
    yield "gradients", by_layer(run.networks, "gradient", GRADIENT, "Gradients of each layer")
    flat = "share of slopes below 1% of the steepest"
    yield "flat", by_layer(run.networks, "flat", flat, "Flat slopes of each layer")
    yield "first_steps", first_steps(run)
    yield "plateau", plateaus(run)


# -- pictures ---------------------------------------------------------------------------------


def samples(train: Examples, classes: Sequence[str]) -> Figure:
    """The first training images of each class, a column for each."""
    rows: dict[str, list[tuple[np.ndarray, str]]] = {}
    for i in range(SAMPLES):
        chosen = [np.flatnonzero(train.targets == label)[i] for label in range(len(classes))]
        rows[f"no. {i + 1}"] = [
            (picture(train.inputs[n]), classes[label] if i == 0 else "")
            for label, n in enumerate(chosen)
        ]
    return image_rows("CIFAR-10: training images of each class", rows)


def predictions(networks: Mapping[str, Outcome], shown: Examples, classes: Sequence[str]) -> Figure:
    """Test images with their class, and what each network takes them for with what probability."""
    rows = {}
    for name, outcome in networks.items():
        answers = outcome.probabilities.argmax(axis=1)
        rows[name] = [
            (
                picture(image),
                f"{classes[label]}\n{'✓' if answer == label else '→'} {classes[answer]} {p:.0%}",
            )
            for image, label, answer, p in zip(
                shown.inputs,
                shown.targets,
                answers,
                outcome.probabilities.max(axis=1),
                strict=True,
            )
        ]
    return image_rows("The first test image of each class, and both answers", rows)


def filters(networks: Mapping[str, Outcome]) -> Figure:
    """The filters of the convolution as colour images, before and after, on one scale."""
    start = next(iter(networks.values())).filters[0]
    panels = {"before training, both": start}
    panels |= {f"{name}, after": outcome.filters[1] for name, outcome in networks.items()}
    largest = max(float(np.abs(W).max()) for W in panels.values())
    figure, axes = new_figure("Filters of the convolution, grey is 0", list(panels))
    for ax, W in zip(axes, panels.values(), strict=True):
        ax.imshow(mosaic(W, largest))
        ax.set_axis_off()
    return figure


def picture(image: np.ndarray) -> np.ndarray:
    """(3, H, W) as (H, W, 3)."""
    return image.transpose(1, 2, 0)


def mosaic(W: np.ndarray, largest: float, columns: int = 8) -> np.ndarray:
    """Filters W (C_out, 3, kh, kw) side by side as bytes; ±``largest`` is 0 and 255."""
    tiles = np.clip(127.5 + 127.5 * W / largest, 0, 255).astype(np.uint8)
    tiles = tiles.repeat(SCALE, axis=2).repeat(SCALE, axis=3)
    gap = SCALE // 2
    tiles = np.pad(tiles, ((0, -len(W) % columns), (0, 0), (0, gap), (0, gap)), constant_values=255)
    n, channels, height, width = tiles.shape
    grid = tiles.reshape(n // columns, columns, channels, height, width)
    return grid.transpose(0, 3, 1, 4, 2).reshape(n // columns * height, columns * width, channels)


# -- between the steps ------------------------------------------------------------------------


def by_layer(networks: Mapping[str, Outcome], what: str, label: str, title: str) -> Figure:
    """One figure of each layer over the epochs, a panel for each network."""
    figure, axes = new_figure(title, list(networks))
    for ax, outcome in zip(axes, networks.values(), strict=True):
        draw_layers(ax, outcome.looks, what, by="epoch")
    if what == "gradient":
        axes[0].set_yscale("log")
    axes[0].set_ylabel(label)
    axes[0].legend(fontsize=8)
    return figure


def first_steps(run: Run) -> Figure:
    """What happens to sigmoid and ReLU in the steps of the first epoch."""
    panels = {
        "size": "mean |z|",
        "flat": "share of flat slopes",
        "gradient": "mean |∂L/∂W|",
        "spread": "spread of y over the images",
    }
    figure, axes = new_grid("The first epoch, step by step (dashed: ReLU)", 2, 2)
    for ax, (what, label) in zip(axes, panels.items(), strict=True):
        for name, outcome in run.networks.items():
            looks = [look for look in outcome.looks if look.epoch <= 1]
            draw_layers(ax, looks, what, by="step", dashed=name == "relu")
        ax.set_xscale("symlog", linthresh=1)
        ax.set_title(label, fontsize=9.5)
        if what != "flat":
            ax.set_yscale("log")
    axes[0].legend(fontsize=7)
    return figure


def plateaus(run: Run) -> Figure:
    """Accuracy of every sigmoid network, and of each what its gradients and units do."""
    sigmoids = {f"seed {run.seed}": run.networks["sigmoid"]}
    sigmoids |= {f"seed {seed}": outcome for seed, outcome in run.others.items()}
    sigmoids[f"seed {run.seed}, learning rate {GENTLE:g}"] = run.gentle
    panels = {
        "accuracy": "test accuracy (2,000 images)",
        "gradient": "mean |∂L/∂W| of the convolution",
        "flat": "share of flat slopes, dense_1",
        "spread": "spread of dense_1's y over the images",
    }
    figure, axes = new_grid("Sigmoid: the plateau and its end", 2, 2)
    for ax, (what, label) in zip(axes, panels.items(), strict=True):
        for (name, outcome), colour in zip(sigmoids.items(), LAYER_COLOURS, strict=False):
            x = [look.epoch for look in outcome.looks]
            layer = "conv2d_1" if what == "gradient" else "dense_1"
            y = [
                look.accuracy if what == "accuracy" else getattr(look.layers[layer], what)
                for look in outcome.looks
            ]
            ax.plot(x, y, label=name, color=colour, linewidth=1.3)
        ax.set_title(label, fontsize=9.5)
        ax.set_xlabel("epoch")
        if what in ("gradient", "spread"):
            ax.set_yscale("log")
    axes[0].legend(fontsize=7)
    return figure


def new_grid(title: str, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Panels with a scale each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, 3.2 * rows), dpi=130)
    figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=11, fontweight="bold")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_layers(ax: Axes, looks: Sequence[Look], what: str, by: str, dashed: bool = False) -> None:
    """One figure of every layer over ``epoch`` or ``step``; slopes of hidden layers only."""
    x = [getattr(look, by) for look in looks]
    names = list(looks[0].layers)
    for name, colour in zip(names[:-1] if what == "flat" else names, LAYER_COLOURS, strict=False):
        layers: list[LayerLook] = [look.layers[name] for look in looks]
        style = {"linestyle": "--", "linewidth": 1} if dashed else {"linewidth": 1.4}
        label = None if dashed else name
        ax.plot(x, [getattr(layer, what) for layer in layers], label=label, color=colour, **style)
    ax.set_xlabel(by)
