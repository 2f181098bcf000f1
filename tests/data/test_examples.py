"""Examples: bytes until they are drawn, then floats of the network's type."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Examples
from minidl.backend import to_numpy
from minidl.data.finite import first_nonfinite

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10
LABELS = np.array([3, 1, 0, 2])


def test_bytes_are_divided_by_255_as_they_are_drawn(device):
    examples = Examples(IMAGES, LABELS).to(device)
    assert len(examples) == 4
    assert examples.input_shape == (2, 3)
    assert examples.divisor == 255
    assert examples.inputs.dtype == np.uint8
    for dtype in (np.float32, np.float64):
        x, t = examples.draw(device.asarray(np.array([2, 0, 2])), np.dtype(dtype))
        assert x.dtype == dtype
        np.testing.assert_array_equal(to_numpy(x), IMAGES[[2, 0, 2]].astype(dtype) / dtype(255))
        np.testing.assert_array_equal(to_numpy(t), [0, 3, 0])
        x, t = examples.batch(1, 99, np.dtype(dtype))
        np.testing.assert_array_equal(to_numpy(x), IMAGES[1:].astype(dtype) / dtype(255))
        np.testing.assert_array_equal(to_numpy(t), LABELS[1:])
    np.testing.assert_array_equal(to_numpy(examples.inputs), IMAGES)
    assert examples.to(device).inputs is examples.inputs


def test_floats_are_used_as_they_are_or_divided_on_request():
    values = np.linspace(-1, 1, 8).reshape(4, 2)
    targets = values[::-1]
    x, t = Examples(values, targets).draw(np.array([3, 1]), np.dtype("float64"))
    np.testing.assert_array_equal(x, values[[3, 1]])
    np.testing.assert_array_equal(t, targets[[3, 1]])
    x, _ = Examples(values, targets, divisor=4).batch(0, 4, np.dtype("float64"))
    np.testing.assert_array_equal(x, values / 4)
    x, _ = Examples(IMAGES, LABELS, divisor=1).batch(0, 1, np.dtype("float32"))
    np.testing.assert_array_equal(x, IMAGES[:1])


def test_a_batch_belongs_to_the_caller():
    """The next draw does not change it, and changing it does not change the examples."""
    images, labels = IMAGES.astype(np.float32), LABELS.copy()
    for examples in (Examples(images, labels), Examples(images, labels).first(4)):
        for draw in (examples.draw, lambda rows, dtype, e=examples: e.batch(0, 2, dtype)):
            x, t = draw(np.array([0, 1]), np.dtype("float32"))
            kept = x.copy(), t.copy()
            draw(np.array([2, 3]), np.dtype("float32"))
            np.testing.assert_array_equal(x, kept[0])
            np.testing.assert_array_equal(t, kept[1])
            x += 1
            np.testing.assert_array_equal(images, IMAGES)


def test_the_first_examples_are_not_copied():
    examples = Examples(IMAGES, LABELS, divisor=2)
    first = examples.first(3)
    assert len(first) == 3
    assert first.divisor == 2
    assert np.shares_memory(first.inputs, IMAGES)
    assert len(examples.first(100)) == 4
    with pytest.raises(ValueError, match=r"Examples\.first: expected n to be an integer >= 1"):
        examples.first(0)


COLOURED = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 4), dtype=np.uint8)
MEAN, STD = (0.5, 0.25, 0.1307), (0.5, 2.0, 0.3081)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_channel_is_normalised_after_the_division(dtype, device):
    examples = Examples(COLOURED, np.arange(5), mean=MEAN, std=STD).to(device)
    x, _ = examples.draw(device.asarray(np.array([4, 0])), np.dtype(dtype))
    assert x.dtype == dtype
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (MEAN, STD))
    expected = (COLOURED / 255 - mean) / std
    tolerance = {"rtol": 1e-14, "atol": 1e-15} if dtype == "float64" else {"atol": 1e-6}
    np.testing.assert_allclose(to_numpy(x), expected[[4, 0]], **tolerance)
    x, _ = examples.first(2).batch(1, 2, np.dtype(dtype))  # parts are normalised the same way
    np.testing.assert_allclose(to_numpy(x), expected[1:2], **tolerance)


def test_normalising_with_its_own_figures_gives_mean_0_and_deviation_1():
    scaled = COLOURED / 255
    mean, std = scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))
    examples = Examples(COLOURED, np.arange(5), mean=mean, std=std)
    x, _ = examples.batch(0, 5, np.dtype("float64"))
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), 1, rtol=1e-14)


def test_a_draw_is_augmented_before_it_is_scaled():
    examples = Examples(COLOURED, np.arange(5), mean=MEAN, std=STD)
    seen = []

    def darken(images):
        seen.append(images.dtype)
        return images // 2

    x, _ = examples.draw(np.array([3, 1]), np.dtype("float64"), darken)
    assert seen == [np.uint8]
    plain = Examples(COLOURED // 2, np.arange(5), mean=MEAN, std=STD)
    np.testing.assert_array_equal(x, plain.draw(np.array([3, 1]), np.dtype("float64"))[0])
    np.testing.assert_array_equal(examples.inputs, COLOURED)


def numbered(labels):
    """Examples whose only input is their index."""
    labels = np.asarray(labels)
    return Examples(np.arange(len(labels), dtype=np.uint8)[:, None], labels, divisor=3)


@pytest.mark.parametrize("stratify", [False, True])
def test_a_split_gives_each_example_to_one_part_in_the_old_order(stratify, device):
    examples = numbered(np.arange(50) % 4).to(device)
    rest, drawn = examples.split(15, rng=1, stratify=stratify)
    assert (len(rest), len(drawn)) == (35, 15)
    numbers = [to_numpy(part.inputs)[:, 0].tolist() for part in (rest, drawn)]
    assert sorted(numbers[0] + numbers[1]) == list(range(50))
    for part, known in zip((rest, drawn), numbers, strict=True):
        assert known == sorted(known)
        assert to_numpy(part.targets).tolist() == [n % 4 for n in known]
        assert part.inputs.dtype == np.uint8
        assert part.divisor == 3
    again, _ = examples.split(15, rng=np.random.default_rng(1), stratify=stratify)
    np.testing.assert_array_equal(to_numpy(again.inputs), to_numpy(rest.inputs))
    other, _ = examples.split(15, rng=2, stratify=stratify)
    assert (to_numpy(other.inputs) != to_numpy(rest.inputs)).any()


def test_a_stratified_split_of_fashion_mnist_as_it_was_published():
    """70,000 images, 7,000 of each class: 1,400 of each among 14,000."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 7000))
    examples = Examples(np.zeros((70_000, 1), np.uint8), labels)
    rest, drawn = examples.split(14_000, rng=0, stratify=True)
    assert np.bincount(drawn.targets).tolist() == [1400] * 10
    assert np.bincount(rest.targets).tolist() == [5600] * 10


