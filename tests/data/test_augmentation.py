"""Crops and mirror images: by hand, against a loop over images, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import Augmentation
from minidl.backend import to_numpy

IMAGES = np.arange(1, 2 * 3 * 4 * 5 + 1, dtype=np.uint8).reshape(2, 3, 4, 5)


def one_by_one(images, padding, i, j, m):
    """The same, one image at a time, with NumPy's own padding, slices and flip."""
    frame = ((0, 0), (padding, padding), (padding, padding))
    _, _, H, W = images.shape
    out = []
    for n, image in enumerate(images):
        view = np.pad(image, frame)[:, i[n] : i[n] + H, j[n] : j[n] + W]
        out.append(view[:, :, ::-1] if m[n] else view)
    return np.array(out)


def test_by_hand(device):
    images = device.asarray(np.array([[[[1, 2], [3, 4]]]] * 3, np.uint8))
    i, j, m = np.array([[0, 1, 2], [1, 1, 0], [0, 1, 0]])  # up; mirrored; down and to the left
    y = Augmentation(padding=1).apply(images, i, j, m)
    assert y.dtype == np.uint8
    assert to_numpy(y).tolist() == [
        [[[0, 0], [1, 2]]],
        [[[2, 1], [4, 3]]],
        [[[0, 3], [0, 0]]],
    ]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(("shape", "padding"), [((3, 6, 4), 2), ((1, 1, 1), 3), ((2, 5, 3), 0)])
def test_every_window_equals_that_of_a_loop_over_the_images(shape, padding, dtype, device):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (100, *shape)).astype(dtype)
    augmentation = Augmentation(padding)
    i, j = rng.integers(0, 2 * padding + 1, (2, 100))
    m = rng.integers(0, 2, 100)
    before = images.copy()
    y = augmentation.apply(device.asarray(images), i, j, m)
    assert y.dtype == dtype
    np.testing.assert_array_equal(to_numpy(y), one_by_one(images, padding, i, j, m))
    np.testing.assert_array_equal(images, before)
    # a larger batch leaves no trace in a smaller one after it
    few = images[:7], padding, i[7:14], j[7:14], m[7:14]
    y = augmentation.apply(device.asarray(images[:7]), *few[2:])
    np.testing.assert_array_equal(to_numpy(y), one_by_one(*few))


def test_without_padding_and_flip_nothing_changes():
    augmentation = Augmentation(padding=0, flip=False)
    for _ in range(5):
        np.testing.assert_array_equal(augmentation(IMAGES), IMAGES)


def test_every_window_is_equally_likely_and_half_of_the_images_are_mirrored():
    i, j, m = Augmentation(padding=4, rng=0).sample((3, 81_000))
    counts = np.bincount(9 * i + j, minlength=81)
    assert len(counts) == 81
    # each count is Binomial(81000, 1/81): mean 1000, standard deviation 31.4, times five
    assert np.abs(counts - 1000).max() < 157
    assert abs(m.mean() - 0.5) < 5 * 0.5 / np.sqrt(81_000)
    assert abs(np.corrcoef([i, j, m])[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(81_000)
    assert Augmentation(flip=False).sample((3, 100))[2].max() == 0


def test_the_same_seed_gives_the_same_views_on_each_device(device):
    images = np.random.default_rng(1).integers(1, 256, (50, 1, 8, 8), dtype=np.uint8)
    before = images.copy()
    one, other = Augmentation(rng=5), Augmentation(rng=np.random.default_rng(5))
    first = one(device.asarray(images))
    kept = to_numpy(first).copy()
    np.testing.assert_array_equal(kept, other(images))
    assert (to_numpy(one(device.asarray(images))) != kept).any()  # a new draw
    assert (Augmentation(rng=6)(images) != kept).any()
    np.testing.assert_array_equal(to_numpy(first), kept)  # the next batch did not change it
    np.testing.assert_array_equal(images, before)


def test_errors():
    with pytest.raises(ValueError, match="expected padding to be an integer >= 0, got -1"):
        Augmentation(-1)
    with pytest.raises(
        ValueError, match=r"expected images \(N, C, H, W\), got \(3, 4, 5\); images\[:, None\]"
    ):
        Augmentation()(IMAGES[0])
