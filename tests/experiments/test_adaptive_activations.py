"""The study of adaptive activation functions made tiny."""

import collections
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_studies
import study_runs
from studies.adaptive_activations import STUDY, training
from studies.adaptive_activations.claims import CLAIMS
from studies.adaptive_activations.series import Figures, last, published, shape
from studies.adaptive_activations.training import (
    FULL,
    Outcome,
    Training,
    build_network,
    carry_over,
    deep_network,
    hinges_of,
    prepared,
    shrunk,
)

from minidl import APL, ActivationLayer, Dense, Examples, SoftmaxCrossEntropy
from minidl.backend import CPU
from minidl.study import judge
from minidl.study.recording import History, record
from minidl.study.report import read_rows
from minidl.study.series import Series
from minidl.training.checkpoint import Checkpoint

TINY = small_studies.SIZES["adaptive_activations"]
DATA = small_studies.DATA["adaptive_activations"]
IMAGES = prepared(DATA.train, 20), prepared(DATA.test, 10)
IMAGES_OF = {"train_images": 50_000, "test_images": 10_000}


def alone(name, label, *network_data_and_rule, checkpoint, **options):
    """Train as a run does, without a run."""
    network, train, test, rule = network_data_and_rule
    loss = SoftmaxCrossEntropy()
    return record(network, train, test, loss, rule, progress=False, **options)


def tiny(size=TINY, seed=0):
    checkpoint = Checkpoint(Path(tempfile.mkdtemp()) / "x.checkpoint")
    return Training(size, *IMAGES, len(DATA.classes), seed, CPU, alone, checkpoint)


# -- from the command line to the report ----------------------------------------------------


@pytest.mark.slow
def test_what_is_trained_and_reported(tmp_path, capsys):
    folder = small_studies.run("adaptive_activations", tmp_path, "--epochs", "1", "--seeds", "2")
    found = study_runs.summary(folder)
    assert found["size"]["train_images"] == 20
    assert found["is_full_size"] is False
    assert [len(claims) for claims in found["claims"].values()] == [len(CLAIMS)] * 2
    one, other = found["runs"]
    count = collections.Counter(t["group"] for t in one["trainings"])
    assert count == {
        "hinges_as_run": 6,
        "hinges_as_described": 6,
        "functions_as_described": 3,
        "functions_as_run": 1,
        **{f"depth_{depth}": 3 for depth in (3, 5, 7)},
    }
    losses = [[t["test_loss"] for t in block["trainings"]] for block in (one, other)]
    assert losses[0] != losses[1]
    assert len(read_rows(folder, "epochs.csv")) == 2 * 25
    names = {chart.file for chart in STUDY.report_of(folder).charts()}
    assert {"hinges", "shapes", "depth"} <= names
    report = (folder / "report.md").read_text("utf-8")
    assert "Update-to-weight ratio by layer" in (folder / "report.html").read_text("utf-8")
    assert "Smaller than the study: 20 of its 50,000 training images" in report
    assert "| 10 | 81.3% |" in report
    assert "as run" in capsys.readouterr().out


# -- the networks -----------------------------------------------------------------------------


def test_the_network_of_the_study():
    network = build_network(tiny(FULL), "apl", hinges=5)
    convolutions = (3 * 25 + 1) * 96 + (96 * 25 + 1) * 128 + (128 * 25 + 1) * 256
    apl = 2 * 5 * (96 + 128 + 256)
    dense = (256 * 3 * 3 + 1) * 2048 + 2049 * 2048 + 2049 * len(DATA.classes)
    assert network.theta.size == convolutions + apl + dense
    described = build_network(tiny(FULL), "apl", hinges=5, dense_too=True)
    assert described.theta.size == network.theta.size + 2 * 5 * 2 * 2048


@pytest.mark.parametrize("function", ["relu", "leaky_relu"])
def test_only_these_have_a_function_after_their_dense_layers(function):
    kinds = [type(layer) for layer in build_network(tiny(), function, dense_too=True).layers]
    assert kinds.count(ActivationLayer) == 5
    assert kinds[-2:] != [ActivationLayer, Dense]
    assert not any(isinstance(la, APL) for la in build_network(tiny(), function).layers)


def test_networks_differ_in_their_function_only():
    relu, leaky = (build_network(tiny(), name, dense_too=True) for name in ("relu", "leaky_relu"))
    assert np.array_equal(relu.theta, leaky.theta)


@pytest.mark.parametrize("depth", [3, 5, 7])
def test_depth(depth):
    network = deep_network(tiny(), "apl", depth)
    assert len(list(hinges_of(network))) == depth
    assert network.shapes[-3] == (2, 32, 32)  # what the mean of each channel is taken of
    assert network.shapes[-2] == (2,)


