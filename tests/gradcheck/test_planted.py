"""The gradient checker must fail if a gradient is wrong: one planted error after another."""

from __future__ import annotations

import pytest
from planted import LABELS, PLANTED

from minidl import Dense, Layer, Network, SoftmaxCrossEntropy, assert_gradients, check_gradients


@pytest.mark.parametrize("kind", PLANTED)
def test_every_planted_error_is_found(kind):
    make, errors, right = PLANTED[kind]
    for change in right:
        assert assert_gradients(*make(change), rng=1).worst <= 1e-7
    for error, change in errors.items():
        assert check_gradients(*make(change), rng=1, directions=1).verdict == "FAILED", error


@pytest.mark.parametrize(
    ("kind", "error"),
    [("Dense", "dW transposed"), ("Dense", "db averaged"), ("relu", "f' = 1")],
)
def test_an_error_anywhere_in_a_network_is_found_and_named(kind, error):
    for depth in (0, 2):
        mutant = PLANTED[kind].make(PLANTED[kind].errors[error])[0]
        layers = [Dense(4, 4, "tanh") for _ in range(3)]
        layers[depth] = mutant if isinstance(mutant, Layer) else Dense(4, 4, mutant)
        network = Network(layers, 4, dtype="float64")
        check = check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy())
        assert not check.passed
        wrong = {row.name for row in check.rows if row.error > check.tolerance}
        if kind == "Dense":
            assert wrong == {f"dense_{depth + 1}.W" if "dW" in error else f"dense_{depth + 1}.b"}
        else:  # everything up to there
            assert {f"dense_{depth + 1}.W", "x"} <= wrong
