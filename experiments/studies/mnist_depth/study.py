"""Sigmoid against ReLU on MNIST: the declaration of the study, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidl.pages import Chart, Table
from minidl.pages import Series as Line
from minidl.pages.colours import function_colour
from minidl.study import Claim, Report, Run, Section, pairs
from minidl.study.charts import PER_CENT, layer_charts, learning_charts
from minidl.study.claims import count
from minidl.study.networks import DenseSetUp
from minidl.study.pair_study import PairStudy
from minidl.study.pairs import ACTIVATIONS
from minidl.study.report import percent, sentence, set_up_section
from minidl.study.series import Series
from minidl.study.tables import counted
from minidl.study.verdicts import word
from studies.cifar100.study import STUDY as CIFAR100
from studies.mnist_depth.claims import (
    COMES_OUT,
    EPOCHS,
    FOUR_LAYERS,
    RULES,
    TOO_SIMPLE,
    published,
)

DEEP = (600, 300, 100)
SET_UPS = {
    "sgd_slow_32": DenseSetUp("SGD 0.01, batch 32", DEEP, "sgd", 32, 0.01),
    "sgd_slow_128": DenseSetUp("SGD 0.01, batch 128", DEEP, "sgd", 128, 0.01),
    "sgd_slow_512": DenseSetUp("SGD 0.01, batch 512", DEEP, "sgd", 512, 0.01),
    "sgd_slow_1000": DenseSetUp("SGD 0.01, batch 1000", DEEP, "sgd", 1000, 0.01),
    "momentum_128": DenseSetUp(
        "SGD 0.01, momentum 0.9, batch 128", DEEP, "sgd", 128, 0.01, momentum=0.9
    ),
    "sgd_128": DenseSetUp("SGD 0.1, batch 128", DEEP, "sgd", 128, 0.1),
    "adam_128": DenseSetUp("Adam 0.001, batch 128", DEEP, "adam", 128, 0.001),
}
FOUR = "four_layers"
ALL = SET_UPS | {FOUR: DenseSetUp("784-512-512-512-512-10", (512,) * 4, "adam", 64, 0.001)}


class MnistDepth(PairStudy):
    name = "mnist_depth"
    about = "Sigmoid against ReLU on MNIST, under the usual update rules."
    work = CIFAR100.work
    data = ("mnist",)
    seeds = 3
    keeps_weights = False
    set_ups = ALL
    epochs = EPOCHS

    def summarise(self, run: Run, results: Mapping[str, Any]) -> dict[str, Any]:
        return run.data_block() | super().summarise(run, results)

    def judged(self, summary: Mapping[str, Any], key: str) -> list[Claim]:
        claims, set_up = FOUR_LAYERS if key == FOUR else RULES, summary["set_ups"][key]
        return pairs.judged(claims, summary, set_up, published, Series.of_block)

    def published(self, epochs: int) -> Mapping[str, Mapping[str, Series]]:
        return dict.fromkeys(SET_UPS, published()) if epochs >= EPOCHS else {}

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        blocks, epochs = summary["set_ups"], summary["epochs"]
        groups = self.groups(summary)
        own = {ALL[FOUR].title: groups.pop(ALL[FOUR].title)}
        first, second = (self.verdicts(summary, keys) for keys in (tuple(SET_UPS), [FOUR]))
        four = [*second.section(FOUR_LAYERS).parts, *layer_charts(own)]
        outs = [c for key in SET_UPS for c in blocks[key]["claims"] if c["claim"] == COMES_OUT]
        return Report(
            "Sigmoid against ReLU on MNIST: when does sigmoid fail?",
            self.work,
            "Does a dense network 784-600-300-100-10 reach 92% on MNIST with ReLU and 11% with "
            "sigmoid, and is MNIST too simple for gradients to vanish in four hidden layers? The "
            "study quotes the first claim from Wao and Soni (SCIS 2021), without their update "
            "rule, and makes the second itself.",
            _answer(summary),
            [_opening(summary)],
            f"The first claim, in {len(outs)} settings: {count(outs)}; the second: "
            f"{four_verdict(summary)}",
            [
                first.section(RULES),
                Section("Accuracy and loss", learning_charts(groups)),
                Section("Four hidden layers", four),
                set_up_section(
                    [
                        ["data", f"{summary['dataset_title']}, official split, pixels / 255"],
                        ["networks", "dense; all hidden layers sigmoid or all ReLU"],
                        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
                        ["epochs", str(epochs)],
                        ["seeds", ", ".join(map(str, summary["seeds"]))],
                    ],
                    summary,
                    [_settings()],
                ),
            ],
            ""
            if epochs == EPOCHS
            else f"{counted(epochs, 'epoch')} instead of the published {EPOCHS}.",
        )


def four_verdict(summary: Mapping[str, Any]) -> str:
    return str(summary["set_ups"][FOUR]["claims"][0]["verdict"])


def _tested(summary: Mapping[str, Any], key: str) -> list[float]:
    networks = summary["set_ups"][key]["networks"]
    return [networks[name]["test_accuracy"][-1] for name in ACTIVATIONS]


def _answer(summary: Mapping[str, Any]) -> str:
    words = {key: word(summary["set_ups"][key]["claims"], COMES_OUT) for key in SET_UPS}
    come = [key for key, said in words.items() if said == "yes"]
    second = word(summary["set_ups"][FOUR]["claims"], TOO_SIMPLE)
    first = f"yes to the first in {len(come)} of {len(words)} settings"
    if not come:
        first = "no to the first" if "no" in words.values() else "not decided for the first"
    to = "to" if second in ("yes", "no") else "for"
    # where the first claim holds and ReLU is best, and where sigmoid is best
    shown = [max(some, key=lambda key: _tested(summary, key)[1]) for some in [come] if some]
    shown.append(max(SET_UPS, key=lambda key: _tested(summary, key)[0]))
    told = []
    for key in dict.fromkeys(shown):
        sigmoid, relu = map(percent, _tested(summary, key))
        told.append(f"with {SET_UPS[key].title}, ReLU recognises {relu} and sigmoid {sigmoid}")
    return f"{sentence(first)}, {second} {to} the second: {'; '.join(told)} of the test images."


def _opening(summary: Mapping[str, Any]) -> Chart:
    titles, lines = [set_up.title for set_up in SET_UPS.values()], []
    values = 100 * np.array([_tested(summary, key) for key in SET_UPS])
    for i, name in enumerate(ACTIVATIONS):
        colour = function_colour(name)
        lines.append(Line(name, titles, values[:, i].tolist(), colour))
        theirs = [100 * float(published()[name].test_accuracy[-1])] * len(titles)
        lines.append(Line(f"{name}, published", titles, theirs, colour, published=True))
    about = "Share of the test images recognised after the last epoch, mean over the seeds."
    return Chart("Test accuracy in each setting", about, "setting", PER_CENT, lines)


def _settings() -> Table:
    rows = [
        [
            *(s.title, "-".join(map(str, (784, *s.hidden, 10)))),
            *(f"{s.rule} {s.rate:g}", str(s.batch_size)),
        ]
        for s in ALL.values()
    ]
    return Table("Settings", ["setting", "network", "update rule, rate", "batch size"], rows)


STUDY = MnistDepth()
