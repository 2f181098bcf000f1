"""Sentences: padded in memory, drawn only as wide as needed, in batches of similar length."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import Examples
from minidl.backend import to_numpy
from minidl.data import Sentences

ROWS = [[5, 6, 7], [8], [1, 2, 3, 4, 5], [9, 9], [3, 3]]


def some(n=103):
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 99, rng.integers(1, 30)).tolist() for _ in range(n)]
    return Sentences.of(rows, np.arange(n))


def test_rows_are_padded_and_a_batch_is_cut(device):
    sentences = Sentences.of(ROWS, np.arange(5)).to(device)
    assert sentences.input_shape == (5,)
    np.testing.assert_array_equal(to_numpy(sentences.inputs)[1], [8, 0, 0, 0, 0])
    assert sentences.lengths.tolist() == [3, 1, 5, 2, 2]
    rows = device.asarray(np.array([1, 0]))
    x, targets = sentences.draw(rows, np.dtype("float32"))
    assert to_numpy(x).dtype.kind == "i"
    width = 5 if device.is_cuda else 3  # a recorded step has one shape
    np.testing.assert_array_equal(
        to_numpy(x), np.pad([[8, 0, 0], [5, 6, 7]], ((0, 0), (0, width - 3)))
    )
    np.testing.assert_array_equal(to_numpy(targets), [1, 0])
    x, _ = sentences.batch(3, 5, np.dtype("float32"))
    assert x.shape == (2, 5 if device.is_cuda else 2)


def test_padding_inside_a_sentence_belongs_to_it():
    sentences = Sentences(np.array([[4, 0, 6, 0]]), np.zeros(1, int))
    assert sentences.lengths.tolist() == [3]
    assert sentences.batch(0, 1, np.dtype("float32"))[0].shape == (1, 3)


def test_an_epoch_has_every_sentence_once_and_batches_of_similar_length():
    sentences = some()
    rng = np.random.default_rng(1)
    first, second = (sentences.order(rng, 8) for _ in range(2))
    for order in (first, second):
        assert np.array_equal(np.sort(order), np.arange(103))
        lengths = sentences.lengths[order[:96]].reshape(12, 8)
        assert (lengths.max(1) - lengths.min(1)).max() <= 5
        assert (np.diff(lengths[:, 0]) < 0).any()  # shuffled
    assert (first != second).any()
    ends = {tuple(sorted(sentences.order(rng, 8)[96:])) for _ in range(5)}
    assert len(ends) == 5  # different sentences are left over each time


def test_a_batch_larger_than_the_data_and_examples_of_numbers():
    assert np.array_equal(np.sort(some(5).order(np.random.default_rng(0), 8)), np.arange(5))
    images = Examples(np.zeros((5, 2), np.uint8), np.zeros(5, int))
    expected = np.random.default_rng(3).permutation(5)
    np.testing.assert_array_equal(images.order(np.random.default_rng(3), 2), expected)


def test_parts_are_sentences_and_sorting_keeps_pairs():
    sentences = some()
    for part in (sentences.first(7), sentences.take([3, 1]), *sentences.split(9)):
        assert isinstance(part, Sentences)
    sorted_ones = sentences.by_length()
    assert (np.diff(sorted_ones.lengths) >= 0).all()
    for row in (0, 50, 102):
        at = int(sorted_ones.targets[row])
        np.testing.assert_array_equal(sorted_ones.inputs[row], sentences.inputs[at])
    assert sentences.joined(sentences).lengths.tolist() == 2 * sentences.lengths.tolist()
    assert sentences.digest() != sorted_ones.digest()


REFUSED = [
    (lambda: Sentences.of([], np.zeros(0, int)), "at least one sentence, got none"),
    (lambda: Sentences.of([[1], []], np.zeros(2, int)), "only padding in sentence 1"),
    (lambda: Sentences.of([[1, -2]], np.zeros(1, int)), "tokens from 0, got -2"),
    (lambda: Sentences(np.ones((2, 3)), np.zeros(2, int)), r"integers \(N, T\), got float64"),
    (lambda: Sentences(np.ones(2, int), np.zeros(2, int)), r"got int64 \(2,\)"),
    (lambda: Sentences(np.ones((2, 3), int), np.zeros(3, int)), "as many targets as inputs"),
    (lambda: Examples(np.ones((2, 3), int), np.zeros(2, int)), "tokens are for Sentences"),
]


def test_what_is_refused():
    for call, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            call()
