"""Training: every figure against an independent loop, and every promise along the way."""

from __future__ import annotations

import gc
import math
import re
import tracemalloc
import warnings
from contextlib import closing

import numpy as np
import pytest

from minidl import (
    ACTIVATIONS,
    SGD,
    ActivationLayer,
    Adam,
    Augmentation,
    BatchNorm,
    BinaryCrossEntropy,
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
    Sequential,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
    probe,
    range_test,
    train,
)
from minidl.backend import to_numpy
from minidl.optimizers import OPTIMIZERS
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


def failure(net, *arguments, **options):
    """The error of a training run whose loss is not finite."""
    with pytest.raises(NonFiniteLoss) as caught:
        list(run(net, *arguments, **options))
    return str(caught.value)


def nth(step):
    """The first example of a step, counted from 1."""
    return int(np.random.default_rng(7).permutation(N)[(step - 1) * BATCH])


@pytest.mark.parametrize(
    ("weights", "value", "place"),
    [
        (["dense_2.b"], math.nan, "dense_2.b"),
        (["dense_1.W"], 3e38, "dense_1.z"),
        (["dense_1.W", "dense_2.W"], 1e37, "dense_2.z"),
    ],
)
def test_a_loss_that_is_not_finite_names_epoch_step_and_layer(weights, value, place):
    net = network("relu", "float32")
    for name in weights:
        layer, _, parameter = name.partition(".")
        getattr(net[layer], parameter)[...] = value
    before = net.theta.copy()
    assert re.match(f"epoch 1, step 1: the loss is .*appears in {place};", failure(net))
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_examples_that_are_not_finite_are_refused_before_the_first_step(where):
    parts = {"inputs": IMAGES / 255.0, "targets": np.zeros((N, 3))}
    index = (7, 0, 2) if where == "inputs" else (7, 2)
    net = network(dtype="float32")
    before = net.theta.copy()
    for value, beyond in ((math.inf, ""), (math.nan, ""), (1e200, ", which float32 cannot hold")):
        parts[where][index] = value
        message = re.escape(f"{where}{[*index]} is {value}{beyond}: put a finite number there, or")
        data, loss = Examples(**parts), MeanSquaredError()
        with pytest.raises(ValueError, match=f"^train: {message}"):
            run(net, data=data, loss=loss)
        with pytest.raises(ValueError, match=f"^range_test: {message}"):
            range_test(net, data, loss=loss)
        with pytest.raises(ValueError, match=f"^fit, validation: {message}"):
            fit(net, Examples(IMAGES, np.zeros((N, 3))), loss=loss, validation=data)
    np.testing.assert_array_equal(net.theta, before)


def test_where_augment_makes_the_examples_finite_they_may_be_anything():
    inputs = IMAGES / 255.0
    inputs[nth(3), 0, 3] = math.nan
    data, net, after = Examples(inputs, LABELS), network("relu"), []
    assert len([*run(network(), data=data, augment=np.nan_to_num)]) == 3

    class Watching(SGD):
        def step(self, theta, *arguments):
            super().step(theta, *arguments)
            after.append(theta.copy())

    assert failure(net, Watching(0.5), data, augment=lambda x: x) == (
        "epoch 1, step 3: the loss is nan, which first appears in the input of the network; "
        f"inputs[{nth(3)}, 0, 3] is nan: put a finite number there, or leave that example out"
    )
    assert len(after) == 2
    np.testing.assert_array_equal(net.theta, after[-1])
    told = failure(network(), augment=lambda x: x * math.inf)
    assert "the input of the network; the examples are finite, so augment or their scaling" in told


def test_the_first_that_is_not_finite_may_be_the_loss_itself():
    data = Examples(IMAGES, np.full((N, 3), 1e200))
    told = failure(network(), data=data, loss=MeanSquaredError())
    assert re.search(r"loss is inf, .* all layers are finite; try a smaller learning_rate", told)


def test_a_learning_rate_that_is_too_large_fails_in_a_later_step():
    told = failure(network("relu", "float32"), SGD(1e30))
    assert re.match(r"epoch \d+, step \d+: .*clip_norm=1.0", told)


@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_evaluation_names_the_example_that_is_not_finite(where):
    index = "7, 0, 2" if where == "inputs" else "7, 2"
    for value in (math.inf, math.nan):
        parts = {"inputs": IMAGES / 255.0, "targets": np.zeros((N, 3))}
        parts[where].reshape(N, -1)[7, 2] = value
        told = rf"^evaluate: the loss is (nan|inf); {where}\[{index}\] is {value}: put a finite num"
        with pytest.raises(NonFiniteLoss, match=told):
            evaluate(network("relu"), Examples(**parts), MeanSquaredError(), batch_size=5)


def test_a_network_that_is_not_finite_gives_a_loss_that_is_not():
    net = network("relu")
    net["dense_2"].b[1] = math.nan
    assert math.isnan(evaluate(net, examples(), SoftmaxCrossEntropy()).loss)


def test_after_a_nonfinite_loss_running_values_are_those_before_the_step():
    net = Network([Flatten(), BatchNorm(8), Dense(8, 3)], (2, 4), rng=1)
    factors, seen = iter([1, 1, math.inf]), []

    class Seeing(SGD):
        def step(self, *arguments):
            super().step(*arguments)
            seen.append(net.state.copy())

    assert "step 3" in failure(net, Seeing(0.1), augment=lambda x: x * next(factors))
    assert not np.array_equal(*seen)  # two steps, each with the statistics of its batch
    np.testing.assert_array_equal(net.state, seen[-1])


