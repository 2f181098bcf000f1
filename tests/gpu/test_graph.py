"""The step as a graph: the same numbers as launched one by one, and what a capture must not do.

The GPU is a pretended one where there is none (see pretended_cupy.py): it computes nothing while
a stream captures, and its graph replays into the arrays that existed then.
"""

from __future__ import annotations

import math

import numpy as np
import pretended_cupy
import pytest

from minidl import (
    Adam,
    Augmentation,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Examples,
    Flatten,
    MaxPool2D,
    MeanSquaredError,
    Network,
    NonFiniteLoss,
    Residual,
    RReLU,
    SoftmaxCrossEntropy,
    evaluate,
    probe,
)
from minidl.backend import to_numpy
from minidl.gpu import train
from minidl.gpu.graph import GraphError
from minidl.gpu.step import WARM_UP, step_on
from minidl.layers import Layer
from minidl.optimizers import OPTIMIZERS

N, BATCH = 42, 8  # five whole batches and one of two examples
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (N, 2, 3, 3), dtype=np.uint8)
LABELS = rng.integers(0, 4, N)


def network(device, f="tanh", dropout=False, dtype="float64"):
    noise = [Dropout(0.3), RReLU()] * dropout
    layers = [Flatten(), Dense(18, 7, f), *noise, Dense(7, 6, f), Dense(6, 4)]
    return Network(layers, (2, 3, 3), rng=1, dtype=dtype, device=device)


def trained(device, epochs=3, batch_size=BATCH, graph=True, between=None, **options):
    """Everything that a training run leaves behind, on the CPU."""
    f, rule = options.pop("f", "tanh"), options.pop("rule", "adam")
    net = network(device, f, options.pop("dropout", False), options.pop("dtype", "float64"))
    loss, optimizer = SoftmaxCrossEntropy(), OPTIMIZERS[rule](0.02, **options)
    found = []
    for epoch in train(
        net,
        Examples(IMAGES, LABELS),
        loss,
        optimizer,
        epochs=epochs,
        batch_size=batch_size,
        rng=2,
        progress=False,
        graph=graph,
    ):
        inside = [to_numpy(a).copy() for la in net.layers for a in (la.x, la.y)]
        figures = [epoch.train_loss, epoch.train_accuracy]
        found.append([figures, to_numpy(epoch.update).copy(), to_numpy(net.dtheta).copy(), *inside])
        if between is not None:
            between(net, loss, optimizer)
    kept = [to_numpy(getattr(optimizer, name)) for name in optimizer.slots]
    return [array for arrays in found for array in arrays] + [to_numpy(net.theta), *kept]


def assert_close(found, expected, rtol=1e-9):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


RULES = {
    "sgd": {},
    "momentum": {"rule": "sgd", "momentum": 0.9},
    "nesterov": {"rule": "sgd", "momentum": 0.9, "nesterov": True},
    "rmsprop": {},
    "adam": {},
    "adam_hat": {"rule": "adam", "epsilon_hat": True, "epsilon": 1e-2},
    "adamw": {"weight_decay": 0.1},
    "l2": {"rule": "adam", "l2": 0.1},
    "clipped": {"rule": "sgd", "clip_norm": 0.05},
    "clipped_l2": {"rule": "rmsprop", "clip_norm": 0.05, "l2": 0.1},
}


@pytest.mark.parametrize("name", RULES)
def test_a_graph_trains_as_the_cpu_does(name, gpu):
    options = {"rule": name} | RULES[name]
    assert_close(trained(gpu, **options), trained("cpu", **options))


def test_whatever_the_activation_function(gpu):
    for f in ("sigmoid", "relu", "leaky_relu", "selu", "gelu", "swish", "softmax"):
        assert_close(trained(gpu, f=f), trained("cpu", f=f))


def test_whatever_the_batch_size(gpu):
    for batch_size in (1, 7, 14, N, 100):
        options = {"batch_size": batch_size, "epochs": 2}
        assert_close(trained(gpu, **options), trained("cpu", **options))


def test_dropout_drops_the_same_units(gpu):
    assert_close(trained(gpu, dropout=True), trained("cpu", dropout=True))


