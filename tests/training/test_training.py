"""Training: every figure against an independent loop, and every promise along the way."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from minidl import (
    SGD,
    Activate,
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
    SoftmaxCrossEntropy,
    evaluate,
    train,
)
from minidl.backend import to_numpy
from minidl.optimizers import OPTIMIZERS, Optimizer
from minidl.training.step import TrainingStep

N, BATCH = 23, 5  # four batches of 5 and one of 3
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 2, 4), dtype=np.uint8)
LABELS = RNG.integers(0, 3, N)


def network(f="tanh", dtype="float64", device="cpu", dropout=False) -> Network:
    layers = [Flatten(), Dense(8, 6, f), *[Dropout(0.5)] * dropout, Dense(6, 3)]
    return Network(layers, (2, 4), rng=1, dtype=dtype, device=device)


def examples() -> Examples:
    return Examples(IMAGES, LABELS)


def run(net, optimizer=None, data=None, **options):
    options = {"epochs": 3, "batch_size": BATCH, "rng": 7, "progress": False} | options
    loss = options.pop("loss", SoftmaxCrossEntropy())
    return train(net, data or examples(), loss, optimizer or SGD(0.5), **options)


# -- an independent loop ----------------------------------------------------------------------


def by_hand(epochs: int, rate: float):
    """The same training in plain NumPy; only the initial weights come from minidl."""
    net = network()
    W1, b1, W2, b2 = (value.copy() for _, _, value, _ in net.parameters())
    rng = np.random.default_rng(7)
    records = []
    for _ in range(epochs):
        order = rng.permutation(N)
        losses, right = [], 0
        for start in range(0, N, BATCH):
            rows = order[start : start + BATCH]
            x = IMAGES[rows].reshape(len(rows), 8) / 255
            a = np.tanh(x @ W1 + b1)
            z = a @ W2 + b2
            p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            losses += [-math.log(p[i, LABELS[row]]) for i, row in enumerate(rows)]
            right += sum(z[i].argmax() == LABELS[row] for i, row in enumerate(rows))
            dz = (p - np.eye(3)[LABELS[rows]]) / len(rows)
            da = dz @ W2.T * (1 - a * a)
            steps = [x.T @ da, da.sum(0), a.T @ dz, dz.sum(0)]
            for value, step in zip((W1, b1, W2, b2), steps, strict=True):
                value -= rate * step
        update = -rate * np.concatenate([step.ravel() for step in steps])
        records.append((sum(losses) / N, right / N, update))
    return records, np.concatenate([W1.ravel(), b1, W2.ravel(), b2])


def test_epochs_agree_with_a_loop_in_plain_numpy(device):
    net = network(device=device)
    records, theta = by_hand(epochs=3, rate=0.5)
    epochs = []
    for epoch, (loss, accuracy, update) in zip(run(net), records, strict=True):
        assert epoch.train_loss == pytest.approx(loss, rel=1e-11)
        assert epoch.train_accuracy == pytest.approx(accuracy, rel=1e-15)
        np.testing.assert_allclose(to_numpy(epoch.update), update, rtol=1e-9, atol=1e-14)
        assert epoch.steps == 5
        assert epoch.seconds > 0
        assert epoch.images_per_second == N / epoch.seconds
        epochs.append(epoch.number)
    assert epochs == [1, 2, 3]
    np.testing.assert_allclose(to_numpy(net.theta), theta, rtol=1e-10)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(device):
    results = []
    for rng in (7, np.random.default_rng(7), 8):
        net = network("relu", "float32", dropout=True, device=device)
        losses = [e.train_loss for e in run(net, Adam(), rng=rng)]
        results.append((losses, to_numpy(net.theta).tobytes()))
    assert results[0] == results[1]
    assert results[0][0] != results[2][0]
    assert results[0][1] != results[2][1]


class Watching(Optimizer):
    """SGD that keeps θ before and after each step, and the batch."""

    def __init__(self, net):
        super().__init__(0.5)
        self.net, self.before, self.after, self.batches = net, [], [], []

    def step(self, theta, dtheta, coefficients=None):
        self.before.append(theta.copy())
        self.batches.append(self.net.layers[0].x.copy())
        super().step(theta, dtheta, coefficients)
        self.after.append(theta.copy())

    def update(self, theta, g, *now):
        theta -= self.learning_rate * g


def test_every_epoch_takes_each_example_once_in_a_new_order():
    net = network()
    watching = Watching(net)
    list(run(net, watching, epochs=2, rng=11))
    assert [len(x) for x in watching.batches] == [5, 5, 5, 5, 3] * 2
    order = np.random.default_rng(11)
    taken = []
    for e in range(2):
        x = np.concatenate(watching.batches[5 * e : 5 * e + 5])
        rows = order.permutation(N)
        np.testing.assert_array_equal(x, IMAGES[rows] / 255)
        taken.append(rows.tolist())
    assert taken[0] != taken[1]


def test_update_is_theta_after_less_theta_before_the_last_step():
    net = network()
    watching = Watching(net)
    epochs = list(run(net, watching))  # each with its own update
    for e, epoch in enumerate(epochs):
        last = 5 * e + 4
        expected = watching.after[last] - watching.before[last]
        np.testing.assert_array_equal(epoch.update, expected)
        assert expected.any()


def test_training_learns_may_be_stopped_and_continues_with_the_optimizer():
    net, adam = network("relu", "float32"), Adam(0.01)
    before = evaluate(net, examples(), SoftmaxCrossEntropy())
    for epoch in run(net, adam, epochs=1000):
        if epoch.train_accuracy > 0.8:
            break
    assert 1 < epoch.number < 1000
    after = evaluate(net, examples(), SoftmaxCrossEntropy())
    assert after.accuracy > 0.75 > before.accuracy
    assert after.loss < 0.7 * before.loss
    theta, steps = net.theta.copy(), adam.t
    assert steps == 5 * epoch.number
    next(run(net, adam))
    assert adam.t == steps + 5
    assert (net.theta != theta).any()


def test_work_between_epochs_does_not_affect_the_next():
    quiet, busy = network(dropout=True), network(dropout=True)
    list(run(quiet))
    for _ in run(busy):
        busy.predict(IMAGES)
        evaluate(busy, examples(), SoftmaxCrossEntropy())
    np.testing.assert_array_equal(quiet.theta, busy.theta)


def test_dropout_is_on_in_training():
    """The first step's loss is that of a forward pass with the first mask."""
    net, other = network(dropout=True), network(dropout=True)
    epoch = next(run(net, batch_size=N))
    rows = np.random.default_rng(7).permutation(N)
    z = other.forward(IMAGES[rows] / 255, training=True)
    assert (other["dropout_1"].mask == 0).any()
    assert epoch.train_loss == pytest.approx(float(SoftmaxCrossEntropy()(z, LABELS[rows])[0]))
    z = other.forward(IMAGES[rows] / 255)
    assert abs(epoch.train_loss - SoftmaxCrossEntropy()(z, LABELS[rows])[0]) > 1e-3


