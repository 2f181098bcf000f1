"""Figures of the activation study: gradient norms by layer; losses beside the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from activation_study_claims import TABLES, Grid, Networks, title

from minidl.study.figures import COLOURS, draw_by_epoch, draw_published, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS = {
    "conv2d_1": "convolution 1",
    "conv2d_2": "convolution 2",
    "dense_1": "dense 1",
    "dense_2": "dense 2",
    "dense_3": "dense 3 (output)",
}


def all_figures(grid: Grid, study: Grid) -> Iterator[tuple[str, Figure]]:
    """Every figure with its file name; those of the gradients have the study's numbers."""
    for setting, networks in grid.items():
        kind = "_".join(setting)
        yield f"figure{TABLES[setting]}_gradients_{kind}", gradients(networks, title(setting))
        yield f"losses_{kind}", losses(networks, study[setting], title(setting))


def gradients(networks: Networks, where: str) -> Figure:
    """‖∂L/∂W‖ of each layer for the last batch of each epoch."""
    figure, axes = new_figure(f"L2 norm of the gradient, {where}", list(LAYERS.values()))
    figure.set_size_inches(14, 3.6)
    for ax, layer in zip(axes, LAYERS, strict=True):
        for name, series in networks.items():
            assert series.gradients is not None
            norms = series.gradients[layer]
            draw_by_epoch(ax, norms, name, color=COLOURS[name], markersize=2, linewidth=1.1)
        ax.set_yscale("log")
    axes[0].set_ylabel("‖∂L/∂W‖, last batch of the epoch")
    axes[0].legend(fontsize=7)
    return figure


def losses(networks: Networks, study: Mapping[str, object], where: str) -> Figure:
    """Training (running) and validation loss by epoch, published ones dashed."""
    figure, axes = new_figure(f"Loss, {where}", ("training (running)", "validation"))
    for ax, part in zip(axes, ("train_loss", "validation_loss"), strict=True):
        for name, series in networks.items():
            draw_by_epoch(ax, getattr(series, part), name, color=COLOURS[name], markersize=2)
            draw_published(ax, getattr(study[name], part), name, COLOURS[name])
        ax.set_yscale("log")
    axes[0].set_ylabel("loss")
    axes[1].legend(fontsize=6.5, ncols=2)
    return figure