def both(gpu, layers, epochs=2, after=lambda net: [], **options):
    """What a network and its layers are after training on the GPU, compared with the CPU."""
    found = {}
    for where in ("cpu", gpu):
        net = Network(layers(), (2, 3, 3), rng=3, dtype="float64", device=where)
        settings = {"epochs": epochs, "batch_size": BATCH, "progress": False}
        settings |= {name: make() for name, make in options.items()}
        found[where] = []
        for _ in train(net, Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), Adam(), **settings):
            found[where] += [to_numpy(layer.y).copy() for layer in net.walk()]
            found[where] += after(net)
        found[where] += [to_numpy(net.theta), to_numpy(net.state)]
    assert_close(found[gpu], found["cpu"])


def test_augmentation_shows_the_same_views(gpu):
    both(*(gpu, lambda: [Flatten(), Dense(18, 4)]), augment=lambda: Augmentation(padding=1, rng=5))


def test_layers_within_layers_are_part_of_it(gpu):
    """Each draws once in a step, and an evaluation between epochs does not affect them."""

    def layers():
        inner = Residual([Dense(6, 6, "swish"), Dropout(0.3)], [Dense(6, 6)])
        return [Flatten(), Dense(18, 6), Residual([BatchNorm(6), inner]), Dense(6, 4)]

    def judged(net):
        return [evaluate(net, Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), batch_size=N).loss]

    both(gpu, layers, epochs=3, after=judged)


def test_images_go_through_convolutions_and_running_values_follow_each_step(gpu):
    def layers():
        convolution = Conv2D(2, 3, 2, activation="tanh")
        return [BatchNorm(2), convolution, BatchNorm(3), MaxPool2D(2), Flatten(), Dense(3, 4)]

    both(gpu, layers)


class Hoarding(Layer):
    """A layer that allocates in every step and notes whether the memory is the graph's."""

    alone: list[bool] = []

    def forward(self, x, training=False):
        self.x, self.y = x, x + 1
        self.alone.append(bool(pretended_cupy._Memory.allocators))
        return self.y

    def backward(self, dy, input_gradient=True):
        return dy


def test_all_steps_of_the_graph_use_its_own_memory(monkeypatch):
    pretended_cupy.install(monkeypatch)
    net = Network([Flatten(), Dense(18, 4), Hoarding()], (2, 3, 3), device="cuda")
    step = step_on(net, Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), Adam(), BATCH)
    with step.epoch(np.arange(N)):
        for _ in range(step.steps):
            step()
    # the warm-up and the capture; replays do not call it; the smaller last batch is separate
    assert Hoarding.alone == [True] * WARM_UP + [True, False]


def test_launches_one_by_one_give_the_bits_of_the_graph(gpu):
    for dtype in ("float32", "float64"):
        with_graph, without = (trained(gpu, graph=graph, dtype=dtype) for graph in (True, False))
        for a, b in zip(with_graph, without, strict=True):
            np.testing.assert_array_equal(a, b)


def test_float32_stays_close_to_the_cpu(gpu):
    assert_close(trained(gpu, dtype="float32"), trained("cpu", dtype="float32"), rtol=2e-3)


def test_work_between_epochs_does_not_affect_the_graph(gpu):
    """Evaluation and a probe replace the layers' arrays; a replay restores them."""

    def between(net, loss, optimizer):
        data = Examples(IMAGES, LABELS)
        evaluate(net, data, loss, batch_size=30)
        evaluate(net, data, loss, batch_size=N)
        x, labels = data.to(net.device).batch(0, BATCH, net.dtype)
        figures = probe(net, loss, x, labels)
        assert figures.loss > 0
        assert net.layers[0].x.shape[0] == BATCH

    assert_close(trained(gpu, between=between), trained(gpu))


def test_gradients_can_be_inspected_after_any_step(gpu):
    seen = {}
    for where in ("cpu", gpu):
        net, loss = network(where), SoftmaxCrossEntropy()
        step = step_on(net, Examples(IMAGES, LABELS), loss, Adam(), BATCH)
        seen[where] = []
        with step.epoch(np.arange(N)):
            for _ in range(step.steps):
                step()
                seen[where] += [to_numpy(a).copy() for a in (net["dense_1"].dW, net["dense_2"].z)]
                seen[where] += [to_numpy(step.losses[: step.done * BATCH]).copy()]
        assert where == "cpu" or step.graph.launches is not None
    assert_close(seen[gpu], seen["cpu"])


