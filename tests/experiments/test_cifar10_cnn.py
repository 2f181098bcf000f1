"""The CIFAR-10 experiment on a few hundred images."""

from dataclasses import replace

import numpy as np
import pytest
import small_studies
from studies.cifar10_cnn import STUDY, training
from studies.cifar10_cnn.claims import CLAIMS, Series, published
from studies.cifar10_cnn.figures import mosaic, picture
from studies.cifar10_cnn.summary import moment, network_block
from studies.cifar10_cnn.training import (
    Cell,
    LayerSnapshot,
    Outcome,
    Snapshot,
    build_network,
    one_sign,
    plateau,
)
from study_runs import summary

from minidl import Conv2D, Dense, SoftmaxCrossEntropy, evaluate, probe, train
from minidl.backend import CPU, to_numpy
from minidl.study import judge, recording
from minidl.study.recording import History
from minidl.study.report import read_rows
from minidl.study.run import Run
from minidl.study.seeds import batches_rng, keras_optimizer
from minidl.training.checkpoint import Checkpoint

DATA = small_studies.DATA["cifar10_cnn"]
SMALL, TEST = DATA.train, DATA.test


@pytest.mark.slow
def test_what_is_trained_and_reported(tmp_path, capsys):
    folder = small_studies.run("cifar10_cnn", tmp_path, "--seed", "4", "--quiet")
    found = summary(folder)
    assert (found["dataset"], found["seed"], found["epochs"]) == ("cifar-10", 4, 2)
    assert len(found["claims"]) == len(CLAIMS)
    rates = [(row["seed"], row["learning_rate"]) for row in found["plateaus"]]
    assert rates == [(4, 0.001), (5, 0.001), (4, 0.0001)]
    assert len(read_rows(folder, "epochs.csv")) == sum(
        row["epochs_trained"] for row in found["plateaus"]
    ) + len(found["networks"]["relu"]["test_loss"])
    snapshots = read_rows(folder, "snapshots.csv")
    assert {row["layer"] for row in snapshots} == {"conv2d_1", "dense_1", "dense_2"}
    steps = [int(row["step"]) for row in snapshots if row["network"] == "relu"]
    assert steps == [s for s in range(9) for _ in range(3)]  # all: an epoch has but four steps
    assert "plateau" in {chart.file for chart in STUDY.report_of(folder).charts()}
    report = (folder / "report.md").read_text("utf-8")
    assert "2 epochs instead of the study's 10" in report
    assert "published, seed 42, learning rate 0.001 | 4 | 10 | 46.7%" in report
    assert "(0.5607)" in report  # ReLU's published test accuracy after the first epoch
    assert "published, epoch 2" in capsys.readouterr().out


# -- the network and its training -------------------------------------------------------------


def test_network_is_that_of_the_study():
    network = build_network("sigmoid", (3, 32, 32), 10, 0, CPU)
    assert network.shapes == [(32, 30, 30), (32, 15, 15), (7200,), (128,), (10,)]
    assert [layer.size for layer in network.layers] == [28 * 32, 0, 0, 7201 * 128, 129 * 10]
    relu = build_network("relu", (3, 32, 32), 10, 0, CPU)
    assert np.array_equal(network.theta, relu.theta)
    assert [relu.layers[i].activation.name for i in (0, 3, 4)] == ["relu", "relu", "linear"]
    conv, dense = relu.layers[0], relu.layers[3]
    assert isinstance(conv, Conv2D) and isinstance(dense, Dense)
    assert np.abs(conv.W).max() == pytest.approx(np.sqrt(6 / (27 + 288)), rel=0.02)
    assert np.abs(dense.W).max() == pytest.approx(np.sqrt(6 / (7200 + 128)), rel=0.02)
    assert not conv.b.any() and not dense.b.any()


