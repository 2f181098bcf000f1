"""The stand-in: the same bytes everywhere, balanced, and learnable."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from minidl.data import standin
from minidl.data.standin import generate

# SHA-256 of 700 training and 300 test images with their labels, seed 0.
GOLDEN = "af49c8ef885026e8d5ce7f4761da15e40f691226daed619c0e0947b93dd645f4"


@pytest.fixture(scope="module")
def small():
    return generate(seed=0, train=3_000, test=1_000)


def test_shapes_and_names(small):
    for split, count in ((small.train, 3_000), (small.test, 1_000)):
        assert split.inputs.shape == (count, 3, 32, 32)
        assert split.inputs.dtype == np.uint8
        assert split.inputs.flags.c_contiguous
        assert split.targets.dtype == np.int64
    assert len(set(small.classes)) == 100
    assert small.is_stand_in
    assert small.title == "stand-in (generated images, not CIFAR-100)"
    assert small.source == "generated, seed 0"


def test_balanced_and_shuffled(small):
    for split in (small.train, small.test):
        for start in range(0, len(split), 500):
            assert (np.bincount(split.targets[start : start + 500]) == 5).all()
        assert (np.diff(split.targets) == 0).mean() < 0.03


def test_golden_and_the_same_however_many_are_generated(small):
    few = generate(seed=0, train=700, test=300)
    digest = hashlib.sha256()
    for split, more in ((few.train, small.train), (few.test, small.test)):
        digest.update(split.inputs.tobytes())
        digest.update(split.targets.astype("<i8").tobytes())
        np.testing.assert_array_equal(split.inputs, more.inputs[: len(split)])
        np.testing.assert_array_equal(split.targets, more.targets[: len(split)])
    assert digest.hexdigest() == GOLDEN


def test_seeds_differ(small):
    other = generate(seed=1, train=500, test=1)
    assert (other.train.inputs != small.train.inputs[:500]).mean() > 0.9
    assert (other.train.targets != small.train.targets[:500]).any()


def test_no_image_occurs_twice_even_across_the_splits(small):
    images = [image.tobytes() for split in (small.train, small.test) for image in split.inputs]
    images = [image for image in images if len(set(image)) > 1]  # a few are all black or white
    assert len(images) > 3_960
    assert len(set(images)) == len(images)


def test_pixels_look_like_photographs(small):
    x = small.train.inputs[:1_000].astype(np.float32) / 255
    assert 0.40 < x.mean() < 0.50
    assert 0.22 < x.std() < 0.28
    assert (x == 0).mean() < 0.1
    assert (x == 1).mean() < 0.05
    # Neighbouring pixels are alike, and so are the channels of a pixel.
    grey = x.mean(axis=1)
    assert np.corrcoef(grey[:, :, 1:].ravel(), grey[:, :, :-1].ravel())[0, 1] > 0.9
    assert np.corrcoef(x[:, 0].ravel(), x[:, 2].ravel())[0, 1] > 0.5


def test_classes_can_be_distinguished_but_not_easily(small):
    """Taking the nearest class mean is better than chance (1 %) and stays below 15 %."""
    train = small.train.inputs.reshape(3_000, -1).astype(np.float32)
    test = small.test.inputs.reshape(1_000, -1).astype(np.float32)
    means = np.stack([train[small.train.targets == label].mean(axis=0) for label in range(100)])
    distance = (means**2).sum(axis=1) - 2 * test @ means.T  # (1000, 100), up to a constant
    accuracy = (distance.argmin(axis=1) == small.test.targets).mean()
    assert 0.02 < accuracy < 0.15


def test_sums_stay_within_int16(monkeypatch, small):
    """The same images with every sum in 64 bits."""
    as_int16 = standin._as_int16
    monkeypatch.setattr(standin, "_as_int16", lambda patterns: as_int16(patterns).astype(np.int64))
    standin._looks_and_backgrounds.cache_clear()
    wide = generate(seed=0, train=500, test=1)
    standin._looks_and_backgrounds.cache_clear()
    np.testing.assert_array_equal(wide.train.inputs, small.train.inputs[:500])


def test_arguments():
    for arguments, message in (
        ((-1, 10, 10), "seed to be an integer >= 0, got -1"),
        ((0, 0, 10), "train to be an integer >= 1, got 0"),
        ((0, 10, 0), "test to be an integer >= 1, got 0"),
    ):
        with pytest.raises(ValueError, match=f"stand-in: expected {message}"):
            generate(*arguments)