def test_an_epoch_may_end_early(device):
    step = step_on(network(device), Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), Adam(), BATCH)
    step.losses.fill(math.nan)  # earlier values are not read
    with step.epoch(np.arange(N)):
        step()
        step()
    loss, accuracy = step.mean_loss_and_accuracy()
    assert loss == pytest.approx(float(step.losses[: 2 * BATCH].mean()), rel=1e-12)
    assert 0 <= accuracy <= 1


def test_the_learning_rate_may_change_between_epochs(gpu):
    def slower(net, loss, optimizer):
        optimizer.learning_rate /= 10

    assert_close(trained(gpu, between=slower), trained("cpu", between=slower))


def test_nothing_is_recorded_before_the_warm_up(gpu):
    step = step_on(network(gpu), Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), Adam(), BATCH)
    with step.epoch(np.arange(N)):
        for number in range(step.steps - 1):
            assert (step.graph.launches is None) == (number <= WARM_UP)
            step()
        assert step.graph.launches is not None


def failure(net, inputs=IMAGES, targets=LABELS, loss=None, **options):
    data, options = Examples(inputs, targets), {"epochs": 2, "batch_size": BATCH} | options
    with pytest.raises(NonFiniteLoss) as caught:
        list(train(net, data, loss or SoftmaxCrossEntropy(), Adam(), progress=False, **options))
    return str(caught.value)


def test_a_loss_that_is_not_finite_is_found_at_the_end_of_the_epoch(gpu):
    for graph in (True, False):
        net = network(gpu, "relu")
        net["dense_2"].b[1] = math.nan
        told = failure(net, graph=graph)
        assert told.startswith("epoch 1, step 1: the loss is nan, found at the end of the epoch")
        assert "clip_norm=1.0" in told
    inputs, targets = IMAGES / 255.0, np.zeros((N, 4))
    inputs[11, 1, 0, 2] = math.nan
    told = failure(network(gpu), inputs, augment=lambda x: x)
    assert "found at the end of the epoch" in told
    assert "; inputs[11, 1, 0, 2] is nan: put a" in told
    order = np.random.default_rng(0).permutation(N)
    targets[order[3 * BATCH + 2]] = 1e200  # squared, it overflows
    told = failure(network(gpu), targets=targets, loss=MeanSquaredError())
    assert told.startswith("epoch 1, step 4: the loss is inf, found at the end")


class Fetching(Layer):
    """A layer that fetches a value to the CPU in every step, which no graph can do."""

    def forward(self, x, training=False):
        self.x, self.y = x, x * float(x.max())
        return self.y

    def backward(self, dy, input_gradient=True):
        return dy * float(self.x.max())


class Copying(Fetching):
    """A layer that copies an array from the CPU in every step."""

    def forward(self, x, training=False):
        from minidl.backend import namespace

        self.x, self.y = x, x + namespace(x).asarray(np.ones(x.shape))
        return self.y


@pytest.mark.parametrize("layer", [Fetching, Copying])
def test_a_layer_that_no_graph_can_hold_is_an_error_that_says_what_to_do(layer, gpu):
    def run(graph):
        layers = [Flatten(), Dense(18, 4), layer(), Dropout(0.5)]
        net = Network(layers, (2, 3, 3), dtype="float64", device=gpu)
        nets.append(net)
        options = {"epochs": 1, "batch_size": BATCH, "progress": False, "graph": graph}
        return list(train(net, Examples(IMAGES, LABELS), SoftmaxCrossEntropy(), Adam(), **options))

    nets = []
    with pytest.raises(GraphError, match=r"cuda:0: .* CUDA graph .*graph=False\) launches step by"):
        run(graph=True)
    assert not nets[0]["dropout_1"].is_ahead  # the next step draws anew
    assert len(run(graph=False)) == 1
