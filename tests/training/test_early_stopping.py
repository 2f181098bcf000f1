"""When training stops and which weights are restored: as in Keras."""

from __future__ import annotations

import copy
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_learning import PLACE, STOPPINGS

from minidl import (
    Dense,
    EarlyStopping,
    Network,
)
from minidl.backend import to_numpy

GOLDEN = json.loads(PLACE.read_text("utf-8"))["EarlyStopping"]


def run(stopping, losses, network):
    """The epoch after which it stops, or None; θ is set to the number of the epoch."""
    for epoch, loss in enumerate(losses, 1):
        network.theta[...] = epoch
        if stopping.update(network, loss):
            return epoch
    return None


@pytest.mark.parametrize("name", STOPPINGS)
def test_stops_and_restores_as_keras_does(name, device):
    patience, min_delta, losses = STOPPINGS[name]
    network = Network([Dense(2, 3)], 2, device=device)
    stopping = EarlyStopping(patience, min_delta)
    assert run(stopping, losses, network) == GOLDEN[name]["stopped"]
    stopping.restore(network)
    assert (to_numpy(network.theta) == GOLDEN[name]["restored"]).all()
    assert stopping.best_epoch == GOLDEN[name]["restored"]
    assert stopping.best == losses[stopping.best_epoch - 1]


def test_nan_and_infinity_are_never_the_best():
    """Keras takes the first value whatever it is, and nothing is ever better than NaN."""
    network = Network([Dense(1, 1)], 1)
    stopping = EarlyStopping(3)
    assert run(stopping, [math.nan, math.inf, 2.0, math.nan, 3.0, math.nan], network) == 6
    stopping.restore(network)
    assert (network.theta == 3).all()
    assert run(EarlyStopping(2), [math.nan] * 5, network) == 2


def test_the_stored_weights_are_always_a_copy():
    network = Network([Dense(1, 1)], 1)
    stopping = EarlyStopping(2)
    run(stopping, [3, 2, 1, 5], network)
    theta = network.theta
    network.theta[...] = -1
    stopping.restore(network)
    assert network.theta is theta  # the layers' views remain valid
    assert network["dense_1"].W[0, 0] == 3
    network.theta[...] = -1
    stopping.restore(network)
    assert (network.theta == 3).all()


@given(st.lists(st.floats(0, 5), min_size=1, max_size=20), st.integers(1, 4))
def test_laws(losses, patience):
    network = Network([Dense(1, 1)], 1)
    stopping = EarlyStopping(patience)
    stopped = run(stopping, losses, network)
    seen = losses[:stopped]
    assert stopping.best == min(seen)
    assert seen.index(min(seen)) == stopping.best_epoch - 1  # the first of equal values
    assert stopped is None or stopped == stopping.best_epoch + patience


def test_a_second_network_is_refused():
    """Its weights would be compared with, and replaced by, those of the first."""
    stopping = EarlyStopping(2)
    stopping.update(Network([Dense(1, 1)], 1), 1.0)
    with pytest.raises(ValueError, match="got another; make a new EarlyStopping for each"):
        stopping.update(Network([Dense(1, 1)], 1), 2.0)
    assert not copy.deepcopy(stopping).update(Network([Dense(1, 1)], 1), 2.0)


def test_nothing_to_restore():
    network, stopping = Network([Dense(1, 1)], 1), EarlyStopping(1)
    message = r"expected a finite value before restore, got none; call update\(network, value\)"
    with pytest.raises(RuntimeError, match=message):
        stopping.restore(network)
    stopping.update(network, math.nan)
    with pytest.raises(RuntimeError, match=message):
        stopping.restore(network)
