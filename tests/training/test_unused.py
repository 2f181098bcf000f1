"""``train(…)`` that nobody iterates trains nothing, and says so."""

from __future__ import annotations

import gc
import warnings
from contextlib import closing

import numpy as np
import pytest

from minidl import SGD, Dense, Examples, Network, SoftmaxCrossEntropy, train

EXAMPLES = Examples(np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1]))


def training(epochs=3):
    network = Network([Dense(3, 2)], 3)
    return train(network, EXAMPLES, SoftmaxCrossEntropy(), SGD(0.1), epochs=epochs, progress=False)


def test_train_called_without_iterating_warns_at_that_line():
    message = r"^train\(…\) was never iterated: nothing was trained"
    with pytest.warns(RuntimeWarning, match=message) as w:
        training()
    (warned,) = w
    assert warned.filename == __file__
    assert "for epoch in train(" in str(warned.message)
    assert "fit(" in str(warned.message)


@pytest.mark.parametrize("epochs", [1, 3])
def test_one_that_was_started_does_not(epochs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert next(training(epochs)).number == 1
        for epoch in training(epochs):
            assert epoch.steps == 1
            break
        assert len(list(training(epochs))) == epochs
        gc.collect()


def test_one_that_is_closed_unused_does_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with closing(training()):
            pass
        gc.collect()


def test_one_shown_in_a_notebook_says_that_it_was_never_iterated():
    run = training()
    assert "never iterated" in repr(run)
    next(run)
    assert "iterated" not in repr(run)


def test_an_epoch_is_shown_without_its_arrays():
    (epoch,) = training(1)
    shown = repr(epoch)
    assert "update" not in shown
    assert "array" not in shown
    assert shown.startswith("Epoch(number=1, train_loss=0.69")
