"""Random crops and mirror images: each batch shows the network new views of the same images."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, Random, checks, namespace


class Augmentation(Random):
    """A random crop of the padded image, mirrored half of the time.

    An image (C, H, W) is padded by ``padding`` rows and columns of zeros on each
    side, and a window of its original size is cropped at (i, j), both drawn from
    0 … 2·padding.  With m drawn from {0, 1}::

        y[c, h, w] = padded[c, i + h, j + w]              m = 0
        y[c, h, w] = padded[c, i + h, j + (W − 1 − w)]    m = 1

    It is used only in training, ``train(…, augment=Augmentation(rng=0))``.  It works on
    the images as they are stored, before they are scaled and normalized, so the
    padding is black; torchvision's usual order (crop, flip, then normalize) does
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
        self.padding = checks.integer("Augmentation", "padding", padding, least=0)
        self.flip = checks.boolean("Augmentation", "flip", flip)
        self.rng: np.random.Generator = checks.generator("Augmentation", rng)

    def __call__(self, images: Array) -> Array:
        """Another view of each of ``images`` (N, C, H, W)."""
        self._check(images)
        return self._views(images, *self.random_numbers((3, len(images)), like=images, axis=1))

    def apply(self, images: Array, i: np.ndarray, j: np.ndarray, m: np.ndarray) -> Array:
        """The views of ``images`` (N, C, H, W) at i, j, mirrored where m is 1; (N,) each."""
        self._check(images)
        places = 2 * self.padding + 1
        chosen = []
        for name, given, count in (("i", i, places), ("j", j, places), ("m", m, 2)):
            found = checks.indices("Augmentation.apply", name, given, count)
            if len(found) != len(images):
                raise ValueError(
                    f"Augmentation.apply: expected {name} ({len(images)},), one for each image, "
                    f"got ({len(found)},)"
                )
            chosen.append(namespace(images).asarray(found))
        return self._views(images, *chosen)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """i, j and m of N images.  (3, N)"""
        choices = [[2 * self.padding + 1], [2 * self.padding + 1], [1 + self.flip]]
        return self.rng.integers(0, choices, shape)

    def _check(self, images: Array) -> None:
        checks.array("Augmentation", "images", images)
        if images.ndim != 4:
            channel = "; images[:, None] adds the axis of the channel" if images.ndim == 3 else ""
            raise ValueError(
                f"Augmentation: expected images (N, C, H, W), got {images.shape}{channel}"
            )

    def _views(self, images: Array, i: Array, j: Array, m: Array) -> Array:
        xp, (N, C, H, W), p = namespace(images), images.shape, self.padding
        height, width = H + 2 * p, W + 2 * p
        padded = xp.zeros((N, C, height, width), images.dtype)
        padded[:, :, p : p + H, p : p + W] = images
        # y[n, c, h, w] is padded[n, c, i + h, j + w], or mirrored, of the pixels in one row
        image = xp.arange(N * C).reshape(N, C, 1, 1) * (height * width)
        line = (i[:, None] + xp.arange(H))[:, None, :, None] * width
        w = xp.arange(W)
        column = (j[:, None] + xp.where(m[:, None], W - 1 - w, w))[:, None, None, :]
        return xp.take(padded.reshape(-1), image + line + column)
