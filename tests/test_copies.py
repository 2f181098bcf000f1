"""A network is a value: copied, pickled or sent to another process, it computes and learns on."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from make_layers import LAYERS, build, cut, steps

from minidl import (
    Adam,
    AdamW,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    Examples,
    FirstToken,
    Flatten,
    Layer,
    MaxPool2D,
    Network,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    check_gradients,
    fit,
    probe,
    train,
)
from minidl.backend import to_numpy
from minidl.optimizers import is_matrix


class Scale(Layer):
    """A user's layer: a parameter, a state, and attributes of its own."""

    def __init__(self, rate):
        self.rate, self.seen = rate, []

    def parameter_shapes(self):
        return {"s": (4,)}

    def state_shapes(self):
        return {"steps": (1,)}

    def initialize(self, rng):
        for value in self.parameters().values():
            value[...] = 1

    def forward(self, x, training=False):
        self.seen.append(len(x))
        self.scratch = x * self.rate  # of another shape from batch to batch
        self.steps += training
        self.x, self.y = x, x * self.s
        return self.y

    def backward(self, dy, input_gradient=True):
        self.ds = (dy * self.x).sum(axis=0)
        return dy * self.s


def dense(device="cpu"):
    layers = [Dense(5, 4, "tanh"), BatchNorm(4), Scale(0.5), Dropout(0.5)]
    return Network([*layers, Residual([Dense(4, 4)]), Dense(4, 3)], 5, device=device)


def images(device="cpu"):
    layers = [Conv2D(1, 3, 3, padding=1), BatchNorm(3), MaxPool2D(2), Flatten(), Dense(27, 3)]
    return Network(layers, (1, 6, 6), device=device)


def tokens(device="cpu"):
    embedding = Embedding(7, 4, padding=0)
    block = EncoderBlock(4, 2, 8, dropout=0.3, tokens=embedding)
    return Network([embedding, block, FirstToken(), Dense(4, 3)], (5,), device=device)


RNG = np.random.default_rng(0)
NETWORKS = {
    "dense": (dense, RNG.standard_normal((12, 5)).astype(np.float32)),
    "images": (images, RNG.standard_normal((12, 1, 6, 6)).astype(np.float32)),
    "tokens": (tokens, RNG.integers(0, 7, (12, 5)) * np.array([1, 1, 1, 0, 0])),
}
LABELS = np.arange(12) % 3
COPIES = {
    "copy()": Network.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
}


def learn(network, optimizer, x, steps=3):
    """A few steps by hand, the predictions after them."""
    x, labels = network.device.asarray(x), network.device.asarray(LABELS)
    for _ in range(steps):
        _, dlogits = SoftmaxCrossEntropy()(network.forward(x, training=True), labels)
        network.backward(dlogits)
        optimizer.step(network.theta, network.dtheta)
    return network.predict(x)


def assert_equal(one, other):
    for name in ("theta", "dtheta", "state"):
        ours, theirs = (to_numpy(getattr(network, name)) for network in (one, other))
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_copy_goes_on_as_the_original_does_and_each_by_itself(kind, device):
    """With its gradients, state and noise, and with the moments of its optimizer."""
    make, x = NETWORKS[kind]
    for how, duplicate in COPIES.items():
        network, optimizer = make(device), Adam(0.01)
        learn(network, optimizer, x)
        twin, rule = duplicate(network), copy.deepcopy(optimizer)
        twin.expect_views(how)
        assert_equal(network, twin)
        assert [layer.name for layer in twin.walk()] == [layer.name for layer in network.walk()]
        before = to_numpy(network.theta).copy()
        expected = learn(twin, rule, x)
        np.testing.assert_array_equal(to_numpy(network.theta), before, err_msg=how)
        assert (to_numpy(twin.theta) != before).any(), how
        np.testing.assert_array_equal(learn(network, optimizer, x), expected, err_msg=how)
        assert_equal(network, twin)


def test_a_network_and_its_optimizer_may_be_copied_together():
    network = dense()
    optimizer = AdamW(0.01, decays=is_matrix)
    optimizer.expect_network(network)
    learn(network, optimizer, NETWORKS["dense"][1])
    twin, rule = copy.deepcopy((network, optimizer))
    np.testing.assert_array_equal(
        learn(twin, rule, NETWORKS["dense"][1]), learn(network, optimizer, NETWORKS["dense"][1])
    )


def test_attention_in_a_copy_reads_the_mask_of_the_copied_embedding():
    twin = tokens().copy()
    assert twin["encoderblock_1.attention"].tokens is twin["embedding_1"]


