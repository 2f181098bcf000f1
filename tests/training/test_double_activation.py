"""A last layer that already does what the loss does gets a warning at the caller's line."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minidl import (
    Activate,
    Adam,
    BinaryCrossEntropy,
    Chain,
    Dense,
    Examples,
    MeanSquaredError,
    Network,
    SoftmaxCrossEntropy,
    evaluate,
    probe,
    train,
)

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
LABELS, SHARES = np.arange(8) % 2, np.ones((8, 2), "float32")
SOFTMAX, BINARY = SoftmaxCrossEntropy(), BinaryCrossEntropy()
TWICE = {
    "dense": ([Dense(3, 2, "softmax")], SOFTMAX, LABELS),
    "alone": ([Dense(3, 2), Activate("softmax")], SOFTMAX, LABELS),
    "in a chain": ([Dense(3, 3), Chain([Dense(3, 2, "softmax")])], SOFTMAX, LABELS),
    "sigmoid": ([Dense(3, 2, "sigmoid")], BINARY, SHARES),
}
ONCE = {
    "logits": ([Dense(3, 2)], SOFTMAX, LABELS),
    "sigmoid before softmax": ([Dense(3, 2, "sigmoid")], SOFTMAX, LABELS),
    "a regression onto shares": ([Dense(3, 2, "softmax")], MeanSquaredError(), SHARES),
    "hidden": ([Dense(3, 3, "sigmoid"), Dense(3, 2)], BINARY, SHARES),
}


def uses(layers, loss, targets):
    """Every function that takes a network and a loss together."""
    network, examples = Network(layers, 3), Examples(X, targets)
    yield "evaluate", lambda: evaluate(network, examples, loss)
    yield "probe", lambda: probe(network, loss, X, targets)
    yield "train", lambda: train(network, examples, loss, Adam(), epochs=1).close()


@pytest.mark.parametrize("name", TWICE)
def test_an_activation_applied_twice_gets_a_warning(name):
    for owner, use in uses(*TWICE[name]):
        with pytest.warns(UserWarning, match=f"{owner}: .*expected logits") as warned:
            use()
        assert [w.filename for w in warned] == [__file__]
        assert "leave the activation of the last layer out" in str(warned[0].message)


@pytest.mark.parametrize("name", ONCE)
def test_an_activation_applied_once_does_not(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _, use in uses(*ONCE[name]):
            use()
