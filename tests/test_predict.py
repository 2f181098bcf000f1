"""One rule for arrays at every door: bytes / 255, floats in the network's type, and none at all."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import (
    SGD,
    Dense,
    Embedding,
    Examples,
    FirstToken,
    Flatten,
    Network,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
    predict_labels,
    probe,
)
from minidl.propagation import layer_factors, measured, predicted
from minidl.training import range_test

LOSS = SoftmaxCrossEntropy()
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 1, 2, 4), np.uint8)
LABELS = np.arange(12) % 3


def images() -> Network:
    return Network([Flatten(), Dense(8, 6, "tanh"), Dense(6, 3)], (1, 2, 4), rng=1)


def sentences() -> Network:
    return Network([Embedding(9, 6, padding=0), FirstToken(), Dense(6, 3)], (5,), rng=1)


def fitted(x):
    network = images()
    fit(network, x, LABELS, epochs=2, validation=None, progress=False, optimizer=SGD(0.5))
    return network.theta


DOORS = {
    "predict": lambda x: images().predict(x, batch_size=5),
    "predict_labels": lambda x: predict_labels(images(), x),
    "probe": lambda x: probe(images(), LOSS, x, LABELS),
    "evaluate": lambda x: evaluate(images(), Examples(x, LABELS), LOSS),
    "fit": fitted,
    "range_test": lambda x: range_test(images(), x, LABELS, steps=5).losses,
    "measured": lambda x: measured(images(), LOSS, x, LABELS),
    "predicted": lambda x: predicted(images(), LOSS, x, LABELS),
    "layer_factors": lambda x: layer_factors(images(), x),
}
doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@doors
@pytest.mark.filterwarnings("ignore:fit")
def test_bytes_are_divided_by_255_at_every_door(door):
    found, floats = door(BYTES), door(BYTES.astype(np.float32) / 255)
    if isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, floats)
    else:
        assert found == floats


@doors
def test_integers_are_refused_at_every_door_unless_they_are_bytes(door):
    for dtype in (np.int64, np.int8, np.uint16):
        with pytest.raises(ValueError, match=rf"floating-point.*, got {np.dtype(dtype).name}"):
            door((BYTES // 2).astype(dtype))


def test_forward_converts_nothing():
    with pytest.raises(TypeError, match="expected x of type float32, got uint8"):
        images().forward(BYTES)


def test_predictions_for_nothing_are_none_of_the_right_shape():
    assert images().predict(BYTES[:0]).shape == (0, 3)
    assert predict_labels(images(), BYTES[:0]).shape == (0,)
    tokens = np.zeros((0, 4), int)
    assert sentences().predict(tokens).shape == (0, 3)
    assert predict_labels(sentences(), tokens).shape == (0,)
    assert Embedding(9, 6).build()(tokens).shape == (0, 4, 6)
    for network, x in (
        (images(), BYTES[:0, :, :1]),
        (sentences(), np.zeros((0, 6), int)),
        (sentences(), np.zeros((2, 0), int)),
    ):
        with pytest.raises(ValueError, match=r"Network: expected input \(N, .* got \("):
            network.predict(x)


def test_a_token_that_the_vocabulary_lacks_is_refused_and_not_counted_from_the_end():
    network, tokens = sentences(), np.array([[3, -1, 0]])
    for call in (
        network.forward,
        network.predict,
        network.layers[0],
        lambda x: network.forward(x, True),
    ):
        with pytest.raises(ValueError, match="expected tokens from 0 to 8, got -1 to 3"):
            call(tokens)
        with pytest.raises(ValueError, match="expected tokens from 0 to 8, got 0 to 9"):
            call(np.array([[9, 0]]))
