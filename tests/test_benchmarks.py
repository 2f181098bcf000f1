"""The benchmarks notice when the work that they time was not done.

No test here checks a time.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from argparse import Namespace
from dataclasses import asdict

import bert_training
import floor
import fuzz
import numpy as np
import pytest
import resnet_training
import scaling
import study_runs
import tf32_gradients
import whole_epoch
from peers import FIRST_STEPS, Problem, bert_minidl_peer
from processes import Worker, check_losses, dense, start_all, write_problem
from studies.cifar100 import STUDY
from whole_epoch import STEPS, Failed, check_work, work_in

from minidl import Dense, Flatten, Network
from minidl.data import Sentences, standin
from minidl.models import BertSizes, bert, resnet18, resnet50

SMALL = standin.generate(seed=0, train=70, test=10)


# -- one epoch as a process -------------------------------------------------------------------


def work(**changed) -> dict[str, dict[str, float]]:
    found = {"sigmoid": {"steps": STEPS, "loss": 4.37}, "relu": {"steps": STEPS, "loss": 4.06}}
    found["relu"] |= changed
    return found


@pytest.mark.slow
def test_only_the_work_of_this_start_counts(monkeypatch, tmp_path, capsys):
    study_runs.give(monkeypatch, SMALL)
    study_runs.without_figures(monkeypatch)
    options = ["--epochs", "2", "--hidden", "8", "--device", "cpu", "--quiet"]
    options += ["--output-dir", str(tmp_path)]
    STUDY.run(options)
    found = work_in(tmp_path)
    assert {name: did["steps"] for name, did in found.items()} == {"sigmoid": 4, "relu": 4}
    assert all(0 < did["loss"] < math.inf for did in found.values())
    STUDY.run(options)  # finds both networks trained and only draws the report again
    with pytest.raises(Failed, match="2 networks were trained by an earlier start"):
        work_in(tmp_path)


def test_different_work_is_not_compared():
    check_work("a peer", work(loss=4.1), work())
    for theirs in (
        *(work(steps=0), work(steps=STEPS - 1)),
        *(work(loss=math.log(100)), work(loss=math.nan)),  # nothing learned
        {"relu": work()["relu"]},
    ):
        with pytest.raises(RuntimeError, match=r"a peer.*: expected"):
            check_work("a peer", theirs, work())


def test_a_process_that_fails_is_not_timed():
    figures, line = whole_epoch.measure([sys.executable, "-c", "print('a'); print('b')"])
    assert (line, set(figures)) == ("b", {"wall_s", "cpu_s", "peak_mb"})
    with pytest.raises(Failed, match="ValueError: no data"):
        whole_epoch.measure([sys.executable, "-c", "raise ValueError('no data')"])


# -- peers in processes of their own ----------------------------------------------------------


@pytest.fixture
def problem(tmp_path):
    images = SMALL.train.inputs.reshape(len(SMALL.train), -1)[:, :12]
    path = tmp_path / "problem.npz"
    write_problem(path, images, SMALL.train.targets, dense([12, 8, 100]), "relu", 4)
    return path


@pytest.mark.slow
def test_the_steps_of_each_timing_are_counted_by_the_optimizer(problem, monkeypatch):
    (worker,), missing = start_all(["minidl"], [sys.executable], problem, 1)
    try:
        assert not missing
        check_losses([worker], 0, 0)
        told = worker.told | {"loss": 0.0}
        other = Namespace(name="other", told=told, check_steps=lambda _: None)
        check_losses([worker, other], 0, after=None)
        with pytest.raises(RuntimeError, match="other does different work"):
            check_losses([worker, other], 0, 0.08)
        other.told["loss"] = math.nan
        with pytest.raises(RuntimeError, match="other does different work"):
            check_losses([worker, other], 0, after=None)
        worker.time(3)
        worker.time(2)
        assert worker.steps == FIRST_STEPS + 5
        answer = worker._answer
        monkeypatch.setattr(worker, "_answer", lambda: answer() | {"steps": worker.steps})
        counted = "minidl: expected 16 steps of the optimizer, got 15"
        with pytest.raises(RuntimeError, match=counted):
            worker.time(1)
    finally:
        worker.close()


@pytest.mark.slow
def test_without_minidl_there_is_nothing_to_compare(problem, monkeypatch):
    case = {"width": 8, "depth": 1, "batch size": 64, "threads": 1}
    chosen = Namespace(interpreter=[sys.executable], rounds=1)
    assert scaling.measure(case, SMALL, chosen)["minidl"]["ms"] > 0
    monkeypatch.setattr(Worker, "_answer", lambda _: {"missing": "No module named 'minidl'"})
    with pytest.raises(RuntimeError, match="minidl: No module named 'minidl'"):
        start_all(["minidl", "JAX jit"], [sys.executable], problem, 1)


# -- what is timed or compared within the benchmark -------------------------------------------


def test_the_floor_times_products_that_were_computed(monkeypatch):
    assert floor.measure_floor((12, 8, 4), 4, threads=1, rounds=2).seconds > 0
    monkeypatch.setattr(floor.np, "matmul", lambda x, y, out: out)
    with pytest.raises(RuntimeError, match="the product was timed, but not computed"):
        floor.gemm_seconds(4, 8, 12, rounds=1)


def test_the_products_in_a_network_are_counted_layer_by_layer():
    sizes = (12, 8, 4)
    assert sorted(floor.products_in(dense(sizes), 5)) == sorted(floor.products(sizes, 5))
    small = {"size": 32, "stem_kernel": 3, "stem_stride": 1, "width": 0.25}
    products = floor.products_in(resnet50(10, **small), N=3)
    assert len(products) == 3 * 54 - 1  # 53 convolutions and the head; no dx of the images
    assert sum(2 * m * k * n for m, k, n in products) == 3 * 123_303_936


@pytest.mark.slow
def test_float64_doubles_the_memory_of_an_image():
    small = {"width": 1 / 64, "size": 64}
    kept, peak = resnet_training.memory_per_image(resnet18(10, **small))
    assert 0 < kept <= peak
    double = resnet_training.memory_per_image(resnet18(10, dtype="float64", **small))
    assert double == pytest.approx((2 * kept, 2 * peak), rel=0.3)


def test_tf32_that_rounds_nothing_is_an_error(monkeypatch):
    network = Network([Flatten(), Dense(3072, 8, "relu"), Dense(8, 100)], (3, 32, 32), rng=0)
    assert min(tf32_gradients.compare(network, SMALL.train)) > 0
    monkeypatch.setattr(tf32_gradients, "tf32_products", lambda _, x: contextlib.nullcontext(x))
    with pytest.raises(RuntimeError, match="expected TF32 to change the gradient of each layer"):
        tf32_gradients.compare(network, SMALL.train)


@pytest.mark.slow
def test_a_new_fuzzing_campaign_does_not_reuse_the_inputs_of_another(monkeypatch, tmp_path, capsys):
    (tmp_path / "idx").mkdir()
    command = ["fuzz.py", "--targets", "idx", "--corpora", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        fuzz.main()
    assert "--corpora: expected a folder without inputs of idx, got" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*command, "--replay"])
    with pytest.raises(SystemExit, match="expected inputs of an earlier campaign"):
        fuzz.main()


# -- fine-tuning a BERT -----------------------------------------------------------------------


def test_transformers_gets_every_parameter_by_its_name():
    sizes = BertSizes(vocabulary=30, features=8, blocks=2, heads=2, hidden=8, positions=12)
    network = bert(sizes)
    names = bert_training.names_of(network, sizes)
    assert len(set(names)) == len(names) == len(list(network.parameters()))
    at = names.index("bert.encoder.layer.1.attention.self.value.weight")
    layer, name, _, _ = list(network.parameters())[at]
    assert (layer.name, name) == ("block_2.attention.value", "W")


def test_a_batch_has_sentences_of_similar_length():
    sizes = BertSizes(vocabulary=30, features=8, blocks=1, heads=2, hidden=8, positions=12)
    network = bert(sizes)
    rows = [[1] * n for n in range(1, 9)]
    tokens = Sentences.of(rows, np.arange(8) % 2)
    kind = {"sizes": asdict(sizes), "classes": 2, "dropout": 0.0}
    weights = [value for _, _, value, _ in network.parameters()]
    given = (tokens.inputs, tokens.targets, weights, "gelu", 3, json.dumps(kind))
    peer = bert_minidl_peer.make(Problem(*given))
    before = peer.loss(np.array([2]))
    assert math.isfinite(before)
    peer.run(np.array([[2, 0, 0], [7, 0, 0]]))  # 7 is too close to the end: the last three
    assert peer.steps() == 2
    assert peer.network["tokens"].x.shape == (3, 8)
    assert peer.loss(np.array([2])) != before