def test_every_batch_is_augmented_in_training_and_none_in_evaluation():
    """The images are 1 × 2 × 4; the network gets the result of augment, scaled."""
    images = Examples(IMAGES[:, None], LABELS)
    batches = []

    def negative(x):
        batches.append(len(x))
        return 255 - x

    nets = [Network([Flatten(), Dense(8, 3)], (1, 2, 4), dtype="float64") for _ in range(2)]
    list(run(nets[0], data=images, augment=negative))
    list(run(nets[1], data=Examples(255 - IMAGES[:, None], LABELS)))
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)
    assert batches == [5, 5, 5, 5, 3] * 3
    evaluate(nets[0], images, SoftmaxCrossEntropy())
    assert len(batches) == 15


def test_an_augmentation_changes_the_training_run(device):
    results = []
    for augment in (None, Augmentation(1, rng=3), Augmentation(1, rng=3), Augmentation(1, rng=4)):
        layers = [Flatten(), Dense(8, 3)]
        net = Network(layers, (1, 2, 4), dtype="float64", device=device)
        losses = [
            e.train_loss for e in run(net, data=Examples(IMAGES[:, None], LABELS), augment=augment)
        ]
        results.append(losses)
    assert results[1] == results[2]
    assert len({tuple(losses) for losses in results}) == 3