def test_carried_over_the_function_is_the_same():
    rng = np.random.default_rng(0)
    before, after = (build_network(tiny(), "apl", hinges) for hinges in (2, 4))
    before.theta[...] = rng.normal(size=before.theta.size)
    carry_over(before, after)
    x = rng.normal(size=(3, 3, 32, 32)).astype(np.float32)
    assert np.array_equal(before.forward(x), after.forward(x))
    a, b = next(hinges_of(after))
    assert not a[2:].any() and not b[2:].any() and a[:2].all()


def test_as_run_each_starts_where_the_last_one_stopped(monkeypatch):
    first = []

    def run(self, network, rng, label):
        first.append(network.theta.sum())
        network.theta += 1
        return label

    monkeypatch.setattr(Training, "run", run)
    tiny().hinges_as_run()
    new = [build_network(tiny(), "apl", s).theta.sum() for s in training.HINGES]
    assert first[0] == new[0]
    assert not np.isclose(first[1:], new[1:]).any()
    first.clear()
    tiny().function("relu")
    assert len(first) == 2 and first[0] != first[1]  # the second time trained before
    first.clear()
    tiny().hinges_as_described(3)
    assert first == [new[2]]


def test_which_networks_are_shown_as_run():
    def outcome(accuracy, *shapes):
        history = History([1.0], [0.5], [1.0], [accuracy], [1.0])
        return Outcome(history, dict(enumerate(shapes)))

    outcomes = {("hinges_as_described", str(s)): outcome(s / 100, [s]) for s in training.HINGES}
    outcomes |= {("hinges_as_run", str(s)): outcome(s / 10) for s in training.HINGES}
    outcomes |= {
        ("functions_as_described", name): outcome(0.1 * i, [name])
        for i, name in enumerate(training.FUNCTIONS)
    }
    outcomes["functions_as_run", "relu"] = outcome(0.9)
    outcomes |= {(f"depth_{d}", n): outcome(0.3) for d in (3, 5, 7) for n in training.FUNCTIONS}

    run, described = (Figures.of(outcomes, key, **IMAGES_OF) for key in ("as_run", "as_described"))
    assert {n: last(s) for n, s in run.functions.items()} == {
        "apl": 0.05,
        "relu": 0.9,
        "leaky_relu": 0.2,
    }
    assert [last(s) for s in described.functions.values()] == [0, 0.1, 0.2]
    assert (last(run.hinges[10]), last(described.hinges[10])) == (1, 0.1)
    assert (run.shapes, described.shapes) == ({0: [5]}, {0: ["apl"]})


@pytest.mark.slow
def test_shapes_are_kept_after_the_epochs_of_the_study():
    outcome = tiny(replace(TINY, epochs=4)).hinges_as_described(2)["hinges_as_described", "2"]
    assert list(outcome.shapes) == [0, 1, 3]
    (a, b), *others = outcome.shapes[0]
    assert len(others) == 2
    assert a.shape == b.shape == (2, 2)
    assert not b.any() and outcome.shapes[3][0][1].any()  # the places are learned
    assert len(outcome.history.test_accuracy) == 4


def test_halved_images_are_means_of_blocks():
    image = np.zeros((1, 1, 4, 4), np.uint8)
    image[0, 0, :2, :2] = [[10, 20], [30, 40]]
    image[0, 0, 2:, 2:] = 255
    found = shrunk(Examples(image, np.zeros(1, int)), 2)
    assert found.inputs.tolist() == [[[[25, 0], [0, 255]]]]
    assert tiny().shrunk().train.input_shape == (3, 16, 16)
    same = tiny(FULL)
    assert same.shrunk() is same


# -- the claims ---------------------------------------------------------------------------------


def test_what_is_said_of_the_published_figures():
    found = judge(CLAIMS, published(), [published()])
    # 1.96 · √(0.7598 · 0.2402 / 10000 + 0.6075 · 0.3925 / 10000)
    assert found[3].measured == "0.7598 against 0.6075; difference +0.152 (+0.140 to +0.165)"
    assert found[2].published.startswith("r = +0.70, p = 0.12; ")


def test_with_fewer_epochs_the_study_is_that_of_the_same_epoch():
    study = published(3)
    assert study.hinges == {}  # known after the last epoch only
    assert last(study.functions["apl"]) == published().functions["apl"].test_accuracy[2]
    found = judge(CLAIMS, study, [published()])
    assert [claim.published for claim in found[:3]] == ["not reported"] * 3


def flat(accuracy, seconds=1.0):
    """Three epochs that hardly differ."""
    near = np.array([1.0, 1.001, 1.0])
    learned = {"train_loss": near, "test_loss": near, "test_accuracy": np.full(3, accuracy)}
    return Series(**learned, seconds=seconds * near, **IMAGES_OF)


def figures(**changed) -> Figures:
    return replace(published(), **changed)


def depths(*rows):
    names = ("apl", "relu", "leaky_relu")
    return {
        depth: {name: flat(a) for name, a in zip(names, row, strict=True)}
        for depth, row in zip((3, 5, 7), rows, strict=True)
    }


