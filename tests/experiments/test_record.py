"""``--record``: snapshots of every network of a study, epoch by epoch; nothing else is changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import small_studies
import study_runs
from studies import cifar100

from minidl.microscope.run import snapshots_of
from minidl.study import recording
from minidl.training.checkpoint import CheckpointError

DATA = small_studies.DATA["cifar100"]
SMALL = dataclasses.replace(DATA, train=DATA.train.first(100), test=DATA.test.first(50))
DENSE = ["--hidden", "16", "16", "16", "16", "--epochs", "2", "--quiet", "--device", "cpu"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the CIFAR-100 experiment up to its report; its folder, and what the report is of."""
    study_runs.give(monkeypatch, SMALL)
    monkeypatch.setattr(type(cifar100.STUDY), "finish", lambda *_: None)
    monkeypatch.setattr(type(cifar100.STUDY), "tables", lambda _, run, results: kept(results))
    reported = {}

    def kept(results):
        reported.update({name: trained.history for name, trained in results.items()})
        return {}

    def run(name, *arguments):
        reported.clear()
        cifar100.STUDY.run([*DENSE, *arguments, "--output-dir", str(tmp_path / name)])
        return tmp_path / name, dict(reported)

    return run


def weights(folder, name):
    with np.load(folder / "weights" / f"{name}.npz") as file:
        return {key: file[key] for key in file.files if key != "manifest"}


def test_a_recorded_run_has_the_same_results_and_a_snapshot_for_each_epoch(run):
    plain, _ = run("plain")
    recorded, histories = run("recorded", "--record")
    assert not (plain / "microscope").exists()
    snapshots = {network.name: network.snapshots for network in snapshots_of(recorded)}
    assert {name: [snapshot.epoch for snapshot in found] for name, found in snapshots.items()} == {
        "relu-seed0": [0, 1, 2],
        "sigmoid-seed0": [0, 1, 2],
    }
    for name, found in snapshots.items():
        ours, theirs = weights(plain, name), weights(recorded, name)
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
        probes = histories[name].probes
        for snapshot, probe in zip(found[1:], probes, strict=True):  # the study's own figures
            assert snapshot.loss == probe.loss
            means = [float(layer.gradient.mean()) for layer in snapshot.layers]
            assert means == pytest.approx(probe.mean_abs(), rel=1e-5)


def test_a_run_that_was_stopped_resumes_with_its_snapshots(run, monkeypatch):
    whole, _ = run("whole", "--record", "--jobs", "1")
    evaluate, calls = recording.evaluate, []

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(recording, "evaluate", broken)
    with pytest.raises(KeyboardInterrupt):
        run("broken", "--record", "--jobs", "1")
    left = sorted(path.name for path in whole.with_name("broken").rglob("epoch-*"))
    assert left == ["epoch-0000.npz", "epoch-0001.npz"]
    again, _ = run("broken", "--record", "--jobs", "1")
    for path in sorted((whole / "microscope").rglob("*.npz")):
        other = again / path.relative_to(whole)
        assert other.read_bytes() == path.read_bytes()


def test_snapshots_do_not_outlive_what_fresh_throws_away(run):
    folder, _ = run("run", "--record")
    with pytest.raises(CheckpointError, match="record true, as in the run stored there, got"):
        run("run")
    (folder / "microscope/relu-seed0/notes.txt").write_text("mine")
    run("run", "--fresh")
    left = [path.name for path in (folder / "microscope").rglob("*") if path.is_file()]
    assert left == ["notes.txt"]
