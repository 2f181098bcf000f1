"""Pictures of the CIFAR-10 study: its images, the answers of the networks, their filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minidl import Examples
from minidl.study.figures import image_rows, new_figure
from studies.cifar10_cnn.training import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES = 3  # training images of each class
SCALE = 8  # pixels in the picture per weight of a filter


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
    """Test images with their class, and each network's answer with its probability."""
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
    """The filters of the convolution as colour images, before and after training, on one scale."""
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