def test_a_regression_has_no_accuracy():
    net = network()
    targets = RNG.standard_normal((N, 3))
    data = Examples(IMAGES, targets)
    epoch = next(run(net, data=data, loss=MeanSquaredError()))
    assert math.isnan(epoch.train_accuracy)
    result = evaluate(net, data, MeanSquaredError())
    assert math.isnan(result.accuracy)
    y = net.predict(IMAGES / 255)
    assert result.loss == pytest.approx(((y - targets) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 4, N, 1000])
def test_evaluation_in_batches_equals_one_pass_and_is_without_dropout(batch_size, device):
    net = network(dropout=True, device=device)
    result = evaluate(net, examples(), SoftmaxCrossEntropy(), batch_size)
    z = net.predict(IMAGES / 255)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    assert result.loss == pytest.approx(-log_p[range(N), LABELS].mean(), rel=1e-12)
    assert result.accuracy == pytest.approx((z.argmax(axis=1) == LABELS).mean(), rel=1e-15)


# -- a loss that is not finite ----------------------------------------------------------------


def broken_bias(net):
    net["dense_2"].b[1] = math.nan


def blown_up(net):
    net["dense_1"].W[...] = 3e38


def overflows(net):
    net["dense_1"].W[...] = 1e37
    net["dense_2"].W[...] = 1e37


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (broken_bias, "dense_2.b"),
        (blown_up, "dense_1.z"),
        (overflows, "dense_2.z"),
    ],
)
def test_a_loss_that_is_not_finite_names_epoch_step_and_layer(change, place):
    net = network("relu", "float32")
    change(net)
    before = net.theta.copy()
    with pytest.raises(NonFiniteLoss, match=f"epoch 1, step 1: the loss is .*appears in {place};"):
        list(run(net))
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_input_that_is_not_finite_is_named_with_its_example(value):
    inputs = IMAGES / 255.0
    row = np.random.default_rng(7).permutation(N)[2 * BATCH + 1]
    inputs[row, 0, 3] = value
    net = network("relu")
    watching = Watching(net)
    message = (
        "epoch 1, step 3: the loss is nan, which first appears in the input of the network; "
        f"inputs[{row}, 0, 3] is {value}: put a finite number there, or leave that example out"
    )
    with pytest.raises(NonFiniteLoss) as caught:
        list(run(net, watching, Examples(inputs, LABELS)))
    assert str(caught.value) == message
    assert len(watching.after) == 2
    np.testing.assert_array_equal(net.theta, watching.after[-1])


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_evaluation_names_the_example_that_is_not_finite(where, value):
    net, loss = network("relu"), MeanSquaredError()
    parts = {"inputs": IMAGES / 255.0, "targets": np.zeros((N, 3))}
    parts[where].reshape(N, -1)[7, 2] = value
    index = "7, 0, 2" if where == "inputs" else "7, 2"
    message = (
        rf"^evaluate: the loss is (nan|inf); {where}\[{index}\] is {value}: put a finite number"
    )
    with pytest.raises(NonFiniteLoss, match=message):
        evaluate(net, Examples(**parts), loss, batch_size=5)


def test_a_network_that_is_not_finite_gives_a_loss_that_is_not():
    net = network("relu")
    broken_bias(net)
    assert math.isnan(evaluate(net, Examples(IMAGES, LABELS), SoftmaxCrossEntropy()).loss)


