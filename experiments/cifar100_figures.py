"""Figures 2 to 9 of the CIFAR-100 study, the published series drawn beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from cifar100_claims import Series

from minidl import get_activation
from minidl.study.figures import (
    LAYER_COLOURS,
    colour_of,
    draw_published,
    draw_runs,
    draw_trend_line,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRADIENT = "mean |∂L/∂W|, L summed over 64 images"

Runs = Mapping[str, Sequence[Series]]  # by activation, one for each seed


def all_figures(runs: Runs, study: Mapping[str, Series], note: str) -> Iterator[tuple[str, Figure]]:
    """Every figure with its file name; ``note`` ends each title."""
    yield "figure2_sigmoid", curves(["sigmoid"], f"Sigmoid and its derivative{note}")
    yield "figure3_relu", curves(["relu"], f"ReLU and its derivative{note}")
    yield "figure4_activations", curves(["relu", "sigmoid", "tanh"], f"ReLU, sigmoid, tanh{note}")
    yield "figure5_gradients", layer_gradients(runs, study, f"Gradients of all layers{note}")
    numbers = {"relu": "figure6_", "sigmoid": "figure7_"}
    for name in runs:
        title = f"Gradients of the {name} layers{note}"
        figure = layer_gradients({name: runs[name]}, study, title, trend_lines=True)
        yield f"{numbers.get(name, '')}{name}_gradients", figure
    yield "figure8_average_gradients", average_gradients(runs, study, f"Average gradients{note}")
    yield "figure9_accuracies", accuracies(runs, study, f"Accuracies{note}")


def curves(names: Sequence[str], title: str) -> Figure:
    """f(z), and f'(z) dashed, for z from −6 to 6."""
    figure, (ax,) = new_figure(title)
    z = np.linspace(-6, 6, 601)
    for name in names:
        f = get_activation(name)
        ax.plot(z, f(z), color=colour_of(name), label=f"{name}: f(z) = {f.formula}")
        label = f"f'(z) = {f.derivative_formula}"
        ax.plot(z, f.derivative(z), "--", color=colour_of(name), label=label, linewidth=1.2)
    ax.set_xlabel("z")
    ax.set_ylim(-1.1 if "tanh" in names else -0.1, 3.1 if "relu" in names else 1.1)
    ax.legend(fontsize=8)
    return figure


def layer_gradients(
    runs: Runs, study: Mapping[str, Series], title: str, trend_lines: bool = False
) -> Figure:
    """Each hidden layer's gradient by epoch; ours to the left, the published ones to the right."""
    known = {name: [study[name]] for name in runs if name in study}
    panels = {"this run": runs} | ({"published": known} if known else {})
    figure, axes = new_figure(title, list(panels))
    for ax, shown in zip(axes, panels.values(), strict=True):
        for name, series in shown.items():
            _draw_layers(ax, name, series, trend_lines, named=len(shown) > 1)
    axes[0].set_ylabel(GRADIENT)
    axes[0].set_ylim(bottom=0)
    return figure


def _draw_layers(
    ax: Axes, name: str, series: Sequence[Series], trend_lines: bool, named: bool
) -> None:
    dashed = {"linestyle": "--"} if named and name == "sigmoid" else {}
    for i in range(series[0].gradients.shape[1]):
        colour = LAYER_COLOURS[i % len(LAYER_COLOURS)]
        label = f"{name} layer {i + 1}" if named else f"layer {i + 1}"
        gradients = [s.gradients[:, i] for s in series]
        draw_runs(ax, gradients, label, colour, **dashed)
        if trend_lines:
            draw_trend_line(ax, np.mean(gradients, axis=0), color=colour)
    ax.legend(fontsize=7, ncols=2 if named else 1)


def average_gradients(runs: Runs, study: Mapping[str, Series], title: str) -> Figure:
    """The mean over the hidden layers by epoch."""
    figure, (ax,) = new_figure(title)
    for name, series in runs.items():
        draw_runs(ax, [s.average for s in series], name, colour_of(name))
    for name in runs:
        if name in study:
            draw_published(ax, study[name].average, name, colour_of(name))
    ax.set_ylabel(f"average over the hidden layers of\n{GRADIENT}")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)
    return figure


def accuracies(runs: Runs, study: Mapping[str, Series], title: str) -> Figure:
    """Running training accuracy as in the study, and beside it the accuracy on the test images."""
    figure, axes = new_figure(title, ("on the training images", "on the test images"))
    for name, series in runs.items():
        panels = ([s.accuracy for s in series], [s.test_accuracy for s in series])
        for ax, shown in zip(axes, panels, strict=True):
            draw_runs(ax, shown, name, colour_of(name))
        if name in study:
            draw_published(axes[0], study[name].accuracy, name, colour_of(name))
    axes[0].set_ylabel("accuracy")
    axes[0].set_ylim(bottom=0)
    for ax in axes:
        ax.legend(fontsize=8)
    return figure
