"""A generated stand-in for CIFAR-100, for machines that cannot fetch the real one.

It has the shape of the job (100 classes, 32×32 colour bytes, 50,000 training and 10,000
test images) and, for a dense network, about its difficulty. It has nothing else of it:
figures obtained on it are figures about it.

Each image is, in integers so that every machine draws the same bytes,

    120 + (gain · look + other · background + 20 · noise) / 64 + tint + brightness

- a *field* is a sum of four grids of random numbers, 2×2 to 16×16, stretched over the image,
  with amplitudes halved from one to the next: mostly coarse, as photographs are;
- each of 20 groups, each class (five to a group) and each of the eight looks of a class has
  a field, and ``look`` is their sum: classes of a group resemble each other, and one
  class does not always look the same;
- a look stands up to two pixels off, each way, and half of the time in mirror image;
- ``gain`` is a product of two uniform numbers: in many images the class is hardly
  visible, so a network can only memorize them;
- ``background`` is one of 512 fields, shifted and mirrored anyhow, that say nothing about
  the class.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator, SeedSequence, default_rng

from minidl.backend import checks
from minidl.data.dataset import Dataset
from minidl.data.examples import Examples

SIDE = 32  # pixels, each way
CLASSES = 100
GROUPS = 20
LOOKS = 8  # of each class
BACKGROUNDS = 512
SHIFT = 2  # pixels that a look may stand off, each way
BLOCK = 500  # images drawn from one random stream; holds each class five times


def generate(seed: int = 0, train: int = 50_000, test: int = 10_000) -> Dataset:
    """The stand-in with ``train`` and ``test`` images, the same bytes for the same seed.

    The first images are the same however many are asked for. In each run of 500 images
    every class comes five times.

    Raises
    ------
    ValueError
        for a seed below 0, or fewer than one image in a split.
    """
    checks.integer("stand-in", "seed", seed, least=0)
    checks.integer("stand-in", "train", train)
    checks.integer("stand-in", "test", test)
    looks, backgrounds = _looks_and_backgrounds(int(seed))
    return Dataset(
        name="stand-in",
        title="stand-in (generated images, not CIFAR-100)",
        train=_split(seed, 1, train, looks, backgrounds),
        test=_split(seed, 2, test, looks, backgrounds),
        classes=tuple(f"pattern {label:02d}" for label in range(CLASSES)),
        source=f"generated, seed {seed}",
    )


def _stream(seed: int, *key: int) -> Generator:
    """A random stream of its own for each key."""
    return default_rng(SeedSequence(seed, spawn_key=key))


def _stretch(values: np.ndarray, step: int) -> np.ndarray:
    """Interpolate along the last axis, around the edge: (…, n) -> (…, n·step), times step."""
    k = np.arange(step, dtype=np.int32)
    right = np.roll(values, -1, -1)
    stretched = values[..., None] * (step - k) + right[..., None] * k
    return stretched.reshape(*values.shape[:-1], -1)


def _fields(rng: Generator, count: int) -> np.ndarray:
    """Random fields (count, 32, 32), int32 around 0, that go on around every edge."""
    total = np.zeros((count, SIDE, SIDE), np.int32)
    for step in (16, 8, 4, 2):
        shape = (count, SIDE // step, SIDE // step)
        knots = rng.integers(-128, 128, shape, dtype=np.int32)
        total += _stretch(_stretch(knots, step).swapaxes(1, 2), step) // (16 * step)
    return total


def _patterns(rng: Generator, count: int) -> np.ndarray:
    """Coloured fields (count, 3, 32, 32): what the channels share, and half as much besides."""
    shared = _fields(rng, count)[:, None]
    own = _fields(rng, 3 * count).reshape(count, 3, SIDE, SIDE)
    return shared + own // 2


@lru_cache(maxsize=1)  # a run with other sizes, or another test, has the same
def _looks_and_backgrounds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the images of this seed consist of, however many they are."""
    rng = _stream(seed, 0)
    looks = _windows(_looks(rng), 2 * SHIFT)
    return looks, _windows(_as_int16(_patterns(rng, BACKGROUNDS)), SIDE - 1)


def _looks(rng: Generator) -> np.ndarray:
    """The looks of all classes (100 · 8, 3, 32, 32)."""
    group = np.repeat(_patterns(rng, GROUPS), CLASSES // GROUPS * LOOKS, axis=0)
    label = np.repeat(_patterns(rng, CLASSES), LOOKS, axis=0)
    own = _patterns(rng, CLASSES * LOOKS)
    return _as_int16((50 * group + 60 * label + 50 * own) // 64)


def _as_int16(patterns: np.ndarray) -> np.ndarray:
    return np.clip(patterns, -127, 127).astype(np.int16)


def _windows(patterns: np.ndarray, reach: int) -> np.ndarray:
    """Each pattern and its mirror image, shifted by 0 … reach: (2·count, 3, y, x, 32, 32)."""
    both = np.concatenate([patterns, patterns[..., ::-1]])
    around = np.pad(both, ((0, 0), (0, 0), (0, reach), (0, reach)), mode="wrap")
    return sliding_window_view(around, (SIDE, SIDE), axis=(2, 3))


def _split(
    seed: int, number: int, count: int, looks: np.ndarray, backgrounds: np.ndarray
) -> Examples:
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    for start in range(0, count, BLOCK):
        rng = _stream(seed, number, start // BLOCK)
        part = slice(start, start + BLOCK)
        label = rng.permutation(BLOCK) % CLASSES
        labels[part] = label[: count - start]
        images[part] = _images(rng, label, looks, backgrounds)[: count - start]
    return Examples(images, labels)


def _images(
    rng: Generator, label: np.ndarray, looks: np.ndarray, backgrounds: np.ndarray
) -> np.ndarray:
    """One image (3, 32, 32) for each label; int16 holds every sum on the way."""
    n = len(label)
    each = (n, 1, 1, 1)

    which = label * LOOKS + rng.integers(0, LOOKS, n) + len(looks) // 2 * rng.integers(0, 2, n)
    y, x = rng.integers(0, looks.shape[2], (2, n))
    image = looks[which, :, y, x]  # (n, 3, 32, 32)
    gain = rng.integers(0, 256, each) * rng.integers(0, 256, each) * 100 >> 16  # 0 … 99
    image *= gain.astype(np.int16)

    which = rng.integers(0, len(backgrounds), n)
    y, x = rng.integers(0, SIDE, (2, n))
    background = backgrounds[which, :, y, x]
    background *= rng.integers(20, 90, each, dtype=np.int16)
    image += background

    noise = np.frombuffer(rng.bytes(image.size), np.int8).reshape(image.shape)
    image += noise * np.int16(20)
    image >>= 6
    image += rng.integers(-12, 13, (n, 3, 1, 1), dtype=np.int16)  # tint
    image += 120 + rng.integers(-30, 31, each, dtype=np.int16)  # brightness
    return np.clip(image, 0, 255)
