"""``fit``: the usual loop, its history, and its warnings if nothing was learned."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from minidl import (
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Checkpoint,
    CosineAnnealing,
    Dense,
    Dropout,
    EarlyStopping,
    Examples,
    MeanSquaredError,
    Network,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
    predict_labels,
    range_test,
    train,
)
from minidl.training import FitHistory
from minidl.training.checkpoint import CheckpointError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)  # three classes


def network(units=8, rng=0, outputs=3):
    return Network([Dense(4, units, "tanh"), Dropout(0.2), Dense(units, outputs)], 4, rng=rng)


def quiet(net, x=X, y=Y, **options):
    return fit(net, x, y, **{"epochs": 3, "progress": False} | options)


def test_it_equals_the_loop_written_by_hand():
    net, other = network(), network()
    history = quiet(net, optimizer=Adam(0.01), schedule=CosineAnnealing(0.01, 3), rng=5)

    rng = np.random.default_rng(5)
    rest, held_out = Examples(X, Y).split(20, rng, stratify=True)
    loss, optimizer = SoftmaxCrossEntropy(), Adam(0.01)
    found = []
    for epoch in train(other, rest, loss, optimizer, epochs=3, rng=rng, progress=False):
        judged = evaluate(other, held_out, loss)
        found.append((epoch.train_loss, judged.loss, judged.accuracy, optimizer.learning_rate))
        optimizer.learning_rate = CosineAnnealing(0.01, 3)(epoch.number)
    columns = (history.train_loss, history.validation_loss, history.validation_accuracy)
    assert list(zip(*columns, history.learning_rate, strict=True)) == found
    assert (net.theta == other.theta).all()


def test_validation_may_be_a_share_arrays_examples_or_nothing():
    with_set = quiet(network(), validation=(X[:50], Y[:50]))
    with_examples = quiet(network(), validation=Examples(X[:50], Y[:50]))
    without = quiet(network(), validation=None)
    assert with_set.validation_loss == with_examples.validation_loss
    assert with_set.train_loss == without.train_loss  # it trains on all examples
    assert all(map(math.isnan, without.validation_loss))
    assert quiet(network(), Examples(X, Y), None).train_loss == quiet(network()).train_loss


def test_bytes_are_scaled_as_they_are_in_examples_and_in_predict_labels():
    images = RNG.integers(0, 256, (60, 4), dtype=np.uint8)
    labels = (images[:, 0] > 127).astype(int)
    net = network()
    quiet(net, images, labels, epochs=30, validation=None, optimizer=Adam(0.1))
    assert (predict_labels(net, images) == labels).mean() > 0.9
    judged = evaluate(net, Examples(images, labels), SoftmaxCrossEntropy())
    assert judged.accuracy == (predict_labels(net, images) == labels).mean()


def test_it_runs_on_every_device(device):
    net = Network([Dense(4, 8, "tanh"), Dense(8, 3)], 4, device=device)
    history = quiet(net, patience=2)
    expected = quiet(Network([Dense(4, 8, "tanh"), Dense(8, 3)], 4), patience=2)
    assert history.validation_loss == pytest.approx(expected.validation_loss, rel=1e-4)
    assert history.moved == pytest.approx(expected.moved, rel=1e-3)
    assert len(range_test(net, X, Y, steps=20).rates) == 20


def test_early_stopping_restores_the_best_weights():
    noise = RNG.integers(0, 3, 200)  # nothing to learn, so the validation loss soon rises
    net, other = network(64), network(64)
    history = quiet(net, y=noise, epochs=60, patience=2, optimizer=Adam(0.02))
    best = int(np.argmin(history.validation_loss)) + 1
    assert history.best_epoch == best == len(history) - 2 < 58
    quiet(other, y=noise, epochs=best, optimizer=Adam(0.02))
    assert (net.theta == other.theta).all()


class Interrupted(Exception):
    pass


def test_a_run_that_is_interrupted_resumes_with_its_history(tmp_path):
    options = {"epochs": 6, "patience": 3, "schedule": CosineAnnealing(0.02, 6)}
    whole = network()
    expected = quiet(whole, optimizer=Adam(0.02), **options)

    calls = []

    def break_in_the_fourth(raw):
        calls.append(1)
        if len(calls) == 12:
            raise Interrupted
        return raw

    def start(net, augment):
        checkpoint = Checkpoint(tmp_path / "run.checkpoint")
        optimizer = Adam(0.02)
        return quiet(net, optimizer=optimizer, checkpoint=checkpoint, augment=augment, **options)

    with pytest.raises(Interrupted):
        start(network(), break_in_the_fourth)
    resumed = network()
    history = start(resumed, lambda raw: raw)
    history.seconds = expected.seconds
    assert len(history) == 6
    assert history.train_loss == expected.train_loss
    assert history.moved == expected.moved
    assert history.learning_rate == expected.learning_rate
    assert history.probes[0] == expected.probes[0]
    assert history.best_epoch == expected.best_epoch
    assert (resumed.theta == whole.theta).all()


def test_a_run_with_another_schedule_patience_or_validation_is_not_resumed(tmp_path):
    rates = [0.02, 0.02, 0.01, 0.005, 0.002]
    for name, options, others in (
        (
            "schedule",
            {"schedule": CosineAnnealing(0.02, 6)},
            {
                r"expected schedule CosineAnnealing\(start=0.02, epochs=9, .*got schedule Cos": {
                    "schedule": CosineAnnealing(0.02, 9)
                },
                "expected schedule None, got schedule CosineAnnealing": {"schedule": None},
            },
        ),
        (
            "function",
            {"schedule": lambda done: rates[done]},
            {
                r"expected schedule\(2\) to be 0.01, the learning rate that epoch 3 of": {
                    "schedule": lambda done: [0.02, 0.02, 0.02, 0.01, 0.01][done]
                },
            },
        ),
        (
            "validation",
            {"validation": (X[:20], Y[:20]), "patience": 3},
            {
                "expected validation [0-9a-f]+, got": {"validation": (X[:21], Y[:21])},
                "expected patience 5, got patience 3": {"patience": 5},
            },
        ),
    ):

        def start(epochs, name=name, **options):
            checkpoint, net = Checkpoint(tmp_path / name), network()
            quiet(net, optimizer=Adam(0.02), epochs=epochs, checkpoint=checkpoint, **options)
            return net.theta

        start(3, **options)
        for told, other in others.items():
            with pytest.raises(CheckpointError, match=f"{told}.*--fresh"):
                start(5, **options | other)
        resumed = start(5, **options)
        np.testing.assert_array_equal(resumed, start(5, f"whole {name}", **options))


def test_progress_shows_training_and_validation(capsys):
    fit(network(), X, Y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/2  loss ")
    assert lines[1].startswith("  validation  loss ")
    assert " accuracy " in lines[1]
    quiet(network())
    assert capsys.readouterr().out == ""


# -- the history --------------------------------------------------------------------------------


def test_the_history_is_a_table_rows_and_a_file(tmp_path):
    history = quiet(network(), epochs=4, patience=4)
    lines = str(history).splitlines()
    assert lines[0].split("  ")[:2] == ["epoch", "train loss"]
    assert len(lines) == 5
    assert sum(line.endswith("<-- kept") for line in lines) == 1
    assert repr(history) == str(history)
    assert history.gradients("b").keys() == {"dense_1", "dense_2"}
    with pytest.raises(ValueError, match="expected one of the parameters W, b, got 'w'"):
        history.gradients("w")

    rows = history.rows()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[2]["validation_loss"] == history.validation_loss[2]
    assert rows[3]["mean |d dense_2.W|"] == history.probes[3].mean_abs()[1]
    history.write_csv(tmp_path / "run.csv")
    with open(tmp_path / "run.csv", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["train_loss"]) for row in read] == history.train_loss
    assert list(read[0]) == list(rows[0])


def test_a_long_history_is_a_short_table_with_the_ends_and_the_best():
    history = quiet(network(), epochs=40, patience=40)
    lines = str(history).splitlines()
    numbers = [int(line.split()[0]) for line in lines[1:-1]]
    assert len(lines) < 20
    assert {1, 40, history.best_epoch} <= set(numbers)
    assert lines[-1] == f"({len(numbers)} of 40 epochs)"


def test_unknown_figures_are_left_out():
    history = quiet(
        *(network(outputs=1), X, X[:, :1]), loss=MeanSquaredError(), validation=None, epochs=2
    )
    assert "accuracy" not in str(history)
    assert "validation" not in str(history)
    assert not any("accuracy" in name for name in history.rows()[0])
    assert str(FitHistory()) == "epoch"


def test_it_draws_itself_to_a_file(tmp_path):
    history = quiet(network(), patience=3)
    picture = history.plot(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").stat().st_size > 1000
    loss, accuracy, gradients = picture.figure.axes
    assert [ax.get_title() for ax in (loss, accuracy)] == ["loss", "accuracy"]
    assert gradients.get_title() == "mean |∂L/∂W|"
    assert list(loss.lines[0].get_ydata()) == history.train_loss
    assert [line.get_label() for line in gradients.lines] == ["dense_1", "dense_2"]
    assert list(gradients.lines[1].get_ydata()) == history.gradients()["dense_2"]
    assert picture._repr_png_().startswith(b"\x89PNG")  # in a notebook
    with pytest.raises(ValueError, match=r"Picture.save: expected a name that ends in .png"):
        picture.save(tmp_path / "run.xyz")


def test_what_is_heavy_is_imported_where_it_is_needed():
    lines = (
        "import sys, minidl, numpy as np; from minidl import *",
        "heavy = 'cupy', 'matplotlib', 'numba', 'requests', 'scipy', 'torch', 'tqdm'",
        "print({*heavy} & {*sys.modules})",
        "x = np.zeros((20, 2), np.float32); y = np.arange(20) % 2",
        "h = fit(Network([Dense(2, 2)], 2), x, y, epochs=1, progress=False)",
        "str(h), h.rows(); print('matplotlib' in sys.modules); h.plot()",
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "False", "True", "False"]


# -- if nothing is learned ----------------------------------------------------------------------

FLAT = network()
FLAT["dense_1"].b[...] = 50  # where tanh is flat; a small learning rate does not leave it
NOTHING = {
    "rate far too large": (network(), X, Adam(100.0), "times their own size, so .*far below 100"),
    "rate far too small": (network(), X, SGD(1e-8), "of their size, so try .*above 1e-08"),
    "flat units": (FLAT, X, SGD(0.001), "100% of the slopes of dense_1 are flat"),
    "else": (network(), 1e-6 * X, SGD(0.1), "are the targets those of these inputs"),
}


@pytest.mark.parametrize(("net", "x", "optimizer", "hint"), NOTHING.values(), ids=NOTHING)
def test_a_run_that_learns_nothing_gets_a_warning_with_the_likely_cause(net, x, optimizer, hint):
    message = f"fit: nothing was learned: .* one answer.*{hint}.*range_test"
    with pytest.warns(UserWarning, match=message) as warned:
        quiet(net, x, epochs=40, optimizer=optimizer)
    assert warned[0].filename == __file__


def test_a_run_that_learns_or_has_hardly_begun_gets_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(network(), epochs=40)
        quiet(network(), epochs=2, optimizer=SGD(1e-8))


def test_the_warning_names_the_highest_rate_that_was_too_small():
    with pytest.warns(UserWarning, match="try a learning rate above 1e-08"):
        quiet(network(), epochs=40, optimizer=SGD(1.0), schedule=lambda done: 1e-9 * min(10, done))


def test_a_network_that_has_learned_in_spite_of_much_dropout_gets_no_warning():
    """Its training loss, with dropout on, is that of guessing and worse."""
    layers = [Dropout(0.65), Dense(4, 32, "relu"), Dropout(0.95), Dense(32, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = quiet(Network(layers, 4, rng=0), y=(X[:, 0] + X[:, 1] > 0).astype(int), epochs=40)
    assert history.train_loss[-1] > 0.7 > 0.67 > history.validation_loss[-1]


def test_no_constant_answer_has_a_smaller_loss():
    """The best constant, by gradient descent on the loss itself, has the loss that is reported."""
    for loss, targets in (
        (SoftmaxCrossEntropy(), np.array([0, 2, 2, 2, 0])),
        (MeanSquaredError(), np.array([[1.0, 5.0], [2.0, 0.0], [6.0, 0.5]])),
        (BinaryCrossEntropy(), np.array([[1.0, 0.0], [0.25, 0.0], [1.0, 1.0]])),
    ):
        z = np.zeros(3 if targets.ndim == 1 else targets.shape[1])
        for _ in range(3000):
            value, dz = loss(np.tile(z, (len(targets), 1)), targets)
            z -= dz.sum(axis=0)
        said = loss.constant_baseline(targets)
        assert said <= value
        assert said == pytest.approx(value, rel=1e-3)


# -- what is refused ----------------------------------------------------------------------------


def test_validation_data_are_refused_before_the_first_step():
    images = RNG.integers(0, 256, (200, 4), dtype=np.uint8)
    for x, validation, told in (
        (X, (X[:, :3], Y), r"expected examples of shape \(4,\) like the network's input, got \(3,"),
        (X, (X, Y + 1), "expected labels from 0 to 2, got 1 to 3"),
        (X, (X, X), "fit, validation: softmax cross-entropy: expected logits"),
        (X, (images, Y), "fit, validation: Examples: expected floats on the scale of the bytes"),
    ):
        net = network()
        before = net.theta.copy()
        with pytest.raises(ValueError, match=told):
            quiet(net, x, validation=validation)
        np.testing.assert_array_equal(net.theta, before)


def test_every_rate_of_a_schedule_is_known_before_the_first_step():
    net = network()
    before = net.theta.copy()
    for schedule, told in (
        (lambda done: 0.1 - 0.05 * done, r"fit: expected schedule\(3\) of at least 0, got -0.05"),
        (lambda done: 0.1 if done < 4 else None, r"expected schedule\(4\) of at least 0, got None"),
        (lambda: 0.1, "expected schedule to be a function of the number of epochs done, got <fun"),
        (CosineAnnealing, "of the number of epochs done, got the class CosineAnnealing"),
    ):
        with pytest.raises(ValueError, match=told):
            quiet(net, schedule=schedule, epochs=6)
    np.testing.assert_array_equal(net.theta, before)


def test_the_state_of_a_network_is_restored_too():
    net = Network([Dense(4, 8), BatchNorm(8), Dense(8, 3)], 4)
    history = quiet(net, epochs=5, patience=5)
    judged = evaluate(
        net, Examples(X, Y).split(20, np.random.default_rng(0), True)[1], SoftmaxCrossEntropy()
    )
    assert judged.loss == pytest.approx(min(history.validation_loss), rel=1e-6)
    assert EarlyStopping(5).best_epoch == 0