def trained(device, epochs, folder, **more):
    place = ["--device", device.name, "--quiet", "--output-dir", str(folder)]
    chosen = STUDY.options(["--epochs", str(epochs), *place])
    run = Run.of(chosen, [DATA], folder)
    checkpoint = Checkpoint(folder / "x.checkpoint")
    return training.run_network(run, "w", Cell("relu", 3, **more), np.array([2, 0]), checkpoint)


def test_snapshots_change_nothing(device, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "PROBED", 30)
    outcome = trained(device, 2, tmp_path)

    network = build_network("relu", (3, 8, 8), 10, 3, device)
    start = to_numpy(network["conv2d_1"].parameters()["W"]).copy()
    plain = train(
        network, SMALL, SoftmaxCrossEntropy(), keras_optimizer("adam"),
        epochs=2, rng=batches_rng(3), progress=False,
    )  # fmt: skip
    losses = [epoch.train_loss for epoch in plain]
    assert outcome.history.train_loss == losses
    watched = build_network("relu", (3, 8, 8), 10, 9, device)
    watched.load(tmp_path / "weights" / "w.npz")
    assert np.array_equal(to_numpy(watched.theta), to_numpy(network.theta))

    assert [snapshot.step for snapshot in outcome.snapshots] == list(range(9))
    assert [snapshot.epoch for snapshot in outcome.snapshots] == [i / 4 for i in range(9)]
    before, after = outcome.filters
    assert np.array_equal(before, start)
    assert np.array_equal(after, to_numpy(network["conv2d_1"].parameters()["W"]))
    logits = network.predict(TEST.inputs[[2, 0]] / np.float32(255))
    assert outcome.probabilities == pytest.approx(
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rel=1e-4
    )


def test_a_snapshot_has_the_figures_of_the_layers():
    network = build_network("sigmoid", (3, 8, 8), 10, 0, CPU)
    loss = SoftmaxCrossEntropy()
    snapshot = training.take_snapshot(network, loss, SMALL, SMALL.first(50), 0.5, 2)
    x, labels = SMALL.batch(0, training.PROBED, network.dtype)
    found = probe(network, loss, x, labels, "sum")
    conv, dense = network["conv2d_1"], network["dense_1"]
    assert isinstance(conv, Conv2D) and isinstance(dense, Dense)
    gradients = [layer.gradient for layer in snapshot.layers.values()]
    assert gradients == pytest.approx(found.mean_abs(), rel=1e-6)  # float32, in another order
    assert snapshot.layers["conv2d_1"].size == pytest.approx(np.abs(conv.z).mean(), rel=1e-5)
    assert snapshot.layers["dense_1"].spread == pytest.approx(dense.y.std(axis=0).mean(), rel=1e-4)
    assert snapshot.layers["dense_1"].one_sign == one_sign(dense.dW)
    by_filter = [np.abs(dW.sum()) for dW in conv.dW]
    expected = sum(by_filter) / np.abs(conv.dW).sum()
    assert snapshot.layers["conv2d_1"].one_sign == pytest.approx(expected, rel=1e-4)
    answers = network.predict(SMALL.inputs[:50] / np.float32(255)).argmax(axis=1)
    assert snapshot.accuracy == pytest.approx((answers == SMALL.targets[:50]).mean())
    assert (snapshot.epoch, snapshot.step) == (0.5, 2)


def test_one_sign_by_hand():
    # columns are units: |1 + 2| + |3 − 1| over 1 + 2 + 3 + 1
    assert one_sign(np.array([[1.0, 3.0], [2.0, -1.0]])) == pytest.approx(5 / 7)
    assert one_sign(np.array([[-1.0, 3.0], [-2.0, 1.0]])) == 1
    assert np.isnan(one_sign(np.zeros((2, 2))))


def test_moments_of_an_epoch():
    assert training._moments(16, is_first=False) == {0, 2, 4, 6, 8, 10, 12, 14}
    assert training._moments(20, is_first=True) == {0, 2, 5, 7, 10, 12, 15, 17} | {1, 4, 8, 16}
    assert training._moments(1, is_first=True) == {0}


