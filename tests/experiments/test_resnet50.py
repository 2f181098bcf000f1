"""The study of ResNet-50 on a few generated images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import small_studies
import study_runs
from studies.resnet50 import STUDY, claims
from studies.resnet50.claims import CLAIMS, TABLES, Figures, Spread, VarianceRatio, published
from studies.resnet50.study import _answer, figures
from studies.resnet50.training import (
    BATCH_SIZE,
    COLLAPSES,
    FULL,
    Cell,
    Size,
    build_network,
    cells,
    images_of,
    norms,
    with_batch_statistics,
)

from minidl import SoftmaxCrossEntropy, evaluate
from minidl.backend import CPU
from minidl.study import judge
from minidl.study.report import read_rows
from minidl.study.sized_study import SET_UPS

DATA = small_studies.DATA["resnet50"]
TINY = Size(1 / 16, 40, 20, 1)


def network(width=1 / 16, **changed):
    cell = Cell("as_run", "mnist", "adam", "elu", 0)._replace(**changed)
    images = images_of(DATA[cell.data_set], TINY, 0)
    return build_network(cell, images, 10, width, CPU), images


# -- from the command line to the report ----------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    seeds = ("--epochs", "2", "--seeds", "2")
    return small_studies.run("resnet50", tmp_path_factory.mktemp("run"), *seeds)


@pytest.mark.slow
def test_what_is_trained_and_reported(folder):
    found = study_runs.summary(folder)
    assert found["size"] == {"width": 1 / 16, "images": 20, "test_images": 10, "epochs": 2}
    assert len(found["cells"]) == len(list(cells(range(2)))) == 20 + 20 + 5 + 3 + 4
    for cell in found["cells"]:
        assert cell["images"] == [16, 4, 10]
        assert np.shape(cell["gradients"]) == np.shape(cell["shift"]) == (2, 5)
        assert np.min(cell["gradients"]) > 0
    for key in ("as_run", "as_described"):
        assert [c["claim"] for c in found["claims"][key]] == [one.claim for one in CLAIMS]
    ours = figures(found, "as_run")
    assert {f: len(blocks) for f, blocks in ours.grid[COLLAPSES].items()}["selu"] == 2
    assert [len(blocks) for blocks in ours.grid["cifar-10", "sgd"].values()] == [1, 2, 1, 1, 1]
    rows = read_rows(folder, "epochs.csv")
    assert len(rows) == 2 * len(found["cells"])
    assert float(rows[0]["gradients_stage_4"]) > 0
    report = (folder / "report.md").read_text("utf-8")
    assert "Smaller than the study: 0.0625 of its width, 20 images" in report
    for number in TABLES.values():
        assert f"Table {number}, " in report
    assert "| relu | 10.60% | " in report


@pytest.mark.slow
def test_momentum_changes_the_statistics_and_not_the_weights(folder):
    ours = figures(study_runs.summary(folder), "as_run")
    plain = ours.grid[COLLAPSES]["relu"][0]
    assert [cell["momentum"] for cell in ours.forgetful] == [0.5, 0.99]
    for cell in ours.forgetful:
        for kind in ("train_loss", "batch_loss", "gradients"):
            assert cell[kind] == plain[kind]
        assert cell["validation_loss"] != plain["validation_loss"]


@pytest.mark.parametrize("images", ["5", "81", "321"])
def test_images_that_leave_a_batch_of_one_are_refused(images, capsys):
    with pytest.raises(SystemExit):
        STUDY.options(["--images", images])
    assert (
        f"expected 10 or more that leave no batch of one image, got {images};"
        in capsys.readouterr().err
    )


# -- networks and statistics ----------------------------------------------------------------


def test_as_run_only_the_stem_has_the_function():
    as_run, described = (network(set_up=key, activation="selu")[0].summary() for key in SET_UPS)
    assert as_run.count("ActivationLayer(selu)") == 1
    assert as_run.count("ActivationLayer(relu)") == 2 * 16
    assert described.count("ActivationLayer(selu)") == 1 + 2 * 16
    assert "relu" not in described
    assert network(data_set="cifar-10")[0].shapes[0] == (4, 4, 4)  # stem of 3x3 keeps 8x8; pooled


def test_size_of_the_published_network():
    cell = Cell("as_run", "mnist", "adam", "relu", 0)
    built = build_network(cell, images_of(DATA["mnist"], TINY, 0), 10, FULL.width, CPU)
    assert built.theta.size == 23_522_250


def test_the_images_of_all_seeds_are_split_alike():
    images = images_of(DATA["mnist"], TINY, 3)
    assert [len(part) for part in (images.train, images.validation, images.test)] == [32, 8, 20]
    assert len(images_of(DATA["mnist"], FULL, 0).train) == 48


def test_statistics_of_the_batch_leave_the_network_as_it_was():
    built, images = network(momentum=0.99)
    before = built.state.copy()
    (loss, accuracy), shift, scale = with_batch_statistics(built, images.validation, BATCH_SIZE)
    assert np.array_equal(built.state, before)
    assert {norm.momentum for norm in norms(built)} == {0.99}
    assert len(shift) == len(scale) == 5
    logits = built.forward(images.validation.batch(0, 8, built.dtype)[0], training=True)
    expected = SoftmaxCrossEntropy()(logits, images.validation.targets)[0]
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert 0 <= accuracy <= 1


def test_running_statistics_that_are_the_batchs_lie_at_no_distance():
    built, images = network(momentum=0)
    x, _ = images.validation.batch(0, 8, built.dtype)
    built.forward(x, training=True)  # momentum 0 keeps those of this batch
    (loss, _), shift, scale = with_batch_statistics(built, images.validation, BATCH_SIZE)
    assert shift == [0] * 5
    assert scale == [1] * 5
    assert evaluate(built, images.validation, SoftmaxCrossEntropy()).loss != loss  # m / (m − 1)


# -- claims ---------------------------------------------------------------------------------


def test_the_published_figures_under_the_criteria():
    judged = judge(CLAIMS, published(), [])
    said = [claim.published for claim in judged]
    assert said[0] == "not reported"
    assert said[1].startswith("MNIST + SGD: 0 of 83 epochs; MNIST + Adam: 4 of 103 epochs; ")
    assert "elu 41" in said[2]
    assert all("(does not meet the criterion)" in one for one in (said[3], said[5]))
    assert said[3].startswith("MNIST + SGD: leaky_relu 98.77, elu 98.75, ")
    assert all(claim.verdict == "not judged" for claim in judged)


def grid(**changed):
    """One setting with every function alike but for what is changed."""
    block = {
        "gradients": [[4.0, 1, 1, 1, 2]] * 4,
        "test": {"last": {"accuracy": 0.5}},
        "images": [100, 100, 1000],
        "momentum": 0.99,
        "batch_accuracy": [0.9, 0.9],
        "validation_accuracy": [0.9, 0.9],
    }
    functions = ("sigmoid", "relu", "leaky_relu", "elu", "selu")
    return {f: [block | changed.get(f, {})] for f in functions}


def verdict(number, found):
    (claim,) = judge(CLAIMS[number : number + 1], published(), [found])
    return claim.verdict


@pytest.mark.parametrize(
    ("functions", "expected"),
    [((), "does not hold"), (("elu",), "does not hold"), (("elu", "selu"), "holds")],
)
def test_whether_gradients_vanish(functions, expected):
    small = {"gradients": [[0.01, 1, 1, 1, 2], [0.0101, 1, 1, 1, 2]] * 2}
    found = Figures({COLLAPSES: grid(**dict.fromkeys(functions, small))}, "last")
    assert verdict(0, found) == expected


@pytest.mark.parametrize(
    ("running", "expected"), [(0.1, "holds"), (0.78, "not decided"), (0.95, "does not hold")]
)
def test_whether_running_statistics_alone_fail(running, expected):
    (block,) = grid(relu={"validation_accuracy": [running, 0.95]})["relu"]
    found = Figures({}, "last", [block])
    assert verdict(6, found) == expected
    assert verdict(6, Figures({}, "last")) == "not judged"


@pytest.mark.parametrize(
    ("means", "expected"),
    [((0.1, 0.3, 0.5, 0.7, 0.9), "holds"), ((0.5, 0.505, 0.51, 0.515, 0.52), "not decided"),
        ((0.5,) * 5, "not decided")],
)  # fmt: skip
def test_whether_functions_differ_by_more_than_seeds(means, expected):
    seeds = (-0.02, 0.0, 0.02)

    def block(accuracy):
        return grid()["relu"][0] | {"test": {"last": {"accuracy": accuracy}}}

    networks = {
        f: [block(mean + seed) for seed in seeds] for f, mean in zip(grid(), means, strict=True)
    }
    assert verdict(7, Figures({COLLAPSES: networks}, "last")) == expected


def test_spread_by_hand():
    found = Spread.of(np.array([[0.1, 0.3], [0.5, 0.7]]))
    assert found.functions == pytest.approx(100 * np.sqrt(0.08))
    assert found.seeds == pytest.approx(100 * np.sqrt(0.02))
    assert found.ratio == pytest.approx(8)


def test_functions_that_do_not_differ_are_told_apart_in_one_case_of_twenty():
    rng = np.random.default_rng(0)
    decided = 0
    for accuracies in rng.normal(size=(2000, 5, 3)):
        low, high = VarianceRatio(math.log(Spread.of(accuracies).ratio), 15, between=4).interval(
            0.025
        )
        decided += low > 0 or high < 0
    assert 0.035 < decided / 2000 < 0.065


def test_the_worst_epoch():
    blocks = [
        {"batch_accuracy": [0.5, 0.9], "validation_accuracy": [0.5, 0.4]},
        {"batch_accuracy": [0.5, 0.9], "validation_accuracy": [0.5, 0.1]},
    ]
    assert claims.worst(blocks) == (blocks[1], 1)


def test_the_answer_has_the_figures_of_the_run():
    plain = grid()["relu"][0]
    forgetful = plain | {"validation_accuracy": [0.9, 0.114]}
    verdicts = ((CLAIMS[0].claim, "does not hold"), (CLAIMS[7].claim, "not decided"))
    summary = {"claims": {"as_run": [{"claim": c, "verdict": v} for c, v in verdicts]}}
    answer = _answer(summary, Figures({COLLAPSES: grid()}, "last", [forgetful]))
    assert answer == (
        "No to the first, not decided to the second: the gradient of the first convolution is 2.0 "
        "times the last stage's, but the same ReLU network, after epoch 2, recognises 90.0% of the "
        "validation images with the batch's statistics and 11.4% with BatchNorm's running "
        "statistics (momentum 0.99)."
    )


def test_networks_that_all_train_for_the_few_epochs_there_are_do_not_converge_slowly():
    def of(epochs, losses):
        return {
            f: [b | {"epochs": epochs, "validation_loss": losses}] for f, (b,) in grid().items()
        }

    def judged(blocks):
        return judge([CLAIMS[2]], published(), [Figures(dict.fromkeys(TABLES, blocks), "last")])[0]

    capped = judged(of(6, [3, 2, 1, 0.9, 0.8, 0.7]))
    assert capped.verdict == "not judged" and "elu 6" in capped.measured
    stopped = of(6, [0.7, 1, 2, 3, 3, 3])
    assert judged(stopped).verdict == "not decided"
