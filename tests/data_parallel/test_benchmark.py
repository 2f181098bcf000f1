"""The benchmark on ranks notices other work, and its model gives back what it is made of."""

from __future__ import annotations

import data_parallel
import numpy as np
import pytest
from data_parallel import CASES, RANKS, Case, answer, check, fit, predicted, sum_over
from mpi import needs_mpi
from processes import dense, write_problem


def test_the_fit_finds_the_two_numbers():
    times = {str(n): sum_over(2, n, 3e-6, 2e-10) for n in (8, 1024, 2**20, 2**25)}
    np.testing.assert_allclose(fit(times), (3e-6, 2e-10), rtol=1e-9)


def test_the_prediction_begins_with_what_was_measured():
    alone = {64: 0.004, 256: 0.010, 1024: 0.034}  # 2 ms and 31.25 µs an example
    rows = predicted(alone, 1e-6, 1e-10)
    assert [row["ranks"] for row in rows] == RANKS
    assert rows[0]["weak_seconds"] == 0.010
    assert rows[0]["strong_seconds"] == pytest.approx(0.034)
    added = 2 * 1e-6 + data_parallel.MESSAGE * 1e-10
    assert rows[1]["weak_seconds"] == pytest.approx(0.010 + added)
    assert rows[1]["strong_seconds"] == pytest.approx(0.018 + added)
    assert rows[-1]["strong_efficiency"] < 0.02


def test_other_work_is_noticed():
    work = {"before": 4.8, "after": 4.1, "steps": 70, "seconds": [1.0], "batch_size": 64}
    check({"minidl, 1 rank": [work], "another": [work | {"after": 4.101}]})
    for other in ({"before": 4.9}, {"after": 4.2}, {"steps": 69}):
        with pytest.raises(RuntimeError, match="another does different work"):
            check({"minidl, 1 rank": [work], "another": [work | other]})


@needs_mpi
def test_ranks_do_the_work_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(data_parallel, "STEPS", 2)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (64, 12), np.uint8), rng.integers(0, 5, 64)
    path = tmp_path / "problem.npz"
    write_problem(path, images, labels, dense((12, 8, 5)), "sigmoid", 16)
    ours = [case for name, case in CASES.items() if name.startswith("minidl")]
    check({str(case): answer(case, [path], "") for case in ours})
    assert set(answer(Case("messages", 2), [], "")) > {"8", "32"}