def test_shares_by_largest_remainder_by_hand():
    """Of 5, 3 and 2 examples 4 are asked for: 2.0, 1.2 and 0.8 of them, so 2, 1 and 1."""
    _, drawn = numbered([7, 7, 7, 7, 7, 2, 2, 2, 9, 9]).split(4, stratify=True)
    assert sorted(drawn.targets.tolist()) == [2, 7, 7, 9]
    # equal remainders of 0.5: each label gets the remaining one now and then
    parts = [numbered([1, 1, 1, 0, 0, 0]).split(3, seed, stratify=True)[1] for seed in range(20)]
    assert {part.targets.sum() for part in parts} == {1, 2}


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.data())
def test_a_stratified_split_is_off_by_less_than_one_example(labels, data):
    labels = sorted(labels) + labels  # each at least twice
    n = data.draw(st.integers(1, len(labels) - 1))
    rest, drawn = numbered(labels).split(n, stratify=True)
    assert (len(rest), len(drawn)) == (len(labels) - n, n)
    for label in set(labels):
        share = n * labels.count(label) / len(labels)
        assert abs((drawn.targets == label).sum() - share) < 1


def test_any_example_may_be_drawn():
    """Of ten classes with two examples, too: no class is preferred."""
    for labels, stratify in (
        ([0] * 20, False),
        ([0] * 10 + [1] * 10, True),
        ([*range(10)] * 2, True),
    ):
        counts = np.zeros(20)
        for seed in range(400):
            _, drawn = numbered(labels).split(6, seed, stratify)
            counts[drawn.inputs[:, 0]] += 1
        # Binomial(400, 0.3): mean 120, deviation 9.2
        assert np.abs(counts - 120).max() < 5 * 9.2


