"""Claims judged on published figures and on ours, and the figures of trainings as data."""

import time

import numpy as np
import pytest

from minidl import get_device
from minidl.recording import History
from minidl.reporting import Conditions, judge, verdict
from minidl.reporting.figures import draw_published, draw_runs, image_rows, new_figure
from minidl.reporting.histories import by_epoch, epoch_rows, mean_of

CLAIMS = [
    ("large", "above 10", lambda run: (f"{run}", run > 10)),
    ("never told", "above nothing", lambda run: None),
]


def test_claims_are_judged_on_the_studys_figures_and_by_the_majority_of_ours():
    large, never = judge(CLAIMS, 5, [20, 30, 1])
    assert (large.claim, large.criterion) == ("large", "above 10")
    assert large.published == "5 (does not meet the criterion)"
    assert large.measured == "20; in 2 of 3 seeds, first seed shown"
    assert large.holds is True
    assert (never.published, never.holds) == ("not reported", None)
    assert never.measured == "cannot be judged in this set-up"
    assert judge(CLAIMS, 11, [20, 1])[0].holds is False  # half is no majority
    assert judge(CLAIMS, 11, [20])[0].measured == "20"
    assert judge(CLAIMS, 11, [20])[0].published == "11"
    assert [verdict(holds) for holds in (True, False, None)] == [
        *("holds", "does not hold", "not judged")
    ]


def test_means_of_blocks():
    blocks = [{"a": [1, 2], "b": {"c": 3}}, {"a": [3, 6], "b": {"c": 4}}]
    assert mean_of(blocks) == {"a": [2, 4], "b": {"c": 3.5}}


def test_histories_as_data():
    history = History([3.0, 2.0], [0.1, 0.2], [3.5, 2.5], [0.3, 0.4], [1.0, 1.5])
    assert by_epoch(history)["test_accuracy"] == [0.3, 0.4]
    rows = epoch_rows(7, "relu", history)
    assert rows[1] == {
        "seed": 7,
        "epoch": 2,
        "network": "relu",
        "train_loss": 2.0,
        "train_accuracy": 0.2,
        "test_loss": 2.5,
        "test_accuracy": 0.4,
        "seconds": 1.5,
    }
    assert {k: [row[k] for row in rows] for k in by_epoch(history)} == by_epoch(history)


def test_conditions():
    start = time.perf_counter() - 12.3
    found = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", start)
    rows = dict(found.rows())
    assert rows["device"] == "cpu, 2 network(s) at a time"
    assert rows["command"] == "`python x.py`"
    assert ", 12 s, " in rows["date, time, peak memory"]
    assert 12.3 <= found.as_dict()["seconds"] < 12.49
    assert "command" not in found.as_dict()


def test_runs_are_drawn_as_their_mean_and_the_band_they_lie_in():
    _, (ax,) = new_figure("title")
    draw_runs(ax, [[1, 2], [3, 6]], "ours", "#000000")
    draw_published(ax, [5, 5], "theirs", "#000000")
    assert ax.lines[0].get_ydata().tolist() == [2, 4]
    assert len(ax.collections) == 1
    assert [line.get_label() for line in ax.lines] == ["ours", "theirs, published"]
    draw_runs(ax, [[1, 2]], "alone", "#000000")
    assert len(ax.collections) == 1  # one run has no band


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3)])
def test_images_in_rows(shape):
    image = np.zeros(shape, np.uint8)
    figure = image_rows("title", {"one": [(image, "a → b")] * 3, "other": [(image, "c")]})
    assert len(figure.axes) == 6
    assert [ax.get_title() for ax in figure.axes] == ["a → b"] * 3 + ["c", "", ""]
