"""Every study made small: the data and the sizes with which it trains within seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import study_runs
from report_page import study
from studies import bert, signal_propagation
from studies.adaptive_activations.training import Size as AdaptiveSize
from studies.bert import training as bert_training
from studies.resnet50.training import Size as ResNetSize

from minidl import Examples
from minidl.data import Dataset, standin
from minidl.data.cifar import CIFAR_10
from minidl.data.glue import TextDataset, Texts
from minidl.data.idx import FASHION_MNIST
from minidl.models import BertSizes, Pretrained
from minidl.models.bert_tensors import tensors_of

DIGITS = tuple("0123456789")


def patterns(shape: tuple[int, ...], n: int, seed: int = 0) -> Examples:
    """Images of ten kinds, a pattern of each with noise on it."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10)
    kinds = np.random.default_rng(0).integers(0, 128, (10, *shape))
    return Examples((kinds[labels] + rng.integers(0, 128, (n, *shape))).astype(np.uint8), labels)


def dataset(
    name: str, shape: tuple[int, ...], sizes: tuple[int, int], classes: tuple[str, ...] = DIGITS
) -> Dataset:
    train, test = (patterns(shape, n, seed) for seed, n in enumerate(sizes, 1))
    return Dataset(name, name, train, test, classes, "generated here")


STAND_IN = standin.generate(seed=0, train=300, test=100)
# By study; of a study with several data sets, by their names.
DATA: dict[str, Dataset | Mapping[str, Dataset]] = {
    "activation_study": {
        "mnist": dataset("mnist", (1, 28, 28), (160, 40)),
        "cifar-10": dataset("cifar-10", (3, 32, 32), (160, 40)),
    },
    "adaptive_activations": replace(
        STAND_IN, train=STAND_IN.train.first(40), test=STAND_IN.test.first(20)
    ),
    # Images of 8x8 pixels make the network a twentieth of its size.
    "cifar10_cnn": dataset("cifar-10", (3, 8, 8), (200, 300), CIFAR_10.classes),
    "cifar100": STAND_IN,
    "fashion_mnist": dataset("fashion-mnist", (1, 28, 28), (300, 100), FASHION_MNIST.classes),
    "mnist_depth": dataset("mnist", (1, 28, 28), (80, 40)),
    "resnet50": {
        "mnist": dataset("mnist", (1, 28, 28), (60, 30)),
        "cifar-10": dataset("cifar-10", (3, 8, 8), (60, 30)),
    },
    "signal_propagation": dataset("mnist", (1, 8, 8), (96, 40)),
}
# Epochs and seeds are two and one where the study has these options.
OPTIONS = {
    "activation_study": ("--data-sets", "mnist", "--optimizers", "adam"),
    "bert": ("--sentences", "64", "--epochs", "1"),
    "cifar10_cnn": ("--plateau-seeds", "1"),
    "cifar100": ("--hidden", "16", "16", "16", "16"),
    "resnet50": ("--epochs", "1"),
    "signal_propagation": (
        *("--seeds", "2", "--width", "24", "--depth", "4", "--examples", "8", "--born", "200"),
        *("--widths", "12", "48", "--deep-width", "24", "--map-width", "12"),
        *("--map-depths", "3", "6", "--map-images", "96"),
    ),
}
SIZES = {
    "adaptive_activations": AdaptiveSize(20, 10, 1, 10, (2, 3, 2), 4, 2, 16),
    "resnet50": ResNetSize(1 / 16, 20, 10, 1),
}

# -- BERT -------------------------------------------------------------------------------------

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"t{i}" for i in range(26)))
BERT = BertSizes(len(WORDS), features=8, blocks=2, heads=2, hidden=12, positions=16)


def bert_source() -> Pretrained:
    """A network of two narrow blocks with drawn weights."""
    rng = np.random.default_rng(5)
    tensors = {
        name: rng.normal(1 if "LayerNorm.weight" in name else 0, 0.4, one.shape).astype(np.float32)
        for name, one in tensors_of(BERT).items()
    }
    return Pretrained(BERT, tensors, WORDS, "drawn")


def bert_texts(name: str, *_: object) -> TextDataset:
    rng = np.random.default_rng(0)
    sentences = tuple(
        " ".join(f"t{i}" for i in rng.integers(0, 26, n)) for n in rng.integers(2, 9, 1100)
    )
    some = Texts(sentences, np.array([" t1" in f" {s}" for s in sentences], np.int64))
    return TextDataset(name, name.upper(), some, some, ("no", "yes"), "generated here")


# -- runs -------------------------------------------------------------------------------------


def shrink(patch: pytest.MonkeyPatch, name: str) -> None:
    """Give a study its small data and, where options cannot say it, its small size."""
    if name in DATA:
        study_runs.give(patch, DATA[name])
    if name in SIZES:
        patch.setattr(type(study(name)), "reduced", SIZES[name])
    if name == "bert":
        patch.setattr(bert.study, "pretrained", lambda *_, **__: bert_source())
        patch.setattr(bert_training, "load_texts", bert_texts)
    if name == "signal_propagation":
        patch.setattr(signal_propagation.study, "FUNCTIONS", ("sigmoid", "relu"))
        patch.setattr(signal_propagation.study, "SIGMAS", (0.8, 1.76))
        patch.setattr(signal_propagation.study, "CRITICAL_FUNCTIONS", ("relu",))
        patch.setattr(signal_propagation.study, "DEEP", 8)


def options(name: str) -> list[str]:
    """With which the study is small."""
    given = list(OPTIONS.get(name, ()))
    for option, value in (("--epochs", "2"), ("--seeds", "1")):
        known = vars(study(name).options([]))
        if option.removeprefix("--") in known and option not in given:
            given += [option, value]
    return given


def run(name: str, folder: Path, *arguments: str, figures: bool = False) -> Path:
    """Run a study small, without charts unless asked for; its folder."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, name)
        if not figures:
            study_runs.without_figures(patch)
        if name == "activation_gallery":  # it trains nothing, on no device
            return study(name).run(["--output-dir", str(folder), *arguments])
        return study_runs.run(study(name), folder, *options(name), *arguments)
