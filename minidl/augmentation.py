"""Random crops and mirror images: each batch shows the network other views of the same images."""

from __future__ import annotations

import numpy as np

from minidl import checks
from minidl.backend import Array, Random, namespace, take_rows


class Augmentation(Random):
    """A random crop of the padded image, then its mirror image half of the time.

    An image (C, H, W) is framed by ``padding`` rows and columns of zeros on each
    side, and a window of its old size is cut out at (i, j), both drawn from
    0 … 2·padding.  With m drawn from {0, 1}::

        y[c, h, w] = padded[c, i + h, j + w]              m = 0
        y[c, h, w] = padded[c, i + h, j + (W − 1 − w)]    m = 1

    Used in training only, ``train(…, augment=Augmentation(rng=0))``.  It works on
    the images as they are stored, before they are scaled and normalised, so the
    frame is black; torchvision's usual order (crop, flip, then normalise) does
    the same.  Every draw is made on the CPU: the same seed gives the same crops
    on each device.

    Source: He et al., CVPR 2016, section 4.2, after Lee et al., AISTATS 2015.

    Parameters
    ----------
    padding : pixels on each side, 0 for no crop
    flip : whether to mirror, left to right
    rng : a generator or its seed
    """

    def __init__(
        self, padding: int = 4, flip: bool = True, rng: np.random.Generator | int = 0
    ) -> None:
        self.padding = checks.whole("Augmentation", "padding", padding, least=0)
        self.flip = checks.flag("Augmentation", "flip", flip)
        self.rng: np.random.Generator = checks.generator("Augmentation", rng)

    def __call__(self, images: Array) -> Array:
        """Another view of each of ``images`` (N, C, H, W); the array is this object's own."""
        self._prepare(images)
        if not self.drawn:
            self.draw()
        self.drawn = False
        return self._views(images)

    def apply(self, images: Array, i: np.ndarray, j: np.ndarray, m: np.ndarray) -> Array:
        """The views of ``images`` (N, C, H, W) at i, j, mirrored where m is 1; (N,) each."""
        self._prepare(images)
        places = 2 * self.padding + 1
        chosen = []
        for name, given, count in (("i", i, places), ("j", j, places), ("m", m, 2)):
            chosen.append(checks.indices("Augmentation.apply", name, given, count))
            if len(chosen[-1]) != len(images):
                raise ValueError(
                    f"Augmentation.apply: expected {name} ({len(images)},), one for each image, "
                    f"got ({len(chosen[-1])},)"
                )
        self._look_at(*chosen)
        return self._views(images)

    def choose(self, N: int) -> np.ndarray:
        """i, j and m of N images, drawn.  (3, N)"""
        choices = [[2 * self.padding + 1], [2 * self.padding + 1], [1 + self.flip]]
        return self.rng.integers(0, choices, (3, N))

    def draw(self) -> None:
        self._look_at(*self.choose(len(self.columns)))
        self.drawn = True

    def _prepare(self, images: Array) -> None:
        checks.array("Augmentation", "images", images)
        if images.ndim != 4:
            raise ValueError(f"Augmentation: expected images (N, C, H, W), got {images.shape}")
        N, C, H, W = images.shape
        # y[n, c, h, w] lies at lines[n, c, h] + columns[n, w] of the padded images, read as one row
        self.lines = self.buffer("lines", (N, C, H), images, np.int64)
        self.columns = self.buffer("columns", (N, W), images, np.int64)

    def _look_at(self, i: np.ndarray, j: np.ndarray, m: np.ndarray) -> None:
        (N, C, H), W = self.lines.shape, self.columns.shape[1]
        height, width = H + 2 * self.padding, W + 2 * self.padding
        lines = np.arange(N * C).reshape(N, C, 1) * (height * width)  # each image's channels
        lines = lines + ((i[:, None] + np.arange(H)) * width)[:, None, :]  # (N, C, H)
        w = np.arange(W)
        columns = j[:, None] + np.where(m[:, None], W - 1 - w, w)  # (N, W)
        asarray = namespace(self.lines).asarray
        self.lines[...] = asarray(lines)
        self.columns[...] = asarray(columns)

    def _views(self, images: Array) -> Array:
        N, C, H, W = images.shape
        p = self.padding
        padded = self.buffer("padded", (N, C, H + 2 * p, W + 2 * p), images)
        padded[...] = 0
        padded[:, :, p : p + H, p : p + W] = images
        place = self.buffer("place", images.shape, images, np.int64)
        np.add(self.lines[..., None], self.columns[:, None, None, :], out=place)
        return take_rows(padded.reshape(-1), place, self.buffer("y", images.shape, images))
