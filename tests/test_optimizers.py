"""Update rules: two steps by hand, ten steps against PyTorch, and what a rule must not do."""

from __future__ import annotations

import copy
import math
import pickle
from contextlib import nullcontext

import numpy as np
import pytest

from minidl import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    Dense,
    Examples,
    Layer,
    LayerNorm,
    MeanSquaredError,
    Network,
    RMSprop,
    range_test,
    train,
)
from minidl.backend import to_numpy
from minidl.backend.threads import using_threads
from minidl.fast.pool import one_pool
from minidl.kernel import CHUNK
from minidl.optimizers import Optimizer, is_matrix

THETA, G = np.array([1.0, -2.0]), np.array([0.5, 4.0])
G2 = np.array([-1.0, 2.0])
ETA_2 = 0.1 * math.sqrt(0.4375) / 0.75

# Two steps from THETA with the gradients G and G2, worked out by hand from the formulas.
BY_HAND = {
    # θ − 0.1 g
    "sgd": (SGD(0.1), [0.95, -2.4], [1.05, -2.6]),
    # v = g, then v = 0.9 g + g2 = (−0.55, 5.6)
    "momentum": (SGD(0.1, momentum=0.9), [0.95, -2.4], [1.005, -2.96]),
    # g + 0.9 v = 1.9 g = (0.95, 7.6), then g2 + 0.9 (−0.55, 5.6) = (−1.495, 7.04)
    "nesterov": (SGD(0.1, momentum=0.9, nesterov=True), [0.905, -2.76], [1.0545, -3.464]),
    # g + 0.2 θ = (0.7, 3.6), then g2 + 0.2 (0.93, −2.36) = (−0.814, 1.528)
    "l2": (SGD(0.1, l2=0.2), [0.93, -2.36], [1.0114, -2.5128]),
    # s = 0.25 g²: √s = g/2; then s = 0.75 · (0.0625, 4) + 0.25 · (1, 4) = (0.296875, 4)
    "rmsprop": (
        RMSprop(0.1, rho=0.75, epsilon=0.25),
        [1 - 0.05 / 0.5, -2 - 0.4 / 2.25],
        [0.9 + 0.1 / (math.sqrt(0.296875) + 0.25), -2 - 0.4 / 2.25 - 0.2 / 2.25],
    ),
    # m̂ = g, v̂ = g²; then m̂ = (0.25 g + 0.5 g2) / 0.75, v̂ = (0.1875 g² + 0.25 g2²) / 0.4375
    "adam": (
        Adam(0.1, beta1=0.5, beta2=0.75, epsilon=0.5),
        [1 - 0.05 / 1, -2 - 0.4 / 4.5],
        [
            0.95 - 0.1 * (-0.375 / 0.75) / (math.sqrt(0.296875 / 0.4375) + 0.5),
            -2 - 0.4 / 4.5 - 0.1 * (2 / 0.75) / (math.sqrt(4 / 0.4375) + 0.5),
        ],
    ),
    # θ − η_t m / (√v + ε): η_1 = 0.1 · 0.5 / 0.5, m = g/2, √v = |g|/2; η_2 = 0.1 √0.4375 / 0.75
    "adam in the form of Keras": (
        Adam(0.1, beta1=0.5, beta2=0.75, epsilon=0.5, epsilon_hat=True),
        [1 - 0.05 / 1.5, -2 - 0.4 / 5],
        [
            1 - 0.05 / 1.5 + ETA_2 * 0.375 / (math.sqrt(0.296875) + 0.5),
            -2 - 0.4 / 5 - ETA_2 * 2 / 2.5,
        ],
    ),
    "adamw in the form of Keras": (
        AdamW(0.1, beta1=0.5, beta2=0.75, epsilon=0.5, weight_decay=2.0, epsilon_hat=True),
        [0.8 - 0.05 / 1.5, -1.6 - 0.4 / 5],
        [
            0.8 * (0.8 - 0.05 / 1.5) + ETA_2 * 0.375 / (math.sqrt(0.296875) + 0.5),
            0.8 * (-1.6 - 0.4 / 5) - ETA_2 * 2 / 2.5,
        ],
    ),
    # Adam's steps, each after θ ← (1 − 0.1 · 2) θ
    "adamw": (
        AdamW(0.1, beta1=0.5, beta2=0.75, epsilon=0.5, weight_decay=2.0),
        [0.8 - 0.05, -1.6 - 0.4 / 4.5],
        [
            0.6 - 0.1 * (-0.375 / 0.75) / (math.sqrt(0.296875 / 0.4375) + 0.5),
            0.8 * (-1.6 - 0.4 / 4.5) - 0.1 * (2 / 0.75) / (math.sqrt(4 / 0.4375) + 0.5),
        ],
    ),
    # ‖G‖ = √16.25 is scaled to 1, ‖G2‖ = √5 too
    "clip": (
        SGD(0.1, clip_norm=1.0),
        [1 - 0.05 / math.sqrt(16.25), -2 - 0.4 / math.sqrt(16.25)],
        [
            1 - 0.05 / math.sqrt(16.25) + 0.1 / math.sqrt(5),
            -2 - 0.4 / math.sqrt(16.25) - 0.2 / math.sqrt(5),
        ],
    ),
    "a norm that is not reached": (SGD(0.1, clip_norm=4.1), [0.95, -2.4], [1.05, -2.6]),
    # clipped first, then the penalty: (0.5, 4)/√16.25 + 0.2 (1, −2), and g2/√5 + 0.2 θ
    "clip and l2": (
        SGD(0.1, l2=0.2, clip_norm=1.0),
        [0.98 - 0.05 / math.sqrt(16.25), -1.96 - 0.4 / math.sqrt(16.25)],
        [
            0.98 * (0.98 - 0.05 / math.sqrt(16.25)) + 0.1 / math.sqrt(5),
            0.98 * (-1.96 - 0.4 / math.sqrt(16.25)) - 0.2 / math.sqrt(5),
        ],
    ),
}