def test_until_it_moves_ends_one_epoch_later(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "PROBED", 30)
    accuracies = iter([0.1, 0.11, 0.2, 0.1, 0.3])

    def scripted(*arguments):
        return replace(evaluate(*arguments), accuracy=next(accuracies))

    monkeypatch.setattr(recording, "evaluate", scripted)
    outcome = trained(CPU, 9, tmp_path, until_it_moves=True)
    assert outcome.history.test_accuracy == [0.1, 0.11, 0.2, 0.1]
    assert outcome.snapshots[-1].step == 16


def test_plateau_by_hand():
    assert plateau(published()["sigmoid"].test_accuracy) == 4
    assert plateau(published()["relu"].test_accuracy) == 0
    assert plateau([0.1, 0.11]) is None


def snapshots(*accuracies):
    layers = {"dense_1": LayerSnapshot(0.1, 1.0, 0.5, 0.0, 0.2)}
    return [Snapshot(i / 8, i, accuracy, layers) for i, accuracy in enumerate(accuracies)]


@pytest.mark.parametrize(
    ("accuracies", "end"),
    [
        ((0.1, 0.12, 0.3, 0.4), (1, 2)),
        ((0.1, 0.2, 0.1, 0.4), (2, 3)),
        ((0.1, 0.2, 0.1), None),
        ((0.2, 0.3), None),
    ],
)
def test_end_of_the_plateau_by_hand(accuracies, end):
    nothing = np.zeros(0)
    found = moment(Outcome(History(), snapshots(*accuracies), (nothing, nothing), nothing))
    assert (found and (found["before"]["step"], found["after"]["step"])) == end


def test_pictures():
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert picture(image)[1, 0].tolist() == [2, 6, 10]
    W = np.zeros((9, 3, 3, 3))
    W[0, :, 0, 1], W[8, 1, 2, 2] = 2, -2
    grid = mosaic(W, 2)
    assert grid.shape == (2 * 28, 8 * 28, 3)
    assert grid[0, 8].tolist() == [255] * 3  # row 0, column 1 of the first filter
    assert grid[8, 0].tolist() == [127] * 3
    assert grid[0, 24].tolist() == [255] * 3  # the gap
    assert grid[28 + 23, 23].tolist() == [127, 0, 127]


# -- the claims -------------------------------------------------------------------------------


def study_pair():
    return published()["sigmoid"], published()["relu"]


def test_what_is_said_of_the_published_figures():
    pair = study_pair()
    found = {claim.claim: claim.published for claim in judge(CLAIMS, pair, [pair])}
    # 0.4672 − 0.1, 0.334 − 0.1
    assert found["Sigmoid improves gradually"] == (
        "+0.3672 in 10 epochs, +0.2340 in one of them (does not meet the criterion)"
    )
    overfits = found["ReLU helps to prevent overfitting"]
    assert overfits.startswith("training − test +0.1522; test loss lowest after epoch 6")


def series(**figures) -> Series:
    return replace(study_pair()[0], **figures)


def by_epoch(*values):
    return np.array(values, float)


