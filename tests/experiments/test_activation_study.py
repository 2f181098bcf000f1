"""The activation study on a few generated images."""

import math
from dataclasses import replace

import numpy as np
import pytest
import small_studies
import study_runs
from studies.activation_study import STUDY, study
from studies.activation_study.claims import CLAIMS
from studies.activation_study.series import TABLES, Series, published
from studies.activation_study.training import (
    ACTIVATIONS,
    SET_UPS,
    Cell,
    CellData,
    Images,
    build_network,
    build_optimizer,
    train_cell,
)

from minidl import (
    SGD,
    ActivationLayer,
    Adam,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    Network,
    SoftmaxCrossEntropy,
)
from minidl.backend import CPU
from minidl.storage.sealed import decoded, read_sealed
from minidl.study import judge, validated
from minidl.study.cells import Cell as KeptCell
from minidl.study.report import read_rows
from minidl.study.run import Run
from minidl.training.checkpoint import Checkpoint

SHAPES = {"mnist": (1, 28, 28), "cifar-10": (3, 32, 32)}
DATA = small_studies.DATA["activation_study"]


@pytest.fixture
def trained(monkeypatch):
    """The cells that are trained, in a list."""
    cells = []

    def spy(run, cell, *arguments):
        cells.append(cell)
        return train_cell(run, cell, *arguments)

    monkeypatch.setattr(study, "train_cell", spy)
    return cells


@pytest.mark.slow
def test_the_whole_grid(tmp_path, capsys):
    parts = ("--data-sets", "mnist", "cifar-10", "--optimizers", "sgd", "adam")
    folder = small_studies.run("activation_study", tmp_path / "run", *parts, "--seed", "3")
    summary = study_runs.summary(folder)
    assert summary["options"]["seed"] == 3
    assert len(summary["cells"]) == 20
    assert len(summary["claims"]["last"]) == len(summary["claims"]["best"]) == len(CLAIMS)
    path = folder / "cells/cifar-10-adam-elu.cell"
    cell = decoded(bytes(read_sealed(path, KeptCell).result), CellData, path)
    assert cell["images"] == [128, 32, 40]
    assert cell["epochs"] == 2
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert len(cell[name]) == 2
    assert list(cell["gradient_norms"]) == ["conv2d_1", "conv2d_2", "dense_1", "dense_2", "dense_3"]
    rows = read_rows(folder, "epochs.csv")
    assert len(rows) == 2 * 20
    assert float(rows[0]["gradient_dense_3"]) > 0
    report = (folder / "report.md").read_text("utf-8")
    assert "At most 2 epochs instead of the study's 50" in report
    assert "Not run" not in report
    for n in range(1, 9):
        assert f"Table {n}, " in report
    assert "accuracy, %: published, up to 50 epochs" in report
    assert "| sigmoid | 94.22 | " in report  # the published accuracy
    assert "| sigmoid | 50 | 2 | " in report  # the published epochs
    assert "98.84" in capsys.readouterr().out


# -- cells are kept ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_part_of_the_grid_and_then_more_of_it(tmp_path, trained):
    def run(*arguments):
        part = ("--epochs", "1", "--quiet", *arguments)
        return small_studies.run("activation_study", tmp_path / "run", *part)

    folder = run()
    assert sorted(cell.activation for cell in trained) == sorted(ACTIVATIONS)
    trained.clear()
    run("--optimizers", "sgd")
    assert {str(cell) for cell in trained} == {f"mnist-sgd-{name}" for name in ACTIVATIONS}
    report = (folder / "report.md").read_text("utf-8")
    assert "Not run: CIFAR-10 + SGD, CIFAR-10 + Adam. The verdicts" in report
    trained.clear()
    run("--fresh")
    assert len(trained) == 5
    assert not (folder / "cells/mnist-sgd-relu.cell").exists()


# -- the network and its training -------------------------------------------------------------


def network(set_up="run", activation="relu", data_set="cifar-10", seed=0):
    return build_network(SET_UPS[set_up], activation, SHAPES[data_set], 10, seed, CPU)


