"""Figures of the Fashion-MNIST study: curves beside the published ones, and mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fashion_mnist_claims import Series
from fashion_mnist_training import SET_UPS, Mistake

from minidl.study.figures import image_rows, learning_curves
from minidl.study.recording import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Runs = Mapping[str, Mapping[str, Sequence[History]]]  # by set-up and activation, one for each seed
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
            yield f"{key}_{what}", learning_curves(title, what, networks, theirs)
    for key, by_network in mistakes.items():
        rows = {
            name: [(m.image, f"{classes[m.label]}\n→ {classes[m.taken_for]}") for m in found]
            for name, found in by_network.items()
            if found
        }
        if rows:
            title = f"The first mistake in each class, {SET_UPS[key].title}"
            yield f"{key}_mistakes", image_rows(title, rows)