@pytest.mark.slow
def test_a_trip_to_another_process_and_back():
    make, x = NETWORKS["images"]
    network = make()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        back = pool.submit(partial(_trained, x), network).result()
    back.expect_views("back")
    np.testing.assert_array_equal(back.theta, _trained(x, network).theta)


def _trained(x, network):
    learn(network, Adam(0.01), x)
    return network


@pytest.mark.cluster
def test_a_class_that_is_pickled_by_value_may_have_been_built():
    """As a sweep sends the layers of a script."""
    cloudpickle = pytest.importorskip("cloudpickle")

    class Local(Scale):
        def parameter_shapes(self):
            return {"local": (4,)}

    network = Network([Local(1)], 4)
    network["local_1"].local = np.arange(4, dtype=np.float32)
    twin = pickle.loads(cloudpickle.dumps(network))
    twin["local_1"].local += 1
    assert twin.theta.tolist() == [1, 2, 3, 4]


def test_the_pickle_holds_each_parameter_once():
    network = Network([Dense(300, 300)], 300)
    assert len(pickle.dumps(network)) < 2.1 * network.theta.nbytes  # with its gradient


# -- layers -----------------------------------------------------------------------------------


def test_a_copied_layer_is_its_own_and_may_go_into_another_network():
    network = dense()
    for duplicate in (copy.copy, copy.deepcopy, lambda la: pickle.loads(pickle.dumps(la))):
        for layer in (network["dense_1"], network["residual_1"]):
            twin = duplicate(layer)
            ours, theirs = (next(iter(la.walk())).W for la in (twin, layer))
            np.testing.assert_array_equal(ours, theirs)
            assert not np.shares_memory(ours, theirs)
        other = Network([duplicate(network["dense_1"]), duplicate(network["dense_2"])], 5)
        assert [layer.name for layer in other.layers] == ["dense_1", "dense_2"]
    network.expect_views("network")


def test_a_copy_between_forward_and_backward_has_the_gradients_of_the_layer():
    for name in LAYERS:
        layer = build(name)
        x, drawn, _ = steps(name)[0]
        dy = np.ascontiguousarray(cut(drawn, layer.forward(x, training=True)))
        twin = copy.deepcopy(layer)
        results = []
        for one in (layer, twin):
            dx = one.backward(dy)
            gradients = [g.copy() for part in one.walk() for g in part.gradients().values()]
            results.append(gradients if dx is None else [dx, *gradients])
            for part in one.walk():  # does not change the other
                for array in (*part.parameters().values(), *part.gradients().values()):
                    array += 1
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14, err_msg=name)


def test_a_layer_does_not_leave_its_network():
    network = dense()
    message = r"Network: dense_1, Dense\(5 -> 4, tanh\), already belongs to a network"
    with pytest.raises(ValueError, match=message):
        Network([network["dense_1"]], 5)
    with pytest.raises(
        ValueError, match=r"residual_1\.branch\.dense_1, .* already belongs to a network"
    ):
        Network([Sequential([network["residual_1"]])], 4)
    with pytest.raises(ValueError, match=r"Dense\(5 -> 4, tanh\): dense_1, .*copy\.deepcopy"):
        network["dense_1"].build()
    network.expect_views("network")


def test_automatic_names_are_those_of_the_network_that_is_made():
    """Not those of an attempt that failed, or of the network in which a copied layer was."""
    first, last = Dense(4, 2), Dense(2, 2)
    last.name = "head"
    with pytest.raises(ValueError, match="layer dense_1 does not fit"):
        Network([first, last], 3)
    network = Network([Dense(3, 4), first, last], 3)
    assert [layer.name for layer in network.layers] == ["dense_1", "dense_2", "head"]
    twins = [copy.deepcopy(layer) for layer in network.layers[1:]]
    assert [la.name for la in Network(twins, 4).layers] == ["dense_1", "head"]


# -- what is assigned is written into the vectors ----------------------------------------------


def test_what_is_assigned_to_a_parameter_is_written_into_the_vectors(device):
    network = dense(device)
    layer, norm = network["dense_1"], network["batchnorm_1"]
    W = device.asarray(np.full((5, 4), 2, np.float32))
    layer.W, layer.dW = W, 3 * W
    layer.b -= 1
    norm.running_mean = norm.running_mean + 7
    assert to_numpy(network.theta[:24]).tolist() == [2] * 20 + [-1] * 4
    assert to_numpy(network.dtheta[:20]).tolist() == [6] * 20
    assert to_numpy(network.state[:4]).tolist() == [7] * 4
    network.theta, network.dtheta = network.theta * 2, network.dtheta * 0
    network.state = network.state * 0
    assert float(layer.W[0, 0]) == 4
    assert float(layer.dW[0, 0]) == float(norm.running_mean[0]) == 0
    network.expect_views("network")