def test_a_target_that_is_not_finite_is_named_with_its_example():
    targets = np.zeros((N, 3))
    row = np.random.default_rng(7).permutation(N)[BATCH]
    targets[row, 2] = math.nan
    message = (
        "epoch 1, step 2: the loss is nan, which first appears in the loss itself, all layers are "
        f"finite; targets[{row}, 2] is nan: put a finite number there, or leave that example out"
    )
    with pytest.raises(NonFiniteLoss) as caught:
        list(run(network(), data=Examples(IMAGES, targets), loss=MeanSquaredError()))
    assert str(caught.value) == message


def test_an_infinity_whose_own_loss_is_finite_is_named_a_step_later():
    """σ(±∞) is 0 or 1, but the gradient 0 · ∞ makes the weights NaN for the next batch."""
    inputs = IMAGES / 255.0
    row = np.random.default_rng(7).permutation(N)[0]
    inputs[row, 1, 0] = math.inf
    message = (
        r"epoch 1, step 2: .* first appears in dense_1.W; "
        rf"inputs\[{row}, 1, 0\] is inf: put a finite number there"
    )
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteLoss, match=message):
        list(run(network("sigmoid"), data=Examples(inputs, LABELS)))


def test_a_number_that_the_network_cannot_hold_is_named():
    targets = np.zeros((N, 3))
    targets[4, 1] = 1e200
    net = network(dtype="float32")
    message = r"targets\[4, 1\] is 1e\+200, which float32 cannot hold: put a finite number there"
    with pytest.raises(NonFiniteLoss, match=message):
        list(run(net, data=Examples(IMAGES, targets), loss=MeanSquaredError()))


def test_examples_that_are_finite_are_not_blamed_for_what_augment_makes_of_them():
    message = "in the input of the network; the examples are finite, so augment or their scaling"
    with pytest.raises(NonFiniteLoss, match=message):
        list(run(network(), data=Examples(IMAGES / 255.0, LABELS), augment=lambda x: x * math.inf))


def test_after_a_nonfinite_loss_running_values_are_those_before_the_step():
    net = Network([Flatten(), BatchNorm(8), Dense(8, 3)], (2, 4), rng=1)
    inputs = IMAGES / 255.0
    row = np.random.default_rng(7).permutation(N)[2 * BATCH]
    inputs[row, 0, 0] = math.inf
    seen = []

    class Seeing(SGD):
        def step(self, *arguments):
            super().step(*arguments)
            seen.append(net.state.copy())

    with pytest.raises(NonFiniteLoss, match="step 3"):
        list(run(net, Seeing(0.1), Examples(inputs, LABELS)))
    assert not np.array_equal(*seen)  # two steps, each with the statistics of its batch
    np.testing.assert_array_equal(net.state, seen[-1])


def test_the_first_nonfinite_value_may_be_the_loss_itself():
    targets = np.full((N, 3), 1e200)
    with pytest.raises(NonFiniteLoss, match=r"the loss is inf, .* all layers are finite"):
        list(run(network(), data=Examples(IMAGES, targets), loss=MeanSquaredError()))


