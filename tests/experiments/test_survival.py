"""A run of one epoch, of zeros and of what is no number is reported like any other."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import study_runs
from report_page import report_of, study
from studies.activation_study import claims as activation_study_claims
from studies.activation_study import series as activation_study_series
from studies.adaptive_activations.claims import CLAIMS as APL_CLAIMS
from studies.adaptive_activations.series import Figures
from studies.adaptive_activations.training import Size
from studies.cifar10_cnn import claims as cifar10_cnn_claims
from studies.cifar100 import claims as cifar100_claims
from studies.resnet50.training import Size as ResNetSize

from minidl import Examples
from minidl.data import Dataset, standin
from minidl.data.cifar import CIFAR_10
from minidl.data.idx import FASHION_MNIST
from minidl.study import judge
from minidl.study.claims import VERDICTS
from minidl.study.report import read_summary
from minidl.study.series import Series

IMAGES = {"train_images": 50_000, "test_images": 10_000}
MORE = {
    "activation_study": ("--data-sets", "mnist", "--optimizers", "adam"),
    "cifar10_cnn": ("--plateau-seeds", "0"),
    "cifar100": ("--hidden", "8", "8", "8", "8", "--learning-rate", "1000"),
    "fashion_mnist": ("--seeds", "1"),
    "mnist_depth": ("--seeds", "1"),
    "resnet50": ("--seeds", "1"),
}


def data(name: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> Dataset:
    rng = np.random.default_rng(0)

    def part(n: int) -> Examples:
        return Examples(rng.integers(0, 256, (n, *shape)).astype(np.uint8), np.arange(n) % 10)

    return Dataset(name, name, part(80), part(40), classes, "generated here")


DATA = {
    "activation_study": data("mnist", (1, 28, 28), tuple("0123456789")),
    "adaptive_activations": standin.generate(seed=0, train=40, test=20),
    "cifar10_cnn": data("cifar-10", (3, 8, 8), CIFAR_10.classes),
    "cifar100": standin.generate(seed=0, train=300, test=100),
    "fashion_mnist": data("fashion-mnist", (1, 28, 28), FASHION_MNIST.classes),
    "mnist_depth": data("mnist", (1, 28, 28), tuple("0123456789")),
    "resnet50": {
        "mnist": data("mnist", (1, 28, 28), tuple("0123456789")),
        "cifar-10": data("cifar-10", (3, 8, 8), CIFAR_10.classes),
    },
}
SIZES = {
    "adaptive_activations": Size(20, 10, 1, 10, (2, 3, 2), 4, 2, 16),
    "resnet50": ResNetSize(1 / 16, 20, 10, 1),
}


@pytest.fixture(scope="module", params=DATA)
def run(request, tmp_path_factory):
    """The study's name and the folder of its run of one epoch, without figures."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with pytest.MonkeyPatch.context() as patch:
        study_runs.give(patch, DATA[name])
        study_runs.without_figures(patch)
        if name in SIZES:
            patch.setattr(type(study(name)), "reduced", SIZES[name])
        study_runs.run(study(name), folder, *MORE.get(name, ()), "--epochs", "1", "--quiet")
    return name, folder


def filled(value, number):
    """The same with that number at every place of a list of numbers."""
    if isinstance(value, dict):
        return {key: filled(part, number) for key, part in value.items()}
    if isinstance(value, list) and all(isinstance(v, float | None) for v in value):
        return [number] * len(value)
    return [filled(part, number) for part in value] if isinstance(value, list) else value


def test_one_epoch_is_reported(run):
    _, folder = run
    assert (folder / "report.md").read_text("utf-8").startswith("# ")
    assert "<main" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("number", [0.0, None])
def test_a_page_is_made_of_any_numbers(run, number, tmp_path):
    name, folder = run
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    (tmp_path / "summary.json").write_text(json.dumps(filled(summary, number)), "utf-8")
    if name == "activation_study":
        (tmp_path / "epochs.csv").write_bytes((folder / "epochs.csv").read_bytes())
    assert "<main" in report_of(name, tmp_path).html()


@pytest.mark.parametrize("number", [0.0, None])
def test_claims_are_judged_on_any_numbers(run, number, tmp_path):
    """Where all is 0, or nothing is a number, chance decides: no claim on it holds or fails."""
    name, folder = run
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    (tmp_path / "summary.json").write_text(json.dumps(filled(summary, number)), "utf-8")
    summary = read_summary(tmp_path)
    if name == "cifar100":
        claims = cifar100_claims.judged(summary)
    elif name == "cifar10_cnn":
        claims = cifar10_cnn_claims.judged(summary)
    elif name == "fashion_mnist":
        claims = study(name).judged(summary, "as_run")
    elif name == "mnist_depth":
        claims = study(name).judged(summary, "adam_128")
    else:
        pytest.skip("the trained networks are compared below")
    assert {claim.verdict for claim in claims} <= set(VERDICTS)
    compared = [claim for claim in claims if "more accurate than sigmoid" in claim.claim]
    assert {claim.verdict for claim in compared} == {"not decided"}


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_criteria_of_series_survive_any_numbers(number, epochs):
    series = np.full(epochs, number)
    cell = activation_study_series.Series(
        accuracy=0.1,
        loss=number,
        f1=0.1,
        train_loss=series,
        validation_loss=series,
        train_accuracy=0.1,
        limit=epochs,
        seconds=1.0,
        gradients={"first": series, "last": series},
        tested=epochs - 1,
        **IMAGES,
    )
    grid = {
        setting: dict.fromkeys(networks, cell)
        for setting, networks in activation_study_series.published().items()
    }
    study = activation_study_series.published()
    for claim in judge(activation_study_claims.CLAIMS, study, [grid]):
        assert claim.verdict != "holds"
    study, ours = (adaptive_figures(series, alone) for alone in (True, False))
    for claim in judge(APL_CLAIMS, study, [ours]):
        assert claim.verdict in ("not decided", "not judged")


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("epochs", [1, 6])
def test_criteria_of_the_gradients_survive_any_numbers(number, epochs):
    accuracy, gradients = np.zeros(epochs), np.full((epochs, 4), number)
    learned = {"train_accuracy": accuracy, "test_accuracy": accuracy}
    series = Series(**learned, gradients=gradients, **IMAGES)
    pair = tuple(cifar100_claims.published(epochs).values())
    claims = judge(cifar100_claims.CLAIMS, pair, [(series, series)] * 2)
    assert claims[2].verdict in ("holds", "not judged", "not decided")  # a constant has no trend
    for claim in (*claims[:2], *claims[4:]):
        assert claim.verdict != "holds"


def adaptive_figures(series, alone):
    accuracy = np.zeros(len(series))  # a share is always a number
    learned = {"train_loss": series, "test_loss": series, "test_accuracy": accuracy}
    one = Series(**learned, seconds=np.full(len(series), 1.0), alone=alone, **IMAGES)
    names = ("apl", "relu", "leaky_relu")
    return Figures(
        dict.fromkeys((1, 2, 3, 4, 5, 10), one),
        dict.fromkeys(names, one),
        {depth: dict.fromkeys(names, one) for depth in (3, 5, 7)},
    )
