"""Figures of matplotlib without pyplot, and how one is shown: in a notebook, or as a file."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minidl.storage.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure that a notebook displays, once, and that :meth:`save` writes to a file."""

    figure: Figure  # of matplotlib; may be changed

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to ``path``, completely or not at all, as png, svg or pdf by its suffix."""
        from matplotlib.backend_bases import FigureCanvasBase

        kind = os.path.splitext(path)[1].removeprefix(".").lower()
        known = FigureCanvasBase(self.figure).get_supported_filetypes()
        if kind not in known:
            raise ValueError(
                f"Picture.save: expected a name that ends in .png, .svg or .pdf, got {str(path)!r}"
            )
        with whole_file(path, "wb") as file:
            self.figure.savefig(file, format=kind)

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.figure.savefig(image, format="png")
        return image.getvalue()


def new_grid(
    title: str, rows: int, columns: int, size: tuple[float, float], sharey: bool = True
) -> tuple[Figure, np.ndarray]:
    """A figure of panels, each ``size`` inches, with a grid behind their contents."""
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=(width * columns, height * rows + 0.5), dpi=130)
    figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=11, fontweight="bold")
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    for ax in axes.flat:
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
