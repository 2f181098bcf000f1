"""Pictures of a training run, a range test and a confusion matrix, drawn from their numbers.

``history.plot()``, ``range_test(…).plot()`` and ``report.plot()`` come here.  A notebook displays
the returned picture; with ``path`` it is also written there, in the format of the suffix (png,
svg, pdf).  Matplotlib is imported when the first picture is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minidl.pages.colours import ink, tone
from minidl.pages.picture import Picture, new_grid

Path: TypeAlias = str | os.PathLike[str] | None

BLUE, ORANGE = ink(4), ink(1)
MOST_NAMED, MOST_COUNTED = 40, 10  # up to so many classes a picture shows names, and counts


def training_run(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    gradients: Mapping[str, Sequence[float]],
    best_epoch: int = 0,
    path: Path = None,
) -> Picture:
    """One panel for each quantity, such as the loss of training and validation, by epoch; the last
    one shows mean |∂L/∂W| of each layer.  A line marks ``best_epoch``, unless it is 0."""
    figure, ((*axes, last),) = new_grid("", 1, len(panels) + 1, (4.0, 3.0), sharey=False)
    for ax, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, values in lines.items():
            colour = ORANGE if name == "validation" else BLUE
            _by_epoch(ax, name, values, colour)
        if best_epoch:
            ax.axvline(best_epoch, color="#999999", linewidth=0.8, label="kept")
        ax.set_title(title, fontsize=9.5)
    for i, (name, values) in enumerate(gradients.items()):
        _by_epoch(last, name, values, ink(tone(i, len(gradients))))
    last.set_yscale("log")
    last.set_title("mean |∂L/∂W|", fontsize=9.5)
    for ax in (*axes, last):
        ax.set_xlabel("epoch", fontsize=9)
        ax.legend(fontsize=8)
        ax.tick_params(labelsize=8)
    return _finished(figure, path)


def _by_epoch(ax: Any, name: str, values: Sequence[float], colour: str) -> None:
    ax.plot(range(1, len(values) + 1), values, color=colour, marker=".", label=name)


def range_test(
    rates: Sequence[float],
    losses: Sequence[float],
    smooth: Sequence[float],
    suggestion: float | None,
    path: Path = None,
) -> Picture:
    """The loss of each batch and its running mean by learning rate."""
    figure, ((ax,),) = new_grid("", 1, 1, (5.2, 3.4))
    ax.plot(rates, losses, color="#cccccc", linewidth=0.8, label="of the batch")
    ax.plot(rates, smooth, color=BLUE, label="smoothed")
    if suggestion is None:
        ax.set_title("no learning rate is suggested", fontsize=9.5)
    else:
        ax.axvline(suggestion, color=ORANGE, label=f"suggested: {suggestion:.1e}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate", fontsize=9)
    ax.set_ylabel("loss", fontsize=9)
    ax.legend(fontsize=8)
    return _finished(figure, path)


def confusion(names: Sequence[str], M: np.ndarray, path: Path = None) -> Picture:
    """The share of each class (row) that was predicted as each class (column), from the counts
    M ``(C, C)``; up to ten classes also show the counts."""
    C = len(names)
    share = M / np.maximum(M.sum(axis=1, keepdims=True), 1)  # 0 for a class without any
    size = min(max(3.0, 0.5 * C), 12.0)
    figure, ((ax,),) = new_grid("", 1, 1, (size + 1.5, size))
    ax.grid(False)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=ax, label="share of the class")
    ax.set_xlabel("predicted", fontsize=9)
    ax.set_ylabel("class", fontsize=9)
    if C <= MOST_NAMED:
        ax.set_xticks(range(C), names, rotation=45, ha="right", fontsize=8)
        ax.set_yticks(range(C), names, fontsize=8)
    for i, j in np.ndindex(C, C) if C <= MOST_COUNTED else ():
        colour = "white" if share[i, j] > 0.5 else "black"
        ax.text(j, i, f"{M[i, j]}", ha="center", va="center", color=colour, size=8)
    return _finished(figure, path)


def _finished(figure: Any, path: Path) -> Picture:
    picture = Picture(figure)
    if path is not None:
        picture.save(path)
    return picture
