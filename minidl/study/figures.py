"""Figures in one style, without pyplot: no window, no global state, safe in any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.study.statistics import trend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {
    "sigmoid": "#7b3294",
    "relu": "#d55e00",
    "tanh": "#009e73",
    "leaky_relu": "#e69f00",
    "elu": "#0072b2",
    "selu": "#56b4e9",
    "gelu": "#cc79a7",
    "swish": "#8a7f00",
    "linear": "#555555",
    "softmax": "#000000",
}
LAYER_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#555555")


def colour_of(name: str) -> str:
    """The colour of an activation function; black for one without a colour of its own."""
    return COLOURS.get(name, "#000000")


def new_figure(title: str, panels: Sequence[str] = ("",)) -> tuple[Figure, list[Axes]]:
    """A figure with its panels side by side on a common scale, each with its own small title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 if len(panels) == 1 else 5.2 * len(panels), 4.2), dpi=150)
    figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=11, fontweight="bold")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, panels, strict=True):
        ax.set_title(name, fontsize=9.5)
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def draw_by_epoch(ax: Axes, series: ArrayLike, label: str, **style: Any) -> None:
    """One series over the epochs 1, 2, …"""
    from matplotlib.ticker import MaxNLocator

    options: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1.5} | style
    series = np.asarray(series)
    ax.plot(np.arange(1, len(series) + 1), series, label=label, **options)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))  # of one epoch, one


def draw_trend_line(ax: Axes, series: ArrayLike, **style: Any) -> None:
    """The least-squares line through a series over its epochs (nothing for fewer than three)."""
    series = np.asarray(series)
    found = trend(series)
    if found is None:
        return
    epochs = np.arange(1, len(series) + 1)
    middle = float(np.mean(series)) - found.slope * float(epochs.mean())
    options: dict[str, Any] = {"linewidth": 1, "linestyle": ":"} | style
    ax.plot(epochs, middle + found.slope * epochs, **options)


def draw_range(ax: Axes, runs: Sequence[ArrayLike], colour: str) -> None:
    """The band from the smallest to the largest of several runs, epoch by epoch."""
    if len(runs) > 1:
        low, high = np.min(np.asarray(runs), axis=0), np.max(np.asarray(runs), axis=0)
        ax.fill_between(np.arange(1, len(low) + 1), low, high, color=colour, alpha=0.15, lw=0)


def draw_runs(ax: Axes, runs: Sequence[ArrayLike], label: str, colour: str, **style: Any) -> None:
    """The mean of several runs by epoch, and the band that they lie in."""
    draw_by_epoch(ax, np.mean(np.asarray(runs), axis=0), label, color=colour, **style)
    draw_range(ax, runs, colour)


def draw_published(ax: Axes, series: ArrayLike, name: str, colour: str) -> None:
    """A published series, dashed, to stand beside ours."""
    style = {"marker": "", "linestyle": "--", "linewidth": 1.2, "alpha": 0.8}
    draw_by_epoch(ax, series, f"{name}, published", color=colour, **style)


def learning_curves(
    title: str, what: str, networks: Mapping[str, Sequence[Any]], study: Mapping[str, Any]
) -> Figure:
    """``accuracy`` or ``loss`` by epoch: on the training images (running), on the test images.

    ``networks`` has several runs, ``study`` one published run by activation function, each with
    ``train_accuracy``, ``test_accuracy``, ``train_loss`` and ``test_loss``.
    """
    figure, axes = new_figure(title, ("on the training images (running)", "on the test images"))
    for ax, part in zip(axes, ("train", "test"), strict=True):
        for name, runs in networks.items():
            draw_runs(ax, [getattr(run, f"{part}_{what}") for run in runs], name, COLOURS[name])
            if name in study:
                draw_published(ax, getattr(study[name], f"{part}_{what}"), name, COLOURS[name])
        ax.legend(fontsize=8)
    axes[0].set_ylabel(what)
    axes[0].set_ylim(bottom=0)
    return figure


def image_rows(title: str, rows: Mapping[str, Sequence[tuple[np.ndarray, str]]]) -> Figure:
    """Images (H, W) or (H, W, 3), bytes, in named rows, each with its caption above it."""
    from matplotlib.figure import Figure

    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(1.15 * columns + 0.6, 1.45 * len(rows) + 0.5), dpi=150)
    figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=11, fontweight="bold")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].text(
            -0.15,
            0.5,
            name,
            transform=line[0].transAxes,
            rotation=90,
            va="center",
            ha="right",
            fontsize=9.5,
        )
        for ax in line:
            ax.set_axis_off()
        for ax, (image, caption) in zip(line, images, strict=False):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
            ax.set_title(caption, fontsize=7)
    return figure
