"""The gradient checker must fail if a gradient is wrong: one planted error after another."""

from __future__ import annotations

import pytest
from planted import ARGUMENTS, LABELS

from minidl import Dense, Layer, Network, SoftmaxCrossEntropy, assert_gradients, check_gradients
from minidl.gradcheck import GradientError

RIGHT = [name for name in ARGUMENTS if name.endswith("nothing is wrong")]
WRONG = [name for name in ARGUMENTS if name not in RIGHT]


@pytest.mark.parametrize("name", RIGHT)
def test_passes_where(name):
    check = assert_gradients(*ARGUMENTS[name](), rng=1)
    assert check.passed
    assert check.worst <= 1e-7


@pytest.mark.parametrize("name", WRONG)
def test_fails_for(name):
    with pytest.raises(GradientError, match="FAILED"):
        assert_gradients(*ARGUMENTS[name](), rng=1)


@pytest.mark.parametrize("name", ["Dense: dW transposed", "Dense: db averaged", "relu: f' = 1"])
@pytest.mark.parametrize("depth", [0, 2])
def test_fails_for_a_planted_error_anywhere_in_a_network(name, depth):
    mutant = ARGUMENTS[name]()[0]
    mutant = mutant if isinstance(mutant, Layer) else Dense(4, 4, mutant)
    layers = [Dense(4, 4, "tanh") for _ in range(3)]
    layers[depth] = mutant
    network = Network(layers, 4, dtype="float64")
    check = check_gradients(network, (5, 4), LABELS, loss=SoftmaxCrossEntropy())
    assert not check.passed
    wrong = {row.name for row in check.rows if row.error > check.tolerance}
    if name.startswith("Dense"):
        assert wrong == {f"dense_{depth + 1}.W" if "dW" in name else f"dense_{depth + 1}.b"}
    else:  # everything up to there
        assert f"dense_{depth + 1}.W" in wrong
        assert "x" in wrong
