"""Examples: bytes until they are drawn, then floats of the network's type."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import Examples
from minidl.backend import to_numpy

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


def test_floats_are_taken_as_they_are_or_divided_as_asked():
    values = np.linspace(-1, 1, 8).reshape(4, 2)
    targets = values[::-1]
    x, t = Examples(values, targets).draw(np.array([3, 1]), np.dtype("float64"))
    np.testing.assert_array_equal(x, values[[3, 1]])
    np.testing.assert_array_equal(t, targets[[3, 1]])
    x, _ = Examples(values, targets, divisor=4).batch(0, 4, np.dtype("float64"))
    np.testing.assert_array_equal(x, values / 4)
    x, _ = Examples(IMAGES, LABELS, divisor=1).batch(0, 1, np.dtype("float32"))
    np.testing.assert_array_equal(x, IMAGES[:1])


def test_a_draw_reuses_its_memory():
    examples = Examples(IMAGES, LABELS)
    x, t = examples.draw(np.array([0, 1]), np.dtype("float32"))
    again, labels = examples.draw(np.array([2, 3]), np.dtype("float32"))
    assert again is x
    assert labels is t


def test_the_first_examples_are_no_copy():
    examples = Examples(IMAGES, LABELS, divisor=2)
    first = examples.first(3)
    assert len(first) == 3
    assert first.divisor == 2
    assert np.shares_memory(first.inputs, IMAGES)
    assert len(examples.first(100)) == 4
    with pytest.raises(ValueError, match=r"Examples\.first: expected n of at least 1, got 0"):
        examples.first(0)


ERRORS = {
    "lengths": (lambda: Examples(IMAGES, LABELS[:3]), r"inputs \(4, 2, 3\) and targets \(3,\)"),
    "none": (lambda: Examples(IMAGES[:0], LABELS[:0]), "at least one, got"),
    "a number": (lambda: Examples(np.array(1.0), LABELS), r"inputs \(\)"),
    "a number as target": (lambda: Examples(IMAGES, np.array(1)), r"targets \(\)"),
    "integers": (lambda: Examples(IMAGES.astype(int), LABELS), r"got int64; .*astype\('float32'\)"),
    "words": (lambda: Examples(IMAGES, np.array(list("abcd"))), "targets, got <U1"),
    "divisor 0": (lambda: Examples(IMAGES, LABELS, 0), "divisor above 0, got 0"),
    "divisor inf": (lambda: Examples(IMAGES, LABELS, math.inf), "divisor above 0, got inf"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=f"Examples.*: expected .*{message}"):
        call()