# -- memory and types -------------------------------------------------------------------------


def peaks(layers, shape, rule="adam", dtype="float32", steps=6):
    """The most memory that each step takes, from the third on, in bytes."""
    net = Network(layers, shape, dtype=dtype)
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


def dense(f):
    return [Dense(384, 256, f), Dropout(0.5), Dense(256, 256, f), Dense(256, 10)], (384,)


def convolutions(f):
    inner = [Conv2D(8, 8, 3, padding=1), BatchNorm(8), ActivationLayer(f)]
    layers = [Conv2D(3, 8, 3, padding=1, activation=f), MaxPool2D(2), Residual(inner), Flatten()]
    return [*layers, Dense(512, 10)], (3, 16, 16)


def test_a_step_takes_no_more_memory_than_the_one_before_and_float32_half_of_float64():
    cases = [(dense, f, "adam") for f in ACTIVATIONS if f != "softmax"]
    cases += [(dense, "relu", rule) for rule in OPTIMIZERS]
    cases += [(convolutions, f, "adam") for f in ("relu", "gelu")]
    for case in cases:
        make, f, rule = case
        single = peaks(*make(f), rule)
        # tracemalloc counts about 5 kB per step for calls of compiled code, which is not kept.
        assert max(single) - min(single) < 0.02 * max(single), case
        (double,) = peaks(*make(f), rule, "float64", 3)
        assert single[0] < 0.52 * double, case


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
def test_every_array_of_a_step_has_the_networks_type(dtype):
    cases = [(f, "adam") for f in ACTIVATIONS] + [("relu", rule) for rule in OPTIMIZERS]
    for f, rule in cases:
        net = network(f, dtype, dropout=True)
        optimizer, loss, data = OPTIMIZERS[rule](), SoftmaxCrossEntropy(), examples()
        epoch = next(run(net, optimizer, data, loss=loss))
        x, targets = data.draw(np.arange(3), net.dtype)
        loss(net.forward(x), targets)
        found = dict(arrays_of([net, optimizer, loss, data, epoch], set()))
        assert len(found) > 20
        for path, array in found.items():
            if array.dtype.kind == "f":
                single = path.endswith(".u")  # dropout draws in float32, whatever the type
                assert array.dtype == ("float32" if single else dtype), (f, rule, path)


# -- warnings and lines -------------------------------------------------------------------------


def test_train_called_without_iterating_warns_at_that_line():
    message = r"^train\(…\) was never iterated: nothing was trained.*for epoch in train\(.*fit\("
    with pytest.warns(RuntimeWarning, match=message) as warned:
        run(network())
    assert [w.filename for w in warned] == [__file__]
    training = run(network())
    assert "never iterated" in repr(training)
    next(training)
    assert "iterated" not in repr(training)


def test_one_that_was_started_or_closed_does_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epochs in (1, 3):
            next(run(network(), epochs=epochs))
            for _ in run(network(), epochs=epochs):
                break
            assert len(list(run(network(), epochs=epochs))) == epochs
        with closing(run(network())):
            pass
        gc.collect()


def test_an_epoch_is_shown_without_its_arrays():
    shown = repr(next(run(network())))
    assert shown.startswith("Epoch(number=1, train_loss=")
    assert "update" not in shown and "array" not in shown


SOFTMAX, BINARY = SoftmaxCrossEntropy(), BinaryCrossEntropy()
SHARES = np.ones((N, 3), "float32")
LAST_LAYERS = {  # whether the activation is one that the loss applies itself
    "softmax": ([Dense(8, 3, "softmax")], SOFTMAX, LABELS, True),
    "softmax alone": ([Dense(8, 3), ActivationLayer("softmax")], SOFTMAX, LABELS, True),
    "in a chain": ([Dense(8, 3), Sequential([Dense(3, 3, "softmax")])], SOFTMAX, LABELS, True),
    "sigmoid": ([Dense(8, 3, "sigmoid")], BINARY, SHARES, True),
    "logits": ([Dense(8, 3)], SOFTMAX, LABELS, False),
    "sigmoid before softmax": ([Dense(8, 3, "sigmoid")], SOFTMAX, LABELS, False),
    "a regression": ([Dense(8, 3, "softmax")], MeanSquaredError(), SHARES, False),
    "hidden": ([Dense(8, 3, "sigmoid"), Dense(3, 3)], BINARY, SHARES, False),
}


@pytest.mark.parametrize(
    ("layers", "loss", "targets", "twice"), LAST_LAYERS.values(), ids=LAST_LAYERS
)
def test_an_activation_applied_twice_gets_a_warning(layers, loss, targets, twice):
    net, data = Network([Flatten(), *layers], (2, 4)), Examples(IMAGES, targets)
    for owner, use in {
        "evaluate": lambda: evaluate(net, data, loss),
        "probe": lambda: probe(net, loss, IMAGES.astype("float32"), targets),
        "train": lambda: train(net, data, loss, Adam(), epochs=1).close(),
    }.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            use()
        assert [w.filename for w in caught] == [__file__] * twice, owner
        for warned in caught:
            told = f"{owner}: .*expected logits.*leave the activation of the last layer out"
            assert re.match(told, str(warned.message))


def test_progress_is_a_line_for_each_epoch_with_a_label_or_silent(capsys):
    list(run(network(), progress="relu", epochs=10))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:16] for line in lines[::9]] == ["relu  epoch  1/1", "relu  epoch 10/1"]
    list(run(network(), progress=False))
    assert capsys.readouterr() == ("", "")