@pytest.mark.parametrize(
    ("claim", "sigmoid", "relu", "verdict"),
    [
        (2, {"test_accuracy": by_epoch(0.12, 0.3)}, {}, "does not hold"),
        (2, {"test_accuracy": by_epoch(0.109, 0.3)}, {}, "not decided"),
        (3, {"test_accuracy": by_epoch(0.1, 0.2, 0.3, 0.4)}, {}, "holds"),
        (3, {"test_accuracy": by_epoch(0.1, 0.1)}, {}, "does not hold"),
        (4, {}, {"test_accuracy": by_epoch(0.3, 0.4, 0.5)}, "holds"),
        (4, {}, {"test_accuracy": by_epoch(0.3, 0.4, 0.399)}, "not decided"),
        (4, {}, {"test_accuracy": by_epoch(0.3, 0.4, 0.3)}, "does not hold"),
        (5, {"test_loss": by_epoch(1.0)}, {"test_loss": by_epoch(1.1)}, "not decided"),
        (5, {"test_loss": by_epoch(2, 2.01, 2)}, {"test_loss": by_epoch(1, 1.01, 1)}, "holds"),
        (7, {}, {"train_accuracy": by_epoch(0.4), "test_accuracy": by_epoch(0.5)}, "holds"),
        (8, {}, {"train_accuracy": by_epoch(0.5), "test_accuracy": by_epoch(0.5)}, "holds"),
        (9, {"saturation": (0.9, by_epoch(0.01, 0.011, 0.01))}, {}, "holds"),
        (9, {"saturation": (0.9, by_epoch(0.2, 0.201, 0.2))}, {}, "does not hold"),
        (9, {"saturation": (0.1, by_epoch(0.01, 0.011, 0.01))}, {}, "does not hold"),
        (9, {"saturation": (0.55, by_epoch(0.01, 0.011, 0.01))}, {}, "not decided"),
        (10, {"gradients": np.ones((3, 2))}, {"gradients": np.ones((3, 2))}, "not decided"),
        (11, {"one_sign": by_epoch(0.95, 0.95, 0.95)}, {"one_sign": by_epoch(0.5, 0.5, 0.5)},
            "holds"),
        (11, {"one_sign": by_epoch(0.95, 0.95, 0.95)}, {"one_sign": by_epoch(0.97, 0.97, 0.97)},
            "does not hold"),
        (11, {"one_sign": by_epoch(0.8, 0.8, np.nan, 0.8)}, {"one_sign": by_epoch(0.5, 0.5, 0.5)},
            "does not hold"),
        (12, {"right": (1, 10)}, {"right": (8, 10)}, "holds"),
        (12, {"right": (5, 10)}, {"right": (6, 10)}, "not decided"),
    ],
)  # fmt: skip
def test_criteria_by_hand(claim, sigmoid, relu, verdict):
    judged = judge([CLAIMS[claim]], study_pair(), [(series(**sigmoid), series(**relu))])
    assert judged[0].verdict == verdict


def test_series_of_a_summary():
    def snapshot(epoch, step, conv, flat, sign):
        layers = {
            "conv2d_1": LayerSnapshot(conv, 1.0, 0.5, 0.0, 0.2),
            "dense_1": LayerSnapshot(0.1, sign, 0.5, flat, 0.2),
        }
        return Snapshot(epoch, step, 0.1, layers)

    network = build_network("sigmoid", (3, 8, 8), 10, 0, CPU)
    x, labels = SMALL.batch(0, 64, network.dtype)
    found = probe(network, SoftmaxCrossEntropy(), x, labels, "sum")
    history = History([2.0], [0.1], [2.2], [0.2], [1.5], [found])
    figures = [(0, 0, 4.0, 0.1, 1.0), (0.5, 2, 2.0, 0.2, 0.5), (1, 5, 1.0, 0.7, 0.1)]
    snapshots = [snapshot(*one) for one in figures]
    outcome = Outcome(history, snapshots, (np.zeros(0), np.zeros(0)), np.eye(10)[[3, 4]])
    block = network_block(outcome, np.array([3, 5]))
    ours = Series.of(block, train_images=200, test_images=300)
    assert ours.saturation is not None and ours.saturation[0] == 0.2
    assert ours.saturation[1].tolist() == [found.mean_abs()[0] / 4]
    assert ours.one_sign.tolist() == [1, 0.5]
    assert ours.right == (1, 2)
    assert ours.seconds.tolist() == [1.5]
    assert ours.gradients.tolist() == [found.mean_abs()[:-1]]
    # study 3's figure: both hidden layers, not the last one
    assert ours.flat == pytest.approx(np.mean([units.saturated for units in found.units[:2]]))
    assert [snapshot["step"] for snapshot in block["whole_epochs"]] == [5]
