"""The study of two claims on MNIST on a few images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small_studies
from studies.mnist_depth import STUDY
from studies.mnist_depth.claims import COMES_OUT, FOUR_LAYERS, RULES, published
from studies.mnist_depth.study import ALL, FOUR, SET_UPS, _answer
from study_runs import summary

from minidl.backend import CPU
from minidl.study import judge
from minidl.study.series import Series


@pytest.mark.slow
def test_what_is_trained_and_reported(tmp_path):
    folder = small_studies.run("mnist_depth", tmp_path, "--seeds", "2", "--quiet")
    found = summary(folder)
    assert list(found["set_ups"]) == list(ALL)
    for key, block in found["set_ups"].items():
        claims = FOUR_LAYERS if key == FOUR else RULES
        assert [c["claim"] for c in block["claims"]] == [one.claim for one in claims]
        assert len(block["runs"]) == 2
        layers = 5 if key == FOUR else 4
        assert np.shape(block["networks"]["relu"]["gradients"]["weights"]) == (2, layers)
    report = (folder / "report.md").read_text("utf-8")
    assert "2 epochs instead of the published 10" in report
    for set_up in ALL.values():
        assert f"| {set_up.title} | 784-" in report
    assert "SGD 0.01, batch 32, sigmoid" in STUDY.results(found)


def test_both_networks_start_alike_and_differ_in_their_function():
    place = (1, 28, 28), 10, 3, CPU
    one, other = (SET_UPS["sgd_128"].network(f, *place) for f in ("sigmoid", "relu"))
    assert one.shapes == [(784,), (600,), (300,), (100,), (10,)]
    assert np.array_equal(one.theta, other.theta)
    assert ALL[FOUR].network("relu", *place).shapes == [(784,), *[(512,)] * 4, (10,)]
    rule = SET_UPS["momentum_128"].optimizer()
    assert (rule.learning_rate, rule.momentum) == (0.01, 0.9)


def network(accuracy: float, gradients=((1.0, 1.0),) * 4) -> Series:
    found = np.array(gradients, float)
    accuracies = np.full(len(found), accuracy)
    return replace(published()["relu"], test_accuracy=accuracies, gradients=found)


@pytest.mark.parametrize(
    ("sigmoid", "relu", "verdict"),
    [
        (0.1135, 0.95, "holds"),
        (0.2, 0.95, "does not hold"),
        (0.1135, 0.6, "does not hold"),
        (0.147, 0.95, "not decided"),
    ],
)
def test_whether_the_published_pair_comes_out(sigmoid, relu, verdict):
    (found,) = judge(RULES[:1], study(), [(network(sigmoid), network(relu))])
    assert found.verdict == verdict
    assert found.published == "ReLU 0.9200, sigmoid 0.1100"


def study() -> tuple[Series, Series]:
    return published()["sigmoid"], published()["relu"]


@pytest.mark.parametrize(
    ("gradients", "verdict"),
    [
        ([(1, 2), (1, 2.02), (1, 2), (1, 2.01)], "holds"),
        ([(1, 90), (1, 91), (1, 90), (1, 91)], "does not hold"),
        ([(1, 3), (1, 40), (1, 3), (1, 40)], "not decided"),
        ([(0, 1)] * 4, "not decided"),  # nothing arrives: its logarithm is no number
    ],
)
def test_whether_a_gradient_vanishes(gradients, verdict):
    pair = (network(0.9, gradients), network(0.9))
    (found,) = judge(FOUR_LAYERS[:1], study(), [pair])
    assert found.verdict == verdict
    assert found.published == "not reported"


@pytest.mark.parametrize(
    ("holding", "said"),
    [
        (list(SET_UPS), "Yes to the first in 7 of 7 settings, no to the second: with SGD"),
        (["sgd_slow_512"],
            "Yes to the first in 1 of 7 settings, no to the second: with SGD 0.01, batch 512,"),
        ([], "No to the first, no to the second: with "),
    ],
)  # fmt: skip
def test_the_answer_follows_from_the_verdicts(holding, said):
    def block(key):
        verdict = "holds" if key in holding else "does not hold"
        claim = RULES[0].claim if key != FOUR else FOUR_LAYERS[0].claim
        accuracy = {"sigmoid": {"test_accuracy": [0.1]}, "relu": {"test_accuracy": [0.9]}}
        return {"claims": [{"claim": claim, "verdict": verdict}], "networks": accuracy}

    answer = _answer({"set_ups": {key: block(key) for key in ALL}})
    assert answer.startswith(said)
    assert "ReLU recognises 90.0% and sigmoid 10.0%" in answer
    assert RULES[0].claim == COMES_OUT