def test_two_steps_by_hand():
    for name, (optimizer, *expected) in BY_HAND.items():
        theta = THETA.copy()
        for g, after in zip((G, G2), expected, strict=True):
            optimizer.step(theta, g)
            np.testing.assert_allclose(theta, after, rtol=1e-14, err_msg=name)
        assert optimizer.t == 2


PYTORCH = {
    "sgd": (lambda: SGD(0.03), "SGD", {"lr": 0.03}),
    "momentum": (lambda: SGD(0.03, momentum=0.8), "SGD", {"lr": 0.03, "momentum": 0.8}),
    "nesterov": (
        lambda: SGD(0.03, momentum=0.8, nesterov=True, l2=0.05),
        "SGD",
        {"lr": 0.03, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
    ),
    "rmsprop": (lambda: RMSprop(0.02, l2=0.1), "RMSprop", {"lr": 0.02, "weight_decay": 0.1}),
    "rmsprop defaults": (RMSprop, "RMSprop", {}),
    "adam": (
        lambda: Adam(0.02, 0.8, 0.95, 1e-3),
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    "adam defaults": (Adam, "Adam", {}),
    "adam l2": (lambda: Adam(l2=0.3), "Adam", {"weight_decay": 0.3}),
    "adamw": (
        lambda: AdamW(0.02, weight_decay=0.4),
        "AdamW",
        {"lr": 0.02, "weight_decay": 0.4},
    ),
    "adamw defaults": (AdamW, "AdamW", {}),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", PYTORCH)
def test_ten_steps_down_a_quadratic_agree_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    make, theirs, options = PYTORCH[name]
    rng = np.random.default_rng(5)
    A = rng.standard_normal((12, 12))
    A = A @ A.T / 12
    theta = rng.standard_normal(12)
    parameter = torch.tensor(theta, requires_grad=True)
    ours, other = make(), getattr(torch.optim, theirs)([parameter], **options)
    for _ in range(10):
        parameter.grad = torch.tensor(A) @ parameter.detach()
        other.step()
        ours.step(theta, A @ theta)
        np.testing.assert_allclose(theta, parameter.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.peer
def test_clipping_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    gradient = np.random.default_rng(0).standard_normal(1000)
    theta = np.zeros(1000)
    parameter = torch.zeros(1000, dtype=torch.float64)
    parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_([parameter], 0.5)
    SGD(1.0, clip_norm=0.5).step(theta, gradient)
    # PyTorch divides by ‖g‖ + 1e-6
    np.testing.assert_allclose(-theta, parameter.grad.numpy(), rtol=1e-7)
    assert np.linalg.norm(theta) == pytest.approx(0.5, rel=1e-14)


# -- what every rule promises -----------------------------------------------------------------

EVERY = {
    "sgd": SGD,
    "nesterov": lambda **o: SGD(momentum=0.9, nesterov=True, **o),
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "sgd l2 clip": lambda **o: SGD(l2=0.1, clip_norm=0.5, **o),
    "adam l2 clip": lambda **o: Adam(l2=0.1, clip_norm=0.5, **o),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


@every
def test_the_gradient_is_unchanged_and_the_type_kept(make, device):
    rng = np.random.default_rng(0)
    start, g = rng.standard_normal((2, 40), np.float32)
    theta, dtheta = device.asarray(start.copy()), device.asarray(g.copy())
    optimizer = make()
    for _ in range(3):
        optimizer.step(theta, dtheta)
    np.testing.assert_array_equal(to_numpy(dtheta), g)
    assert theta.dtype == np.float32
    assert (to_numpy(theta) != start).all()
    for name in optimizer.slots:
        kept = getattr(optimizer, name)
        assert kept.dtype == np.float32
        assert type(kept) is type(theta)


@every
def test_every_entry_is_updated_alike(make):
    """All entries have the same numbers, so all must end at the same value."""
    size = 2 * CHUNK + 7
    theta, optimizer = np.full(size, 0.5), make()
    for g in (2.0, -1.0, 3.0):
        optimizer.step(theta, np.full(size, g / (1 if optimizer.clip_norm is None else 1e4)))
    assert (theta == theta[0]).all()
    assert theta[0] != 0.5


@every
def test_several_threads_give_the_same_bits_as_one(make):
    size = 2 * CHUNK + 7
    start, *gradients = np.random.default_rng(1).standard_normal((3, size), np.float32)
    results = []
    for within in (nullcontext, one_pool):
        theta, optimizer = start.copy(), make()
        with using_threads(2), within():
            for g in gradients:
                optimizer.step(theta, g)
        results.append(theta)
    np.testing.assert_array_equal(*results)


def test_the_learning_rate_may_change_between_steps():
    theta, optimizer = np.zeros(1), SGD(1.0)
    optimizer.step(theta, np.ones(1))
    optimizer.learning_rate = 0.25
    optimizer.step(theta, np.ones(1))
    assert theta[0] == -1.25
    optimizer.learning_rate = lambda done: done  # 2 steps done before the third
    optimizer.step(theta, np.ones(1))
    assert theta[0] == -3.25


def test_a_gradient_of_zeros_is_not_clipped_and_changes_nothing():
    theta = np.ones(3)
    SGD(clip_norm=1.0).step(theta, np.zeros(3))
    np.testing.assert_array_equal(theta, 1)


def test_another_size_needs_another_optimizer():
    optimizer = Adam()
    optimizer.step(np.zeros(3), np.ones(3))
    with pytest.raises(
        ValueError,
        match=r"Adam: has the moments of another network, .* optimizer for each network$",
    ):
        optimizer.step(np.zeros(4), np.ones(4))
    with pytest.raises(ValueError, match="make a new optimizer for each network"):
        SGD().step(np.zeros(3), np.ones(4))
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(2, 2\)"):
        SGD().step(np.zeros((2, 2)), np.ones((2, 2)))


def test_moments_are_not_carried_over_to_another_network():
    """Unless it is a copy of the rule that goes on with a copy of θ, or with another view of θ."""
    for make in EVERY.values():
        optimizer, theta = make(), np.ones(3)
        optimizer.step(theta, np.ones(3))
        optimizer.step(theta[:], np.ones(3))
        with pytest.raises(ValueError, match="has the moments of another network"):
            optimizer.step(np.ones(3), np.ones(3))
        twins = (
            copy.copy(optimizer),
            copy.deepcopy(optimizer),
            pickle.loads(pickle.dumps(optimizer)),
        )
        vectors = [theta, *(theta.copy() for _ in twins)]
        for rule, vector in zip((optimizer, *twins), vectors, strict=True):
            rule.step(vector, np.ones(3))
            np.testing.assert_array_equal(vector, theta)
        with pytest.raises(ValueError, match="has the moments of another network"):
            twins[0].step(theta, np.ones(3))


def test_train_refuses_the_optimizer_of_another_network_at_the_door():
    """Before a step has moved the running mean."""
    one, other = (Network([Dense(2, 2), BatchNorm(2)], 2) for _ in range(2))
    used = Adam()
    used.step(one.theta, one.dtheta)
    examples = Examples(np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="has the moments of another network"):
        train(other, examples, MeanSquaredError(), used, epochs=1)


def test_a_copy_does_not_decay_what_has_no_matrix_there():
    one = Network([Dense(3, 3), LayerNorm(3)], 3)
    other = Network([LayerNorm(3), Dense(3, 3)], 3)
    examples = Examples(np.ones((4, 3), np.float32), np.zeros((4, 3), np.float32))
    loss, rule = MeanSquaredError(), AdamW(decays=is_matrix)
    list(train(one, examples, loss, rule, epochs=1, progress=False))
    with pytest.raises(ValueError, match="other parameters decay; make a new optimizer"):
        train(other, examples, loss, copy.copy(rule), epochs=1)
    with pytest.raises(ValueError, match="make a new optimizer"):
        range_test(other, examples, loss=loss, optimizer=rule)
    for _ in train(one.copy(), examples, loss, copy.copy(rule), epochs=1, progress=False):
        pass


def test_an_attribute_that_nothing_reads_is_refused():
    for name, hint in (
        ("lr", "learning_rate"),
        ("learning_rte", "learning_rate"),
        ("betta1", "beta1"),
    ):
        with pytest.raises(AttributeError, match=f"Adam: has no {name}, .* did you mean {hint}"):
            setattr(Adam(), name, 0.1)
    with pytest.raises(AttributeError, match="Adam: has no weight_decay"):
        Adam().weight_decay = 0.1

    class Signs(Optimizer):
        slots = ("kept",)

        def __init__(self):
            super().__init__(0.5)
            self.scale = 2

        def update(self, theta, g, *now):
            self.kept[...] = np.sign(g)
            self._calls = 1
            theta -= now[0] * self.scale * self.kept

    rule, theta = Signs(), np.zeros(2)
    rule.scale = 4
    rule.step(theta, G)
    assert theta.tolist() == [-2, -2]
    with pytest.raises(AttributeError, match=r"Signs: has no v, .* slots names it"):
        rule.v = np.zeros(2)


def test_every_matrix_decays_whatever_it_is_called():
    class Recurrent(Layer):
        def parameter_shapes(self):
            return {"W_x": (2, 3), "W_h": (3, 3), "b": (3,)}

    network = Network([Dense(2, 2), BatchNorm(2), Recurrent()], 2, dtype="float64")
    network.theta[...] = 1
    rule = AdamW(0.5, weight_decay=0.2, decays=is_matrix)
    with pytest.raises(ValueError, match=r"which parameters decay; .*expect_network\(network\)"):
        rule.step(network.theta, 0 * network.theta)
    rule = AdamW(0.5, weight_decay=0.2, decays=is_matrix)
    rule.expect_network(network)
    rule.step(network.theta, 0 * network.theta)
    decayed = {f"{la.name}.{name}": set(v.ravel()) for la, name, v, _ in network.parameters()}
    assert {name for name, values in decayed.items() if values == {0.9}} == {
        *("dense_1.W", "recurrent_1.W_x", "recurrent_1.W_h")
    }
    assert {v for values in decayed.values() for v in values} == {0.9, 1}


def test_weight_decay_may_differ_for_each_entry():
    """θ ← (1 − η λ) θ with λ (P,); in the parts that decay alone, if a function says which."""
    network = Network([Dense(2, 1)], 2, dtype="float64")
    for decays, expected in ((None, [0.9, 0.8, 0.7]), (is_matrix, [0.9, 0.8, 1])):
        network.theta[...] = 1
        rule = AdamW(0.5, weight_decay=np.array([0.2, 0.4, 0.6]), decays=decays)
        rule.expect_network(network)
        rule.step(network.theta, np.zeros(3))
        np.testing.assert_allclose(network.theta, expected, rtol=1e-15)
    for wrong, message in (
        (np.array([0.1, -0.1]), "at least 0 everywhere"),
        (np.array([np.inf]), "and finite"),
        (np.array([1, 2]), "array of floating-point numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            AdamW(weight_decay=wrong)
    with pytest.raises(ValueError, match=r"expected weight_decay \(3,\) like θ.* got \(2,\)"):
        AdamW(weight_decay=np.ones(2)).expect_network(network)


OUT_OF_RANGE = [
    (SGD, {"learning_rate": math.inf}, "learning_rate above 0, got inf"),
    (Adam, {"learning_rate": -1}, "learning_rate above 0, got -1"),
    (SGD, {"momentum": -0.1}, "momentum >= 0 and < 1, got -0.1"),
    (SGD, {"nesterov": True}, "momentum above 0 with nesterov=True, got 0"),
    (SGD, {"l2": math.nan}, "l2 of at least 0, got nan"),
    (SGD, {"clip_norm": 0}, "clip_norm above 0, got 0"),
    (RMSprop, {"rho": 1}, "rho >= 0"),
    (RMSprop, {"epsilon": 0}, "epsilon above 0, got 0"),
    (Adam, {"beta1": 1}, "beta1 >= 0"),
    (Adam, {"beta2": 1.5}, "beta2 >= 0 and < 1, got 1.5"),
    (Adam, {"epsilon": 0}, "epsilon above 0, got 0"),
    (AdamW, {"weight_decay": -1}, "weight_decay of at least 0, got -1"),
]


def test_parameters_out_of_range():
    for rule, options, message in OUT_OF_RANGE:
        with pytest.raises(ValueError, match=f"{rule.__name__}: expected .*{message}"):
            rule(**options)


def test_a_rule_without_a_formula_is_an_error():
    with pytest.raises(NotImplementedError):
        Optimizer(0.1).step(np.zeros(1), np.zeros(1))