def test_a_learning_rate_that_is_too_large_fails_in_a_later_step():
    net = network("relu", "float32")
    with pytest.raises(NonFiniteLoss, match=r"epoch \d+, step \d+: .*clip_norm=1.0"):
        list(run(net, SGD(1e30)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run(network(), epochs=0), "train: expected epochs to be an integer >= 1"),
        (lambda: run(network(), batch_size=0), "expected batch_size to be an integer >= 1"),
        (
            lambda: evaluate(network(), examples(), SoftmaxCrossEntropy(), 0),
            "evaluate: expected batch_size to be an integer >= 1, got 0",
        ),
        (lambda: next(run(network(), data=Examples(IMAGES, LABELS + 1))), "labels from 0 to 2"),
        (
            lambda: next(run(network(), data=Examples(IMAGES[:, 0], LABELS))),
            r"train: expected examples of shape \(2, 4\) like the network's input, got \(4,\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- memory and types -------------------------------------------------------------------------


MEASURED = {  # layers and the shape of an example
    "dense": (lambda f: [Dense(768, 256, f), Dropout(0.5), Dense(256, 256, f)], (768,)),
    "convolutions": (
        lambda f: [
            *[Conv2D(3, 8, 3, padding=1, activation=f), MaxPool2D(2)],
            *[Residual([Conv2D(8, 8, 3, padding=1), BatchNorm(8), Activate(f)]), Flatten()],
        ],
        (3, 16, 16),
    ),
}


def peaks(layers, shape, rule, dtype, steps):
    """The most memory that each step takes, from the third on, in bytes."""
    net = Network([*layers, Dense(256 if len(shape) == 1 else 512, 10)], shape, dtype=dtype)
    data = Examples(np.zeros((64 * steps, *shape), np.uint8), np.zeros(64 * steps, int))
    loss, optimizer = SoftmaxCrossEntropy(), OPTIMIZERS[rule](clip_norm=1e-6)
    step = TrainingStep(net, data, loss, optimizer, 64)
    found = []
    with step.epoch(np.arange(len(data))):
        step()  # compiles the loops
        tracemalloc.start()
        try:
            while step.done < steps:
                tracemalloc.reset_peak()
                step()
                found.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return found[1:]  # the first replaces memory that was not traced


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize(
    ("f", "rule"),
    [
        *((f, "adam") for f in ("sigmoid", "relu", "gelu", "swish")),
        ("elu", "sgd"),
        ("selu", "adamw"),
    ],
)
def test_a_step_takes_no_more_memory_than_the_one_before_and_float32_half_of_float64(name, f, rule):
    make, shape = MEASURED[name]
    single = peaks(make(f), shape, rule, "float32", 12)
    # tracemalloc counts about 5 kB per step for calls of compiled code, which is not kept.
    assert max(single) - min(single) < 0.02 * max(single)
    (double,) = peaks(make(f), shape, rule, "float64", 3)
    assert single[0] < 0.52 * double


def arrays_of(thing, seen):
    """Every array that an object holds, at any depth, with the path to it."""
    if id(thing) in seen or isinstance(thing, np.random.Generator | np.dtype | type):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield "", thing
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from ((f".{key}{path}", array) for path, array in arrays_of(value, seen))
    elif isinstance(thing, list | tuple):
        for i, value in enumerate(thing):
            yield from ((f"[{i}]{path}", array) for path, array in arrays_of(value, seen))
    elif hasattr(thing, "__dict__"):
        yield from arrays_of(vars(thing), seen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("f", ["sigmoid", "leaky_relu", "selu", "gelu", "swish", "softmax"])
def test_every_array_of_a_step_has_the_networks_type(f, rule, dtype):
    net = network(f, dtype, dropout=True)
    optimizer, loss = OPTIMIZERS[rule](), SoftmaxCrossEntropy()
    data = examples()
    epoch = next(run(net, optimizer, data, loss=loss))
    x, targets = data.draw(np.arange(3), net.dtype)
    loss(net.forward(x), targets)
    found = dict(arrays_of([net, optimizer, loss, data, epoch], set()))
    assert len(found) > 20
    for path, array in found.items():
        if array.dtype.kind == "f":
            single = path.endswith(".u")  # dropout draws in float32, whatever the type
            assert array.dtype == ("float32" if single else dtype), path


# -- progress ---------------------------------------------------------------------------------


def test_progress_as_lines_with_a_label_or_silent(capsys):
    list(run(network(), progress=True, epochs=10))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("epoch  1/10  loss 1.")
    assert lines[9].startswith("epoch 10/10  loss ")
    assert "images/s" in lines[0]
    assert "  accuracy 0." in lines[0]
    next(run(network(), progress="relu"))
    assert capsys.readouterr().out.startswith("relu  epoch 1/3  loss ")
    list(run(network(), progress=False))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
