"""The benchmark of sweeps notices other work, and its model has the limits that it is said to."""

from __future__ import annotations

import pytest
import sweep as benchmark
from sweep import ALONE, PLACES, RUNS, WORKERS, check, predicted, shown, simulated

REPORT = {
    "runs": 8,
    "epochs": 3,
    "seconds": {name: [8.0, 7.0, 9.0] for name in PLACES},
    "overhead": {"nothing": {n: {"first": 3.0, "each": 0.01} for n in "12"}},
    "epoch_seconds": 4.0,
    "checkpoint_bytes": 3 * benchmark.WEIGHTS,
    "latency": 0.05,
    "serial": 0.04,
}


def test_other_weights_are_noticed():
    found = {name: {"digest": "a", "runs": 8} for name in PLACES}
    check(found)
    for other in ({"digest": "b", "runs": 8}, {"digest": "a", "runs": 7}):
        with pytest.raises(RuntimeError, match="2 workers: expected the weights of 'one after"):
            check(found | {"2 workers": other})


@pytest.mark.slow
def test_the_places_train_and_leave_the_same(tmp_path):
    options = ["--dataset", "stand-in", "--limit", "60", "--hidden", "8", "--epochs", "1"]
    found = {name: benchmark.trained(PLACES[name], options) for name in (ALONE, "2 threads")}
    check(found)
    assert found[ALONE]["runs"] == len(found[ALONE]["each"]) == 2
    other = benchmark.trained(PLACES[ALONE], [*options, "--seed", "1"])
    with pytest.raises(RuntimeError, match="expected the weights of 'one after"):
        check(found | {"2 threads": other})


def test_the_model_of_many_workers_has_the_limits_that_it_is_said_to():
    for (seconds, workers), expected in (
        (([2.0] * 12, 1), 24),
        (([2.0] * 12, 4), 6),
        (([2.0] * 13, 4), 8),
        (([9.0, *[1.0] * 12], 4), 9),
        (([*[1.0] * 12, 9.0], 4), 12),  # which is why the longest come first
    ):
        assert simulated(seconds, workers, 0, 0) == expected, (seconds, workers)
    assert simulated([2.0] * 5, 1, 0.5, 0) == pytest.approx(5 * 2.5)
    assert simulated([2.0] * 5, 1, 0, 0.1) == pytest.approx(5 * 2.1)
    # With more workers than it can serve, the submitting process decides.
    assert simulated([2.0] * 1000, 500, 0, 0.1) == pytest.approx(2 + 1000 * 0.1)


def test_the_table_has_a_row_for_each_number_of_workers():
    rows = predicted(REPORT)
    assert [row["workers"] for row in rows] == list(WORKERS)
    for name in ("alike", "scattered", "longest first", "one file system"):
        efficiencies = [row[name]["efficiency"] for row in rows]
        assert all(0 < e <= 1.001 for e in efficiencies)
        assert efficiencies[0] > 0.98 > efficiencies[-1]
    assert rows[-1]["longest first"]["seconds"] <= rows[-1]["scattered"]["seconds"]
    assert rows[-1]["one file system"]["efficiency"] < 0.5 * rows[0]["alike"]["efficiency"]
    text = shown(REPORT | {"predicted": rows})
    assert "| 2 workers | 8.0 | 0.50 |" in text
    assert f"A PREDICTION, measured by nobody: {RUNS:,} training runs of 80 s" in text