def test_another_shape_type_or_device_is_refused_by_name():
    network = dense()
    before = network.theta.copy()
    for value, error, message in (
        (np.zeros((4, 5), np.float32), ValueError, r"dense_1: expected W \(5, 4\), got \(4, 5\)"),
        (np.zeros((5, 4)), TypeError, "dense_1: expected W of type float32, got float64"),
        (0.0, ValueError, "dense_1: expected W to be a NumPy or CuPy array, got float"),
    ):
        with pytest.raises(error, match=message):
            network["dense_1"].W = value
    with pytest.raises(ValueError, match=r"Network: expected theta \(\d+,\), got \(3,\)"):
        network.theta = np.zeros(3, np.float32)
    np.testing.assert_array_equal(network.theta, before)


def test_a_layer_that_is_not_built_has_the_attributes_of_its_author():
    """The same class with and without a parameter; and before it is built."""
    built = Dense(2, 3).build()
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'W'"):
        _ = Dense(2, 3).W

    class Maybe(Layer):
        offset = None

        def __init__(self, has_offset):
            self.has_offset = has_offset

        def parameter_shapes(self):
            return {"offset": (2,)} if self.has_offset else {}

        def forward(self, x, training=False):
            self.offset = self.offset if self.has_offset else x[:1]
            self.x, self.y = x, x + self.offset
            return self.y

    assert Maybe(False).offset is None
    with_one, without = Network([Maybe(True)], 2), Network([Maybe(False)], 2)
    for size in (3, 5):
        without.forward(np.ones((size, 2), np.float32))
    assert with_one["maybe_1"].offset.tolist() == [0, 0]
    assert Maybe(True).offset is None
    assert built.W.shape == (2, 3)


def test_names_of_other_frameworks_are_refused():
    """Unless a layer's author uses them."""
    network = dense()
    for owner, name, hint in (
        (network, "trainable", "all parameters of a network learn"),
        (network["dense_1"], "requires_grad", "all parameters of a network learn"),
        (network["scale_1"], "lr", "an optimizer has the learning_rate"),
        (network["dense_1"], "weight", "its parameters are W and b"),
    ):
        with pytest.raises(
            AttributeError, match=f"has no {name}, so nothing would read it; {hint}"
        ):
            setattr(owner, name, 1)
        assert not hasattr(owner, name)

    class Frozen(Dense):
        trainable = False

        def __init__(self):
            super().__init__(2, 2)
            self.frozen = self.weight = True

    layer = Frozen().build()
    layer.trainable = layer.frozen = True
    assert layer.trainable is layer.frozen is layer.weight is True
    assert copy.deepcopy(layer).frozen


def loose():
    network = Network([Dense(5, 4), Dense(4, 3)], 5, dtype="float64")
    vars(network["dense_2"])["W"] = np.zeros((4, 3))
    return network


def test_layers_that_were_replaced_are_noticed():
    for change, message in (
        (lambda la: la.append(Dense(3, 3)), "has no W yet"),
        (lambda la: la.__setitem__(1, Dense(4, 3).build()), r"Dense\(4 -> 3\)\.W is no longer"),
        (list.pop, "the network has lost a layer"),
    ):
        network = Network([Dense(5, 4), Dense(4, 3)], 5)
        change(network.layers)
        with pytest.raises(RuntimeError, match=message):
            network.expect_views("train")


X = RNG.standard_normal((12, 5))
CE = SoftmaxCrossEntropy()


@pytest.mark.parametrize(
    ("owner", "call"),
    [
        ("train", lambda n: next(train(n, Examples(X, LABELS), CE, Adam(), epochs=1))),
        ("fit", lambda n: fit(n, X, LABELS, validation=None)),
        ("probe", lambda n: probe(n, CE, X, LABELS)),
        ("check_gradients", lambda n: check_gradients(n, X)),
    ],
)
def test_an_array_that_is_not_in_the_vectors_is_noticed_at_the_door(owner, call):
    message = rf"{owner}: dense_2\.W is no longer part of the network's theta"
    with pytest.raises(RuntimeError, match=message):
        call(loose())


def test_what_a_network_was_made_of_cannot_be_exchanged():
    """Its forward pass would go on with the old layers, its vectors with the old type."""
    network = Network([Dense(2, 3), Dense(3, 2)], 2)
    for name in ("layers", "input_shape", "shapes", "dtype", "device"):
        with pytest.raises(AttributeError, match=f"Network: {name} is fixed when the network is"):
            setattr(network, name, getattr(network, name))
