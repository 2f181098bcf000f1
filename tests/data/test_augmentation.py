"""Crops and mirror images: by hand, against a loop over images, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
def test_every_window_equals_that_of_a_loop_over_the_images(dtype, device):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (200, 3, 6, 4)).astype(dtype)
    augmentation = Augmentation(padding=2)
    i, j = rng.integers(0, 5, (2, 200))
    m = rng.integers(0, 2, 200)
    y = augmentation.apply(device.asarray(images), i, j, m)
    assert y.dtype == dtype
    np.testing.assert_array_equal(to_numpy(y), one_by_one(images, 2, i, j, m))
    # a larger batch leaves no trace in a smaller one after it
    y = augmentation.apply(device.asarray(images[:7]), i[7:14], j[7:14], m[7:14])
    np.testing.assert_array_equal(to_numpy(y), one_by_one(images[:7], 2, i[7:14], j[7:14], m[7:14]))


shapes = st.tuples(*(st.integers(1, 5) for _ in range(4)))


@given(shapes, st.integers(0, 3), st.integers(0, 99))
def test_laws(shape, padding, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    N = shape[0]
    none, all_of_them = np.zeros(N, int), np.ones(N, int)
    middle = np.full(N, padding)
    augmentation = Augmentation(padding)
    same = augmentation.apply(images, middle, middle, none)
    np.testing.assert_array_equal(same, images)
    mirrored = augmentation.apply(images, middle, middle, all_of_them).copy()
    np.testing.assert_array_equal(mirrored, images[:, :, :, ::-1])
    twice = augmentation.apply(mirrored, middle, middle, all_of_them)
    np.testing.assert_array_equal(twice, images)
    before = images.copy()
    y = augmentation(images)
    np.testing.assert_array_equal(images, before)
    assert set(np.unique(y)) <= {0, *np.unique(images).tolist()}


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
    one, other = Augmentation(rng=5), Augmentation(rng=np.random.default_rng(5))
    first = to_numpy(one(device.asarray(images))).copy()
    np.testing.assert_array_equal(first, other(images))
    assert (to_numpy(one(device.asarray(images))) != first).any()  # a new draw
    assert (Augmentation(rng=6)(images) != first).any()


def test_the_views_are_not_changed_by_the_next_batch():
    augmentation = Augmentation()
    first = augmentation(IMAGES)
    kept = first.copy()
    augmentation(IMAGES)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Augmentation(-1),
            "expected padding to be an integer >= 0, got -1",
        ),
        (lambda: Augmentation()(IMAGES[0]), r"expected images \(N, C, H, W\), got \(3, 4, 5\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
