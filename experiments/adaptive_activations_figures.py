"""Figures of the study of adaptive activation functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from adaptive_activations_series import Figures, Series, shape
from adaptive_activations_training import Shapes

from minidl.study.figures import (
    COLOURS,
    LAYER_COLOURS,
    draw_published,
    draw_runs,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR = {"apl": "#0072b2", "relu": COLOURS["relu"], "leaky_relu": COLOURS["leaky_relu"]}
Runs = Mapping[str, Sequence[Figures]]  # by set-up, one for each seed


def all_figures(runs: Runs, study: Figures) -> Iterator[tuple[str, Figure]]:
    """Every figure with its file name."""
    yield "hinges", hinges(runs)
    yield "functions_accuracy", functions(runs, study, "test_accuracy", "test accuracy")
    yield "functions_loss", functions(runs, study, "train_loss", "training loss (running)")
    for key, title in (("as_run", "as run"), ("as_described", "as described")):
        yield f"shapes_{key}", shapes(runs[key][0].shapes, title)
    yield "depth", depth(runs["as_described"])


def hinges(runs: Runs) -> Figure:
    """Test accuracy over all epochs of the network trained on and on, and of the new ones."""
    figure, (ax,) = new_figure("Number of hinges S, first seed")
    start = 0
    run, described = (runs[key][0].hinges for key in ("as_run", "as_described"))
    for s in run:
        epochs = np.arange(1, len(run[s].test_accuracy) + 1) + start
        for series, colour, label in (
            (run[s], "#0072b2", "as run: one network, trained on"),
            (described[s], "#d55e00", "as described: a new network for each S"),
        ):
            name = label if start == 0 else None
            ax.plot(epochs, series.test_accuracy, "o-", ms=3, color=colour, label=name)
        ax.axvline(start + 0.5, color="#999999", linewidth=0.8)
        ax.text(start + 1, 0.01, f"S = {s}", fontsize=8, transform=ax.get_xaxis_transform())
        start += len(epochs)
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy")
    ax.legend(fontsize=8)
    return figure


def functions(runs: Runs, study: Figures, what: str, label: str) -> Figure:
    """APL, ReLU and leaky ReLU by epoch, as run beside the published log, and as described."""
    panels = ("as run; dashed: published, full size", "as described")
    figure, axes = new_figure(f"APL, ReLU, leaky ReLU: {label}", panels)
    for ax, key in zip(axes, ("as_run", "as_described"), strict=True):
        for name, colour in COLOUR.items():
            shown = [getattr(run.functions[name], what) for run in runs[key]]
            draw_runs(ax, shown, name, colour)
            if key == "as_run":
                draw_published(ax, getattr(study.functions[name], what), name, colour)
        ax.legend(fontsize=7)
    axes[0].set_ylabel(label)
    return figure


def shapes(found: Shapes, title: str) -> Figure:
    """h(x) of the first channel after each convolution, as it is learned."""
    layers = [f"convolution {i}, first channel" for i in (1, 2, 3)]
    figure, axes = new_figure(f"Learned functions h(x), {title}", layers)
    x = np.linspace(-3, 3, 601)
    for i, ax in enumerate(axes):
        for colour, (epoch, parameters) in zip(LAYER_COLOURS, found.items(), strict=False):
            a, b = parameters[i]
            label = "at the start" if epoch == 0 else f"epoch {epoch}"
            ax.plot(x, shape(a, b, x)[:, 0], color=colour, label=label, linewidth=1.3)
        ax.plot(x, np.maximum(x, 0), ":", color="#555555", label="ReLU", linewidth=1)
        ax.set_xlabel("x")
        ax.legend(fontsize=7)
    return figure


def depth(runs: Sequence[Figures]) -> Figure:
    """Test accuracy by epoch with 3, 5 and 7 convolutions."""
    depths = list(runs[0].depths)
    figure, axes = new_figure("Depth", [f"{d} layers" for d in depths])
    for ax, d in zip(axes, depths, strict=True):
        for name, colour in COLOUR.items():
            series: list[Series] = [run.depths[d][name] for run in runs]
            draw_runs(ax, [s.test_accuracy for s in series], name, colour)
        ax.legend(fontsize=8, loc="lower right")
    axes[0].set_ylabel("test accuracy")
    return figure