def test_joined_examples_are_split_as_one_set(device):
    one, other = numbered([0, 1, 2]).to(device), numbered([5, 6]).to(device)
    both = one.joined(other)
    assert to_numpy(both.targets).tolist() == [0, 1, 2, 5, 6]
    assert to_numpy(both.inputs)[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert both.inputs.dtype == np.uint8
    assert both.divisor == 3


def test_taken_examples_come_in_the_requested_order(device):
    taken = Examples(COLOURED, np.arange(5), mean=MEAN, std=STD).to(device).take(np.array([3, 3]))
    assert to_numpy(taken.targets).tolist() == [3, 3]
    np.testing.assert_array_equal(to_numpy(taken.inputs), COLOURED[[3, 3]])
    assert taken.mean == MEAN


ERRORS = [
    (lambda: Examples(IMAGES, LABELS[:3]), r"inputs \(4, 2, 3\) and targets \(3,\)"),
    (lambda: Examples(IMAGES[:0], LABELS[:0]), "at least one, got"),
    (lambda: Examples(np.array(1.0), LABELS), r"inputs \(\)"),
    (lambda: Examples(IMAGES, np.array(1)), r"targets \(\)"),
    (lambda: Examples(IMAGES, np.array(list("abcd"))), "targets, got <U1"),
    (lambda: Examples(IMAGES, LABELS, 0), "divisor above 0, got 0"),
    (lambda: Examples(IMAGES, LABELS, math.inf), "divisor above 0, got inf"),
    (
        lambda: Examples(COLOURED, np.arange(5), mean=[0.5], std=[0.5]),
        r"a std for each of the C channels, got inputs \(5, 3, 2, 4\), mean \(0.5,\), std \(0.5,\)",
    ),
    (lambda: Examples(COLOURED, np.arange(5), mean=MEAN), "channels, .*std None"),
    (lambda: Examples(IMAGES, LABELS, mean=[0, 0], std=[1, 1]), "channels, got inputs"),
    (
        lambda: Examples(COLOURED, np.arange(5), mean=MEAN, std=(1, 0, 1)),
        r"finite means and stds above 0, got mean .*, std \(1.0, 0.0, 1.0\)",
    ),
    (
        lambda: Examples(COLOURED, np.arange(5), mean=(0, math.nan, 0), std=STD),
        "finite means and stds above 0, got mean .*nan",
    ),
    (
        lambda: Examples(IMAGES, LABELS).split(2, stratify=True),
        "at least two examples of each class to stratify, got one with label 0",
    ),
    (lambda: Examples(IMAGES, LABELS).split(0), "n to be an integer >= 1, got 0"),
    (lambda: Examples(IMAGES, LABELS).split(4), "n from 1 to 3, got 4"),
    (
        lambda: Examples(IMAGES, LABELS + 0.5).split(2, stratify=True),
        r"integer labels \(N,\), got float64",
    ),
    (
        lambda: numbered([1]).joined(Examples(np.zeros((1, 2), np.uint8), LABELS[:1], 3)),
        r"same type, shape and scaling, got \(dtype\('uint8'\), \(1,\), 3.0, None, None\) and",
    ),
    (
        lambda: numbered([1]).joined(Examples(np.zeros((1, 1), np.uint8), LABELS[:1])),
        "same type, shape and scaling, got .*3.0, None, None.* and .*255.0",
    ),
]


def test_errors_say_what_was_expected():
    for call, message in ERRORS:
        with pytest.raises(ValueError, match=f"Examples.*: expected .*{message}"):
            call()


def test_the_digest_covers_everything_that_makes_a_batch():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 2, 2)
    labels = np.array([0, 1])
    half = (0.5,) * 3
    known = Examples(images, labels)
    assert (
        known.digest()
        == Examples(images.copy(order="F"), labels).digest()
        != known.first(1).digest()
    )
    others = [
        Examples(images + 1, labels),
        Examples(images, labels[::-1]),
        Examples(images, labels.astype(np.int32)),
        Examples(images.reshape(2, 12), labels),
        Examples(images, labels, divisor=2),
        Examples(images, labels, mean=half, std=half),
    ]
    assert len({known.digest(), *(other.digest() for other in others)}) == 7


def test_the_first_nonfinite_number_is_named_wherever_it_is(device, monkeypatch):
    monkeypatch.setattr("minidl.data.finite.AT_ONCE", 6)  # two rows are read together
    inputs, targets = np.zeros((7, 2, 3), np.float32), np.zeros(7)
    rows, dtype = np.arange(7)[::-1], np.dtype(np.float32)
    given = Examples(inputs, targets)

    def found():
        return first_nonfinite(given.to(device), rows, dtype)

    assert found() is None
    targets[2] = 1e39
    assert found() == "targets[2] is 1e+39, which float32 cannot hold"
    assert first_nonfinite(given, rows, np.dtype(np.float64)) is None
    inputs[0, 1, 0] = -math.inf
    assert found() == "inputs[0, 1, 0] is -inf"
    inputs[3, 0, 1] = math.nan  # first in the order of the rows
    assert found() == "inputs[3, 0, 1] is nan"
    assert first_nonfinite(given, rows[:3], dtype) is None
    assert first_nonfinite(Examples(IMAGES, LABELS), np.arange(4), dtype) is None
