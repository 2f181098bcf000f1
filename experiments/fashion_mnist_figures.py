"""Figures of the Fashion-MNIST study: curves beside the published ones, and mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fashion_mnist_claims import Series
from fashion_mnist_training import SET_UPS, Mistake

from minidl.reporting.figures import COLOURS, draw_published, draw_runs, image_rows, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Runs = Mapping[str, Mapping[str, Sequence[Series]]]  # by set-up and activation, one for each seed
Study = Mapping[str, Mapping[str, Series]]
Mistakes = Mapping[str, Mapping[str, Sequence[Mistake]]]  # of the first seed


def all_figures(
    runs: Runs, study: Study, mistakes: Mistakes, classes: Sequence[str]
) -> Iterator[tuple[str, Figure]]:
    """Every figure with its file name."""
    for key, networks in runs.items():
        theirs = study.get(key, {})
        for what in ("accuracy", "loss"):
            title = f"{what.capitalize()}, {SET_UPS[key].title}"
            yield f"{key}_{what}", curves(networks, theirs, what, title)
    for key, by_network in mistakes.items():
        rows = {
            name: [(m.image, f"{classes[m.label]}\n→ {classes[m.taken_for]}") for m in found]
            for name, found in by_network.items()
            if found
        }
        if rows:
            title = f"The first mistake in each class, {SET_UPS[key].title}"
            yield f"{key}_mistakes", image_rows(title, rows)


def curves(
    networks: Mapping[str, Sequence[Series]], study: Mapping[str, Series], what: str, title: str
) -> Figure:
    """``accuracy`` or ``loss`` by epoch: on the training images (running), on the test images."""
    figure, axes = new_figure(title, ("on the training images (running)", "on the test images"))
    for ax, part in zip(axes, ("train", "test"), strict=True):
        for name, series in networks.items():
            shown = [getattr(s, f"{part}_{what}") for s in series]
            draw_runs(ax, shown, name, COLOURS[name])
            if name in study:
                theirs = getattr(study[name], f"{part}_{what}")
                draw_published(ax, theirs, name, COLOURS[name])
        ax.legend(fontsize=8)
    axes[0].set_ylabel(what)
    axes[0].set_ylim(bottom=0)
    return figure
