"""Residual blocks and the chains in them: sums by hand, names, shapes and files."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import (
    ActivationLayer,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MeanSquaredError,
    Network,
    Residual,
    Sequential,
    WeightsError,
    probe,
)
from minidl.backend import to_numpy
from minidl.inspection import first_nonfinite, unit_stats

X = np.random.default_rng(0).standard_normal((6, 4))


def test_by_hand(device):
    """F(x) = relu(x W), S(x) = x V, for x = (1, 2)."""
    block = Residual([Dense(2, 2, "relu")], [Dense(2, 2)]).build(dtype="float64", device=device)
    F, S = block.branch.layers[0], block.shortcut.layers[0]
    F.W[...] = device.asarray(np.array([[1.0, -1.0], [2.0, 0.0]]))
    S.W[...] = device.asarray(np.array([[0.0, 1.0], [10.0, 0.0]]))
    x = device.asarray(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(to_numpy(block.forward(x)), [[5 + 20, 0 + 1]])
    dx = block.backward(device.asarray(np.array([[1.0, 3.0]])))
    np.testing.assert_array_equal(to_numpy(F.dW), [[1, 0], [2, 0]])
    np.testing.assert_array_equal(to_numpy(S.dW), [[1, 3], [2, 6]])
    np.testing.assert_array_equal(to_numpy(dx), [[1 + 3, 2 + 10]])


def test_the_activation_is_applied_to_the_sum():
    """F(x) = −x, S(x) = 2 x with tanh: tanh(x), whose slope is 1 − tanh²."""
    block = Residual([Dense(4, 4)], [Dense(4, 4)], "tanh").build(dtype="float64")
    block.branch.layers[0].W[...] = -np.eye(4)
    block.shortcut.layers[0].W[...] = 2 * np.eye(4)
    np.testing.assert_allclose(block.forward(X), np.tanh(X), rtol=1e-14)
    np.testing.assert_array_equal(block.z, X)
    np.testing.assert_allclose(block.backward(X), X * (1 - np.tanh(X) ** 2), rtol=1e-13)
    np.testing.assert_allclose(block.dz, X * (1 - np.tanh(X) ** 2), rtol=1e-13)
    assert repr(block) == "Residual(1 layer + 1 layer, tanh)"
    assert block.activation.name == "tanh"


def test_a_branch_that_gives_nothing_leaves_the_identity(device):
    block = Residual([Dense(4, 4)]).build(dtype="float64", device=device)
    block.branch.layers[0].W[...] = 0
    x = device.asarray(X)
    y = block.forward(x)
    np.testing.assert_array_equal(to_numpy(y), X)
    assert y is not x
    dx = block.backward(x)
    np.testing.assert_array_equal(to_numpy(dx), X)
    assert dx is not x
    assert block.backward(x, input_gradient=False) is None


def test_inputs_are_not_overwritten_if_dropout_returns_its_input():
    block = Residual([Dropout(0.5)]).build()
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(block.forward(x), 2)
    np.testing.assert_array_equal(block.backward(x), 2)
    assert (x == 1).all()
    y = block.forward(x, training=True)
    assert set(np.unique(y)) <= {1, 3}


# -- in a network -----------------------------------------------------------------------------


def blocks(rng=0, dtype="float64", device="cpu", width=4) -> Network:
    layers = [
        Dense(4, 4, "tanh"),
        Residual(
            [Dense(4, 5), BatchNorm(5), ActivationLayer("relu"), Dense(5, width)], [Dense(4, width)]
        ),
        Residual([Residual([Dense(width, width)]), Dropout(0.5)]),
        ActivationLayer("relu"),
    ]
    return Network(layers, 4, rng, dtype, device)


INNER = [
    "dense_1",
    *(f"residual_1.branch.{name}" for name in ("dense_1", "batchnorm_1", "dense_2")),
    "residual_1.shortcut.dense_1",
    "residual_2.branch.residual_1.branch.dense_1",
]


def test_layers_inside_are_found_by_name_and_live_in_the_flat_vectors(device):
    network = blocks(device=device)
    owners = list(dict.fromkeys(layer.name for layer, *_ in network.parameters()))
    assert owners == INNER
    assert network.theta.size == 20 + (25 + 10 + 24) + 20 + 20
    assert network.state.size == 10
    values = np.concatenate([to_numpy(v).ravel() for _, _, v, _ in network.parameters()])
    np.testing.assert_array_equal(values, to_numpy(network.theta))
    network.dtheta[...] = device.asarray(np.arange(network.theta.size, dtype=float))
    shortcut = network["residual_1.shortcut.dense_1"]
    assert to_numpy(shortcut.db).tolist() == [95, 96, 97, 98]
    assert shortcut is network["residual_1"].shortcut.layers[0]
    assert network["residual_2.branch"] is network.layers[2].branch
    with pytest.raises(KeyError, match=r"residual_1.branch.dense_1, .*, got 'residual_1.dense_1'"):
        network["residual_1.dense_1"]


def test_forward_and_backward_are_the_sum(device):
    network = blocks(device=device)
    x = device.asarray(X)
    network.forward(x)
    h = network["dense_1"].y
    first = network["residual_1"]
    summed = first.branch.layers[-1].y + first.shortcut.layers[-1].y
    np.testing.assert_array_equal(to_numpy(first.y), to_numpy(summed))
    assert first.x is h
    inner = network["residual_2.branch.residual_1"]
    expected = 2 * first.y + inner.branch.layers[0].y  # x + (x + F(x)), without dropout
    np.testing.assert_allclose(to_numpy(network["residual_2"].y), to_numpy(expected), rtol=1e-14)


def test_nothing_below_the_first_parameters_is_run_backward(monkeypatch):
    network = Network([Flatten(), Residual([Dropout(0.5), Dense(4, 4)])], (2, 2), dtype="float64")
    ran = []
    for layer in network.walk():

        def spy(dy, input_gradient=True, b=layer.backward, name=layer.name):
            ran.append(name)
            dx = b(dy, input_gradient)
            assert (dx is None) == (not input_gradient)
            return dx

        monkeypatch.setattr(layer, "backward", spy)
    y = network.forward(X.reshape(6, 2, 2), training=True)
    assert network.backward(y.copy()) is None
    assert ran == ["residual_1", "residual_1.branch", "residual_1.branch.dense_1"]
    ran.clear()
    assert network.backward(y.copy(), input_gradient=True).shape == (6, 2, 2)
    assert ran[-2:] == ["residual_1.branch.dropout_1", "flatten_1"]


def test_the_same_seed_draws_layer_by_layer():
    rng = np.random.default_rng(5)
    network = blocks(rng=5)
    for name in (name for name in INNER if "norm" not in name):
        W = network[name].W
        limit = np.sqrt(6 / sum(W.shape))
        np.testing.assert_array_equal(W, rng.uniform(-limit, limit, W.shape))
        assert not network[name].b.any()
    masks = network["residual_2.branch.dropout_1"].rng
    assert masks is not None


def test_given_names_are_kept_and_a_layer_may_move():
    head, block = Dense(4, 4), Residual([Dense(4, 4)])
    head.name, block.name = "head", "block"
    inner = Residual([head, Dense(4, 4)])
    inner.build()
    assert head.name == "branch.head"
    network = Network([block, inner], 4)
    assert [layer.name for layer in network.walk()] == [
        *("block.branch.dense_1", "block.branch", "block"),
        *("residual_2.branch.head", "residual_2.branch.dense_2"),
        *("residual_2.branch", "residual_2"),
    ]


def test_layers_of_a_named_branch_are_named_after_the_block():
    block = Residual({"conv": Dense(4, 4), "norm": BatchNorm(4)}, {"conv": Dense(4, 4)}, "relu")
    network = Network({"block": block}, 4)
    assert [layer.name for layer in network.walk()] == [
        *("block.conv", "block.norm", "block.branch"),
        *("block.shortcut.conv", "block.shortcut", "block"),
    ]
    assert network["block.conv"] is block.branch.layers[0]
    assert [layer.name for layer, _ in network.with_shapes()] == [
        *("block", "block.conv", "block.norm", "block.shortcut.conv")
    ]
    with pytest.raises(ValueError, match=r"different names, got 'residual_1.shortcut' twice"):
        Network([Residual({"shortcut": Dense(4, 4)}, [Dense(4, 4)])], 4)


def test_summary_shows_the_layers_inside():
    lines = blocks().summary().splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[3:-2]}
    inside = [
        f"residual_1.branch.{n}" for n in ("dense_1", "batchnorm_1", "activationlayer_1", "dense_2")
    ]
    assert list(rows)[1:7] == ["residual_1", *inside, "residual_1.shortcut.dense_1"]
    assert list(rows)[7:10] == ["residual_2", "residual_2.branch.residual_1", INNER[-1]]
    assert rows["residual_1"] == "Residual(4 layers + 1 layer) (N, 4) 79"
    assert rows["residual_1.branch.dense_1"] == "Dense(4 -> 5) (N, 5) 25"
    assert rows["residual_2"].startswith("Residual(2 layers + identity)")
    assert lines[-1] == "119 parameters, float64, on cpu"


def test_inspection_includes_the_layers_inside():
    network = blocks()
    found = probe(network, MeanSquaredError(), X, np.ones((6, 4)))
    assert list(dict.fromkeys(g.layer for g in found.gradients)) == INNER
    expected = ["dense_1", "residual_1.branch.dense_1", "residual_1.branch.activationlayer_1"]
    assert [u.layer for u in found.units][:3] == expected
    assert found.units == unit_stats(network)
    assert len({line.find("mean_abs") for line in str(found).splitlines()} - {-1}) == 1
    widths = {len(line) for line in str(found).splitlines()[: len(found.gradients) + 1]}
    assert len(widths) == 1
    ratio = probe(network, MeanSquaredError(), X, np.ones((6, 4)), update=0.1 * network.theta)
    assert ratio.gradients[2].update_ratio == pytest.approx(0.1)


def test_the_first_nonfinite_value_inside_is_located():
    network = blocks()
    with np.errstate(invalid="ignore"):
        for name, place in (
            ("residual_1.shortcut.dense_1", "W"),
            ("residual_1.branch.dense_2", "W"),
            ("residual_1.branch.batchnorm_1", "running_variance"),
        ):  # each comes before the one before it
            getattr(network[name], place)[...] = np.inf
            network.forward(X)
            assert first_nonfinite(network) == f"{name}.{place}"
        network.forward(X * np.nan)
    assert first_nonfinite(network) == "the input of the network"


def test_save_and_load(device, tmp_path):
    network = blocks(rng=1, device=device)
    network.forward(device.asarray(X), training=True)
    path = tmp_path / "w.npz"
    network.save(path)
    other = blocks(rng=2)
    other.load(path)
    assert other.theta.tobytes() == to_numpy(network.theta).tobytes()
    assert other.state.tobytes() == to_numpy(network.state).tobytes()
    np.testing.assert_allclose(other.predict(X), network.predict(X), rtol=1e-13)  # CPU and GPU
    with np.load(path) as file:
        W = file["residual_1.branch.dense_2.W"]
    np.testing.assert_array_equal(W, to_numpy(network["residual_1.branch.dense_2"].W))


def test_weights_of_other_blocks_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    Network([Residual([Dense(4, 4, "relu")])], 4).save(path)
    for layers in (
        [Residual([Dense(4, 4, "tanh")])],
        [Residual([Dense(4, 4, "relu")], [Dropout(0.1)])],
        [Dense(4, 4, "relu")],
    ):
        with pytest.raises(WeightsError, match="the weights of another network"):
            Network(layers, 4).load(path)


def test_a_chain_on_its_own_equals_the_network():
    rows = [Dense(4, 3, "tanh"), Dense(3, 2)]
    chain = Sequential(rows).build(rng=3, dtype="float64")
    network = Network([Dense(4, 3, "tanh"), Dense(3, 2)], 4, 3, "float64")
    np.testing.assert_array_equal(chain.forward(X), network.forward(X))
    dy = X[:, :2].copy()
    dx = chain.backward(dy)
    np.testing.assert_array_equal(dx, network.backward(dy, input_gradient=True))
    assert [layer.name for layer in rows] == ["dense_1", "dense_2"]
    assert chain.size == network.theta.size
    assert repr(chain) == "Sequential(Dense(4 -> 3, tanh), Dense(3 -> 2))"
    assert Network([Sequential([Dense(4, 2)]), Dense(2, 1)], 4)["sequential_1.dense_1"].W.shape == (
        4,
        2,
    )


def test_a_custom_layer_that_contains_layers():
    """As the docstring of Layer says: listing them in ``layers`` is all it takes."""

    class Twice(Layer):
        def __init__(self, inner):
            self.layers = [inner]

        def forward(self, x, training=False):
            self.x = x
            self.y = self.layers[0].forward(x, training) * 2
            return self.y

        def backward(self, dy, input_gradient=True):
            return self.layers[0].backward(dy * 2, input_gradient)

    network = Network([Twice(Dense(4, 4))], 4, dtype="float64")
    assert network.theta.size == 20
    assert network["twice_1.dense_1"].W.any()
    np.testing.assert_allclose(network.forward(X), 2 * X @ network["twice_1.dense_1"].W)
    assert "twice_1" in network.summary()
