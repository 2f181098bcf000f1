"""What the report of the CIFAR-100 study says of the gradients before training."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import small_studies
import study_runs
from studies.cifar100 import STUDY
from studies.cifar100.start import sentence_of, start_of, start_parts
from studies.cifar100.training import build_network

from minidl import SoftmaxCrossEntropy, get_device, probe
from minidl.propagation import MeanField

RESULTS = Path(__file__).parents[2] / "docs" / "results"
DATA = small_studies.DATA["cifar100"]


def without_start(*functions, hidden=(512,) * 4):
    """As much of a summary of earlier times as the sentence is made of."""
    return {"networks": {name: {} for name in functions}, "hidden": list(hidden)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        study_runs.give(patch, DATA)
        study_runs.without_figures(patch)
        options = "--epochs", "1", "--quiet", "--hidden", "200", "120"
        return study_runs.run(STUDY, tmp_path_factory.mktemp("run"), *options)


@pytest.fixture(scope="module")
def summary(folder):
    return study_runs.summary(folder)


def test_what_is_measured_is_the_gradient_of_the_network_before_its_first_step(summary):
    chosen = STUDY.options(["--hidden", "200", "120"])
    network = build_network("relu", chosen, DATA, 0, get_device("cpu"))
    x, labels = DATA.train.batch(0, 64, network.dtype)
    expected = probe(network, SoftmaxCrossEntropy(), x, labels, "sum").mean_abs()
    found = summary["networks"]["relu"]["start"]
    np.testing.assert_allclose(found["measured"]["mean_abs_dW"], expected, rtol=1e-6)
    assert found["units"] == [200, 120, 100]


def test_theory_is_near_and_stands_beside_each_measured_gradient(summary, folder):
    report = (folder / "report.md").read_text("utf-8")
    for name, block in summary["networks"].items():
        start = block["start"]
        ours, theory = (np.array(start[by]["mean_abs_dW"]) for by in ("measured", "predicted"))
        assert (abs(np.log(ours / theory)) < 0.4).all()  # narrow, and only two networks
        for label, a, b in zip(("layer 1", "layer 2", "output layer"), theory, ours, strict=True):
            assert f"| {name} | {label} | {1e3 * a:.3f} | {1e3 * b:.3f} | {b / a:.2f} |" in report
    assert "![Predicted and measured gradients before training](figures/start.png)" in report


def test_the_sentence_is_computed_from_the_set_up_of_the_run(summary):
    """One pass between hidden layers, of 200 and 120 units: σ_w² = 400 / 320."""
    said = re.fullmatch(
        r"In theory, before any training, each sigmoid layer passes back (\S+)% of the "
        r"squared gradient, each relu layer (\S+)%\.",
        sentence_of(summary),
    )
    sigmoid, relu = map(float, said.groups())
    q = summary["networks"]["sigmoid"]["start"]["predicted"]["z2"][0]
    assert sigmoid == pytest.approx(100 * MeanField("sigmoid", 1.25).chi(q), rel=0.05)
    assert relu == pytest.approx(62.5, rel=0.05)


def test_a_summary_without_the_start_has_the_sentence_where_the_widths_say_it():
    said = "In theory, before any training, each sigmoid layer passes back 5.6% of the "
    said += "squared gradient, each relu layer 50%."
    assert sentence_of(without_start("sigmoid", "relu")) == said
    assert sentence_of(without_start("leaky_relu", hidden=[300, 300])) == (
        "In theory, before any training, each leaky_relu layer passes back 50% of the "
        "squared gradient."
    )


@pytest.mark.parametrize(
    ("functions", "hidden"),
    [
        (["tanh"], [512] * 4),  # its z shrink from layer to layer for long
        (["selu", "square"], [512] * 4),
        (["sigmoid", "relu"], [512]),  # nothing passes from one hidden layer to another
        (["sigmoid", "relu"], [512, 256]),  # the variance of z depends on the images
        (["sigmoid", "relu"], [16] * 4),  # too narrow
        (["relu"], [200] * 50),  # too deep
    ],
)
def test_where_theory_does_not_say_it_there_is_no_sentence(functions, hidden):
    summary = without_start(*functions, hidden=hidden)
    assert sentence_of(summary) == "" and start_parts(summary) == []


@pytest.mark.parametrize("hidden", [["16", "16"], ["90", "90"], ["20"] * 3])
def test_of_networks_that_are_too_narrow_nothing_is_kept(hidden):
    chosen = STUDY.options(["--hidden", *hidden])
    network = build_network("relu", chosen, DATA, 0, get_device("cpu"))
    assert start_of(network, DATA) == {}


@pytest.mark.slow
@pytest.mark.parametrize("f", ["binary_step", "square", "gelu"])
def test_any_function_may_be_chosen(f, summary):
    chosen = STUDY.options(["--hidden", "150", "150"])
    start = start_of(build_network(f, chosen, DATA, 0, get_device("cpu")), DATA)
    some = copy.deepcopy(summary) | {"networks": {f: start}, "hidden": [150, 150]}
    text = "\n\n".join(part.markdown() for part in start_parts(some))
    if f == "binary_step":
        assert "| binary_step | layer 1 | 0.000 | 0.000 | – | – | – |" in text
    assert (f"each {f} layer passes back " in text) == (f != "binary_step") and "nan" not in text


@pytest.mark.parametrize("name", ["cifar100", "cifar100_five_seeds"])
def test_the_reports_in_the_docs_say_it(name):
    report = (RESULTS / name / "report.md").read_text("utf-8")
    networks = json.loads((RESULTS / name / "summary.json").read_text("utf-8"))["networks"]
    assert "% of the squared gradient, each relu layer 50%." in report
    for f, block in networks.items():
        if "start" in block:
            ours, theory = (block["start"][by]["dz2"] for by in ("measured", "predicted"))
            logs = [math.log(a / b) for a, b in zip(ours, theory, strict=True)]
            assert max(map(abs, logs)) < 0.2, f