def test_network_is_that_of_the_tutorial():
    sizes = [layer.size for layer in network().layers if layer.size]
    assert sizes == [76 * 6, 151 * 16, 401 * 120, 121 * 84, 85 * 10]
    assert [la.size for la in network(data_set="mnist").layers if la.size][2] == 257 * 120
    assert np.array_equal(network().theta, network(activation="selu").theta)
    assert not np.array_equal(network().theta, network(seed=1).theta)


@pytest.mark.parametrize("activation", ["sigmoid", "elu"])
def test_activation_after_the_pooling_is_the_same_network(activation):
    def conv(channels_in, channels_out, f):
        return Conv2D(channels_in, channels_out, 5, activation=f)

    def dense():
        return [Flatten(), Dense(400, 120, activation), Dense(120, 10)]

    before = [conv(3, 6, activation), MaxPool2D(2), conv(6, 16, activation), MaxPool2D(2)]
    f1, f2 = ActivationLayer(activation), ActivationLayer(activation)
    after = [conv(3, 6, "linear"), MaxPool2D(2), f1, conv(6, 16, "linear"), MaxPool2D(2), f2]
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(4, 3, 32, 32)), np.arange(4)
    results = []
    for layers in (before, after):
        net = Network([*layers, *dense()], SHAPES["cifar-10"], rng=1, dtype="float64")
        _, dy = SoftmaxCrossEntropy()(net.forward(x), labels)
        dx = net.backward(dy, input_gradient=True)
        results.append((net.forward(x).copy(), net.dtheta.copy(), dx.copy()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_initial_weights_as_run_and_as_described():
    # PyTorch: Conv2d within 1/√fan_in; xavier_uniform_ within √(6 / (fan_in + fan_out))
    conv, xavier_conv = 1 / np.sqrt(75), np.sqrt(6 / (75 + 150))
    dense = np.sqrt(6 / (400 + 120))

    def limits(layer):
        return np.abs(layer.W).max(), np.abs(layer.b).max()

    run, described = network("run"), network("described")
    W, b = limits(run["conv2d_1"])
    assert 0.97 * conv < W <= conv
    assert 0 < b <= conv
    assert 0.99 * dense < limits(run["dense_1"])[0] <= dense
    for name in ("dense_1", "dense_2", "dense_3"):
        assert (run[name].b == np.float32(0.01)).all()
    W, b = limits(described["conv2d_1"])
    assert 0.97 * xavier_conv < W <= xavier_conv
    assert 0 < b <= conv
    assert 0.9 / np.sqrt(400) < limits(described["dense_1"])[1] <= 1 / np.sqrt(400)


def test_optimizers_are_those_of_pytorch():
    sgd, adam = build_optimizer("sgd"), build_optimizer("adam")
    assert isinstance(sgd, SGD)
    assert (sgd.learning_rate, sgd.momentum, sgd.nesterov) == (0.001, 0.9, False)
    assert isinstance(adam, Adam)
    assert (adam.learning_rate, adam.epsilon, adam.epsilon_hat) == (0.001, 1e-8, False)


def test_pixels_are_normalised_and_a_fifth_is_drawn():
    images = Images.of(DATA["mnist"], 0)
    assert (len(images.train), len(images.validation), len(images.test)) == (128, 32, 40)
    x, _ = images.test.batch(0, 1, np.dtype("float64"))
    raw = DATA["mnist"].test.inputs[0] / 255
    np.testing.assert_allclose(x[0], (raw - 0.1307) / 0.3081)
    other = Images.of(DATA["mnist"], 1)
    assert (other.validation.inputs != images.validation.inputs).any()


def trained_cell(monkeypatch, folder, epochs):
    """One cell; and the gradient norms by hand, from the gradient that each epoch ends with."""
    found = []

    def spy(network, *arguments, **options):
        for epoch in real(network, *arguments, **options):
            found.append(np.sqrt((network["conv2d_2"].dW.astype(float) ** 2).sum()))
            yield epoch

    real = validated.train
    monkeypatch.setattr(validated, "train", spy)
    place = ["--device", "cpu", "--quiet", "--output-dir", str(folder)]
    chosen = STUDY.options(["--epochs", str(epochs), *place])
    run = Run.of(chosen, [DATA["mnist"]], folder)
    images, checkpoint = Images.of(DATA["mnist"], 0), Checkpoint(folder / "elu.checkpoint")
    cell = train_cell(run, Cell("mnist", "adam", "elu"), images, DATA["mnist"].classes, checkpoint)
    return cell, found


def test_gradients_are_those_of_the_last_batch(monkeypatch, tmp_path):
    cell, found = trained_cell(monkeypatch, tmp_path, epochs=3)
    assert cell["gradient_norms"]["conv2d_2"] == pytest.approx(found, rel=1e-6)


@pytest.mark.slow
def test_early_stopping_and_both_weights(monkeypatch, tmp_path):
    values = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    real = validated.evaluate

    def evaluate(network, examples, loss, at_once):
        found = real(network, examples, loss, at_once)
        return replace(found, loss=next(values)) if len(examples) == 32 else found

    monkeypatch.setattr(validated, "evaluate", evaluate)
    cell, _ = trained_cell(monkeypatch, tmp_path, epochs=50)
    assert (cell["epochs"], cell["best_epoch"]) == (7, 2)
    assert cell["test"]["last"]["loss"] != cell["test"]["best"]["loss"]
    monkeypatch.undo()
    Checkpoint(tmp_path / "elu.checkpoint").remove()
    short, _ = trained_cell(monkeypatch, tmp_path, epochs=2)
    assert cell["test"]["best"] == short["test"]["last"]


# -- the claims -------------------------------------------------------------------------------


def judged(grid):
    return judge(CLAIMS, published(), [grid])


def verdicts(grid):
    return [claim.verdict for claim in judged(grid)]


def test_what_is_said_of_the_published_figures():
    found = judged(published())
    assert found[2].published.startswith("MNIST + SGD: sigmoid 50, others 25–41; ")
    assert "ReLU +13.9, sigmoid +9.2 points" in found[3].published
    # of 63.70 and 62.88 on 10,000 images: 2.73 · √2 · 0.48 points (eight comparisons)
    assert "elu − leaky_relu +0.82 (-1.04 to +2.68) (within chance)" in found[8].published


def test_claims_are_judged_in_the_settings_that_were_run():
    part = {setting: networks for setting, networks in published().items() if setting[1] == "adam"}
    found = judged(part)
    unjudged = [i for i, claim in enumerate(found) if claim.verdict == "not judged"]
    assert unjudged == [0, 1, 5, 7]
    assert found[2].measured.startswith(
        "MNIST + Adam: sigmoid 21, others 8–12; CIFAR-10 + Adam: sigmoid 40, others 12–14; "
    )
    one = {("mnist", "adam"): part["mnist", "adam"]}
    assert verdicts(one)[-2:] == ["not judged"] * 2


def with_gradients(norms):
    """The published grid, with gradients of two layers for each function."""
    return {
        setting: {
            name: replace(
                series, gradients=dict(zip("ab", map(np.array, norms[name]), strict=True))
            )
            for name, series in networks.items()
        }
        for setting, networks in published().items()
    }


def test_gradient_claims_by_hand():
    norms = {name: ([3.0] * 3, [4.0] * 3) for name in ACTIVATIONS}
    small, vanishing = judged(with_gradients(norms | {"sigmoid": ([0.6] * 3, [0.8] * 3)}))[:2]
    assert "MNIST + SGD: sigmoid 1.000, others 5.000–5.000" in small.measured
    assert small.verdict == "holds"
    assert "sigmoid 0.750, others 0.750–0.750" in vanishing.measured
    assert vanishing.verdict == "not decided"
    small, vanishing = judged(with_gradients(norms | {"sigmoid": ([1.0] * 3, [9.0] * 3)}))[:2]
    assert small.verdict == "does not hold"
    assert vanishing.verdict == "holds"
    noisy = {name: ([1.0, 9.0, 1.0, 9.0], [4.0] * 4) for name in ACTIVATIONS}
    noisy |= {"sigmoid": ([0.9, 8.0, 1.0, 8.0], [4.0] * 4)}
    assert verdicts(with_gradients(noisy))[:2] == ["not decided"] * 2


@pytest.mark.parametrize(
    ("claim", "setting", "name", "change"),
    [
        (2, ("mnist", "adam"), "selu", {"train_loss": np.ones(40)}),
        (3, ("cifar-10", "adam"), "sigmoid", {"train_accuracy": 0.99}),
        (4, ("mnist", "adam"), "elu", {"accuracy": 0.97}),
        (6, ("cifar-10", "adam"), "elu", {"loss": 0.5, "tested": -1,
                                          "validation_loss": np.full(12, 0.5)}),
        (7, ("cifar-10", "sgd"), "leaky_relu", {"loss": 0.5, "tested": -1,
                                                "validation_loss": np.full(12, 0.5)}),
        (8, ("cifar-10", "adam"), "relu", {"accuracy": 0.67}),
    ],
)  # fmt: skip
def test_one_figure_turned_around_does_not_hold(claim, setting, name, change):
    grid = published()
    grid[setting][name] = replace(grid[setting][name], **change)
    assert verdicts(grid)[claim] == "does not hold"


def test_one_clearly_best_function_everywhere_does_not_hold():
    grid = published()
    for networks in grid.values():
        networks["elu"] = replace(networks["elu"], accuracy=0.999)
    assert verdicts(grid)[9] == "does not hold"
    networks = grid["mnist", "sgd"]
    networks["elu"] = replace(networks["elu"], accuracy=0.9)
    assert verdicts(grid)[9] == "holds"


def test_published_tables():
    assert list(published()) == list(TABLES)
    selu = published()["cifar-10", "adam"]["selu"]
    assert (selu.accuracy, selu.loss, selu.f1) == (pytest.approx(0.6183), 1.142, 0.617)
    assert (selu.epochs, selu.seconds) == (12, 151.252)
    assert published()["mnist", "sgd"]["sigmoid"].stopped is False
    assert published()["mnist", "sgd"]["selu"].stopped is True


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("epochs", [1, 3])
def test_criteria_survive_any_numbers(number, epochs):
    series = np.full(epochs, number)
    cell = Series(
        accuracy=0.1,
        loss=number,
        f1=0.1,
        train_loss=series,
        validation_loss=series,
        train_accuracy=0.1,
        limit=epochs,
        seconds=1.0,
        gradients={"first": series, "last": series},
        tested=epochs - 1,
        train_images=50_000,
        test_images=10_000,
    )
    grid = {setting: dict.fromkeys(found, cell) for setting, found in published().items()}
    assert "holds" not in verdicts(grid)


def test_which_of_two_networks_that_reach_the_last_epoch_needs_more_is_not_judged():
    grid = published()  # whose sigmoid network trains for all 50 epochs in one setting
    setting = ("mnist", "sgd")
    assert grid[setting]["sigmoid"].stopped is False
    assert verdicts(grid)[2] == "not decided"
    elu = replace(grid[setting]["elu"], train_loss=np.ones(50), validation_loss=np.ones(50))
    assert elu.stopped is True  # its last better epoch was the first
    grid[setting]["elu"] = elu
    assert verdicts(grid)[2] != "not judged"
    grid[setting]["elu"] = replace(elu, validation_loss=np.arange(50, 0, -1))
    slowest = judged(grid)[2]
    assert slowest.verdict == "not judged"
    assert slowest.measured.startswith("MNIST + SGD: sigmoid 50, others 25–50; ")
    assert "not judged: the largest number of epochs ended two" in slowest.measured