GROWING = depths([0.5, 0.3, 0.4], [0.6, 0.4, 0.5], [0.7, 0.6, 0.55])
SHRINKING = depths([0.5, 0.55, 0.4], [0.4, 0.5, 0.4], [0.4, 0.7, 0.3])
CLOSE = depths([0.5, 0.5, 0.505], [0.505, 0.5, 0.5], [0.5, 0.505, 0.5])


def times(apl):
    seconds = {"apl": apl, "relu": 1.0, "leaky_relu": 1.2}
    return {name: flat(0.5, s) for name, s in seconds.items()}


def hinges(*accuracies):
    return {s: flat(a) for s, a in zip((1, 2, 3, 4, 5, 10), accuracies, strict=True)}


def last_accuracies(apl, relu, leaky):
    return {"apl": flat(apl), "relu": flat(relu), "leaky_relu": flat(leaky)}


def learned(before, after):
    """Fifty channels for each a, which is minus its slope on the left."""
    before, after = (np.repeat(a, 50)[None] for a in (before, after))
    place = np.zeros(before.shape)
    return {0: [(before, place)], 10: [(after, place)]}


@pytest.mark.parametrize(
    ("claim", "changed", "verdict"),
    [
        (0, {"hinges": hinges(0.5, 0.5, 0.5, 0.5, 0.5, 0.505)}, "not decided"),
        (0, {"hinges": hinges(0.5, 0.5, 0.5, 0.5, 0.5, 0.52)}, "holds"),
        (0, {"hinges": hinges(0.52, 0.5, 0.5, 0.5, 0.5, 0.5)}, "does not hold"),
        (2, {"hinges": hinges(0.51, 0.52, 0.53, 0.54, 0.55, 0.6)}, "does not hold"),
        (3, {"functions": last_accuracies(0.52, 0.5, 0.6)}, "holds"),
        (3, {"functions": last_accuracies(0.505, 0.5, 0.4)}, "not decided"),
        (4, {"functions": last_accuracies(0.52, 0.6, 0.5)}, "holds"),
        (4, {"functions": last_accuracies(0.505, 0.4, 0.5)}, "not decided"),
        (5, {"functions": last_accuracies(0.5, 0.4, 0.3)}, "does not hold"),
        (5, {"functions": last_accuracies(0.5, 0.4, 0.6)}, "does not hold"),
        (7, {"functions": times(2.0)}, "not judged"),  # another machine may say another ratio
        (8, {"shapes": learned([0.5, -0.5], [0.1, -0.1])}, "holds"),
        (8, {"shapes": learned([0.5, -0.5], [0.1, 0.1])}, "does not hold"),
        (9, {"shapes": learned([0.5, -0.5], [0.05, -0.01])}, "holds"),
        (9, {"shapes": learned([0.5, -0.5], [0.2, -0.2])}, "does not hold"),
        (10, {"depths": GROWING}, "holds"),
        (10, {"depths": SHRINKING}, "does not hold"),
        (11, {"depths": GROWING}, "holds"),
        (11, {"depths": SHRINKING}, "does not hold"),
        (12, {"depths": GROWING}, "holds"),
        (12, {"depths": SHRINKING}, "does not hold"),
        (13, {"depths": GROWING}, "holds"),
        (13, {"depths": SHRINKING}, "does not hold"),
        *((claim, {"depths": CLOSE}, "not decided") for claim in (10, 11, 12, 13)),
    ],
)
def test_criteria_by_hand(claim, changed, verdict):
    (judged,) = judge([CLAIMS[claim]], published(), [figures(**changed)])
    assert judged.verdict == verdict


def test_shape_is_what_the_layer_computes():
    layer = APL(3, hinges=2).build(rng=0, dtype="float64")
    layer.b[...] = np.random.default_rng(1).normal(size=(2, 3))
    x = np.linspace(-3, 3, 50)
    expected = layer.forward(np.stack([x] * 3, axis=1))
    np.testing.assert_allclose(shape(layer.a, layer.b, x), expected, atol=1e-15)


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("epochs", [1, 3])
def test_criteria_survive_any_numbers(number, epochs):
    def same():
        learned = {"train_loss": values, "test_loss": values, "test_accuracy": np.zeros(epochs)}
        one = Series(**learned, seconds=np.ones(epochs), **IMAGES_OF)
        names = ("apl", "relu", "leaky_relu")
        by_depth = {depth: dict.fromkeys(names, one) for depth in (3, 5, 7)}
        return Figures(dict.fromkeys((1, 2, 3, 4, 5, 10), one), dict.fromkeys(names, one), by_depth)

    values = np.full(epochs, number)
    for claim in judge(CLAIMS, same(), [same()]):
        assert claim.verdict in ("not decided", "not judged")
