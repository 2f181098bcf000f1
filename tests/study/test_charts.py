"""A history has the figures of its network, and the charts of a report have those of a summary."""

import math
from dataclasses import replace

import numpy as np
import pytest

from minidl import Adam, Dense, Examples, Flatten, Network, SoftmaxCrossEntropy, evaluate, probe
from minidl.data import standin
from minidl.pages.colours import function_colour
from minidl.study.charts import (
    Group,
    layer_charts,
    learning_charts,
    published_series,
    runs_series,
)
from minidl.study.correct import unpacked
from minidl.study.histories import by_epoch, by_layer, epoch_rows, mean_of
from minidl.study.recording import record
from minidl.study.series import Series

LOSS = SoftmaxCrossEntropy()


@pytest.fixture(scope="module")
def trained():
    """Data, a network, and the history of its two epochs."""
    data = standin.generate(seed=0, train=128, test=32)
    train, test = (Examples(part.inputs, part.targets % 4) for part in (data.train, data.test))
    layers = [Flatten(), Dense(3072, 8, "relu"), Dense(8, 6, "relu"), Dense(6, 4)]
    network = Network(layers, (3, 32, 32), rng=0)
    history = record(network, train, test, LOSS, Adam(), epochs=2, progress=False)
    return replace(data, train=train, test=test), network, history


@pytest.fixture
def block(trained):
    return by_epoch(trained[2]) | by_layer(trained[2])


def test_the_last_entries_describe_the_network_as_it_is_left(trained):
    data, network, history = trained
    tested = evaluate(network, data.test, LOSS)
    assert (history.test_loss[-1], history.test_accuracy[-1]) == (tested.loss, tested.accuracy)
    x, labels = data.train.batch(0, 64, network.dtype)
    assert history.probes[-1].loss == probe(network, LOSS, x, labels, "sum").loss
    assert history.probes[-1].gradients[0].update_ratio > 0
    assert {len(getattr(history, name)) for name in history.__dataclass_fields__} == {2}


def test_a_run_knows_which_test_images_it_recognizes_and_an_earlier_one_does_not(trained, block):
    data, network, history = trained
    x, labels = data.test.batch(0, 32, network.dtype)
    right = network.forward(x).argmax(axis=1) == labels
    assert 0 < right.sum() < 32
    np.testing.assert_array_equal(unpacked(history.correct[-1], 32), right)
    sizes = {"train_images": 128, "test_images": 32}
    networks = [Series.of_history(history, **sizes), Series.of_block(block, **sizes)]
    for one, other in (networks, networks[::-1]):
        assert (one.accuracy() - other.accuracy()).is_paired
        assert (one.accuracy(0) - other.accuracy()).is_paired
        assert (
            one.until(1).accuracy().bounded[0].correct.tolist()
            == unpacked(history.correct[0], 32).tolist()
        )
    del block["correct"]
    earlier = Series.of_block(block, **sizes)
    assert not (earlier.accuracy() - networks[0].accuracy()).is_paired
    assert unpacked(history.correct[0], 33) is None  # of other images


def test_the_figures_by_epoch_and_by_layer_are_those_of_the_history(trained, block):
    history = trained[2]
    last = history.probes[-1]
    by_bias = [g.mean_abs for g in last.gradients if g.parameter == "b"]
    assert block["gradients"]["biases"][-1] == by_bias
    ratios = [g.update_ratio for g in last.gradients if g.parameter == "W"]
    assert block["update_ratios"]["weights"][-1] == ratios
    assert block["units"]["saturated"][-1] == [unit.saturated for unit in last.units[:2]]
    assert np.shape(block["units"]["dead"]) == (2, 2)  # epochs, hidden layers
    rows = epoch_rows(7, "relu", history)
    assert [(row["seed"], row["network"], row["epoch"]) for row in rows] == [
        (7, "relu", 1),
        (7, "relu", 2),
    ]
    lists = {k: v for k, v in by_epoch(history).items() if k != "correct"}  # which is no number
    assert {k: [row[k] for row in rows] for k in lists} == lists
    blocks = [{"a": [1, 2], "b": {"c": 3}, "d": ["x"]}, {"a": [3, 6], "b": {"c": 4}, "d": ["y"]}]
    assert mean_of(blocks) == {"a": [2, 4], "b": {"c": 3.5}}


def test_the_mean_of_several_runs_has_a_band_and_one_run_has_none():
    both = runs_series("relu", [[1.0, 2.0], [3.0, 6.0]])
    assert (both.y, both.low, both.high) == ([2.0, 4.0], [1.0, 2.0], [3.0, 6.0])
    assert both.band == "from the smallest to the largest of 2 seeds"
    one = runs_series("relu", [[0.1, 0.2]])
    assert (list(one.x), one.y, one.low) == ([1, 2], [0.1, 0.2], None)
    assert math.isnan(runs_series("relu", [[None, 1.0]]).y[0])  # a gap


def test_learning_curves_stand_beside_the_published_ones(block):
    study = {"relu": {"train_accuracy": np.array([0.5, 0.6])}}
    accuracy, loss = learning_charts({"as run": Group({"relu": [block]}, study)})
    assert [(s.name, s.panel) for s in accuracy.series] == [
        ("relu", "training images (running)"),
        ("relu, published", "training images (running)"),
        ("relu", "test images"),
    ]
    assert accuracy.series[1].y == [50, 60] and accuracy.series[1].published  # in per cent
    assert loss.series[1].y == block["test_loss"]
    assert loss.scales == ("linear", "log")


def test_layers_have_a_chart_for_each_figure_in_the_summary(block):
    study = {"relu": {"gradients": np.array([[1.0, 2.0]])}}
    gradients, updates, units = layer_charts({"": Group({"relu": [block]}, study)})
    theirs = [s for s in gradients.series if s.panel == "relu, published"]
    assert [(s.name, s.y) for s in theirs] == [("layer 1", [1.0]), ("layer 2", [2.0])]
    ours = [s for s in gradients.series if s.panel == "relu" and s.where["parameter"] == "weights"]
    assert [s.name for s in ours] == ["layer 1", "layer 2", "output layer"]
    assert len({s.colour for s in ours}) == 3
    assert ours[2].y == [layers[2] for layers in block["gradients"]["weights"]]
    assert updates.scales[0] == "log"
    assert {s.where["share of"] for s in units.series} == {"dead", "saturated"}

    block["update_ratios"] = {"weights": [[None] * 3] * 2}  # probed without an update
    del block["units"]
    charts = layer_charts({"": Group({"relu": [block]})}, ("first", "second", "last"))
    assert [chart.title for chart in charts] == [gradients.title]
    assert charts[0].series[0].name == "first"


def test_functions_have_their_colours_and_published_figures_are_dashed():
    assert function_colour("sigmoid") != function_colour("relu")
    assert published_series("relu", [1]).as_dict()["dashed"]
    assert function_colour("penalized_tanh") == 9  # no colour of its own
