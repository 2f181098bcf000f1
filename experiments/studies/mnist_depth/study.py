"""Sigmoid against ReLU on MNIST: what is declared of the study, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidl import Dense, Flatten, Network
from minidl.pages import Chart, Table
from minidl.pages import Series as Line
from minidl.pages.colours import function_colour
from minidl.study import Claim, Report, Run, Section
from minidl.study.charts import PER_CENT, layer_charts, learning_charts
from minidl.study.claims import count
from minidl.study.histories import by_epoch, by_layer
from minidl.study.pair_study import ACTIVATIONS, PairStudy
from minidl.study.recording import History
from minidl.study.report import claims_section, percent, sentence, set_up_section, word
from minidl.study.seeds import batches_rng, keras_optimizer, weights_rng
from minidl.training.checkpoint import Checkpoint
from studies.cifar100.study import STUDY as CIFAR100
from studies.mnist_depth.claims import (
    COMES_OUT,
    FOUR_LAYERS,
    RULES,
    TOO_SIMPLE,
    Series,
    judged,
    published,
)

EPOCHS = 10  # published


@dataclass(frozen=True)
class SetUp:
    """One way to train the two networks."""

    title: str
    rule: str
    rate: float
    batch_size: int
    momentum: float = 0.0
    hidden: tuple[int, ...] = (600, 300, 100)

    def network(self, activation: str, seed: int, run: Run) -> Network:
        sizes = [784, *self.hidden]
        hidden = [Dense(a, b, activation) for a, b in zip(sizes, self.hidden, strict=False)]
        layers = [Flatten(), *hidden, Dense(sizes[-1], 10)]
        return Network(layers, (1, 28, 28), rng=weights_rng(seed), device=run.device)


SET_UPS = {
    "sgd_slow_32": SetUp("SGD 0.01, batch 32", "sgd", 0.01, 32),
    "sgd_slow_128": SetUp("SGD 0.01, batch 128", "sgd", 0.01, 128),
    "sgd_slow_512": SetUp("SGD 0.01, batch 512", "sgd", 0.01, 512),
    "sgd_slow_1000": SetUp("SGD 0.01, batch 1000", "sgd", 0.01, 1000),
    "momentum_128": SetUp("SGD 0.01, momentum 0.9, batch 128", "sgd", 0.01, 128, momentum=0.9),
    "sgd_128": SetUp("SGD 0.1, batch 128", "sgd", 0.1, 128),
    "adam_128": SetUp("Adam 0.001, batch 128", "adam", 0.001, 128),
}
FOUR = "four_layers"
ALL = SET_UPS | {FOUR: SetUp("784-512-512-512-512-10", "adam", 0.001, 64, hidden=(512,) * 4)}


class Outcome(NamedTuple):
    """What is kept of one training run."""

    history: History

    def block(self) -> dict[str, Any]:
        return by_epoch(self.history) | by_layer(self.history)


class MnistDepth(PairStudy):
    name = "mnist_depth"
    about = "Sigmoid against ReLU on MNIST, under the usual update rules."
    work = CIFAR100.work
    data = ("mnist",)
    seeds = 3
    kind = Outcome
    keeps_weights = False
    set_ups = ALL
    epochs = EPOCHS

    def prepare(self, run: Run) -> None:
        return None

    def train(
        self,
        run: Run,
        prepared: None,
        key: str,
        activation: str,
        seed: int,
        checkpoint: Checkpoint,
    ) -> Outcome:
        (data,), set_up = run.data, ALL[key]
        momentum = {"momentum": set_up.momentum} if set_up.momentum else {}
        history = run.record(
            f"{key}-{activation}-seed{seed}",
            f"seed {seed}  {set_up.title:<33}  {activation:<7}",
            set_up.network(activation, seed, run),
            data.train,
            data.test,
            keras_optimizer(set_up.rule, set_up.rate, **momentum),
            epochs=run.chosen.epochs,
            batch_size=set_up.batch_size,
            rng=batches_rng(seed),
            checkpoint=checkpoint,
        )
        return Outcome(history)

    def describe(self, run: Run, key: str, outcome: Outcome) -> dict[str, Any]:
        return {}

    def summarise(self, run: Run, results: Mapping[str, Any]) -> dict[str, Any]:
        return run.data_block() | super().summarise(run, results)

    def judged(self, summary: Mapping[str, Any], key: str) -> list[Claim]:
        return judged(summary, key, FOUR_LAYERS if key == FOUR else RULES)

    def published(self, epochs: int) -> Mapping[str, Mapping[str, Series]]:
        return dict.fromkeys(SET_UPS, published()) if epochs >= EPOCHS else {}

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        blocks, epochs = summary["set_ups"], summary["epochs"]
        claims = {set_up.title: blocks[key]["claims"] for key, set_up in SET_UPS.items()}
        four = {ALL[FOUR].title: blocks[FOUR]["claims"]}
        groups = self.groups(summary)
        own = {ALL[FOUR].title: groups.pop(ALL[FOUR].title)}
        outs = [claim for some in claims.values() for claim in some if claim["claim"] == COMES_OUT]
        second = claims_section(four, FOUR_LAYERS)
        return Report(
            "Sigmoid against ReLU on MNIST: when does sigmoid fail?",
            self.work,
            "Does a dense network 784-600-300-100-10 reach 92% on MNIST with ReLU and 11% with "
            "sigmoid, and is MNIST too simple for gradients to vanish in four hidden layers? The "
            "study reports the first of Wao and Soni (SCIS 2021), whose update rule it does not "
            "give, and says the second.",
            _answer(summary),
            [_opening(summary)],
            f"Of {len(outs)} settings {count(outs)}; the second claim {four_verdict(summary)}",
            [
                claims_section(claims, RULES),
                Section("Accuracy and loss", learning_charts(groups)),
                Section("Four hidden layers", [*second.parts, *layer_charts(own)]),
                set_up_section(
                    [
                        ["data", f"{summary['dataset_title']}, official split, pixels / 255"],
                        ["networks", "dense; sigmoid or ReLU in each hidden layer"],
                        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
                        ["epochs", str(epochs)],
                        ["seeds", ", ".join(map(str, summary["seeds"]))],
                    ],
                    summary,
                    [_settings()],
                ),
            ],
            "" if epochs == EPOCHS else f"{epochs} epochs instead of the published {EPOCHS}.",
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
    first = f"yes, in {len(come)} of {len(words)} settings," if come else "no, in no setting,"
    if not come and "no" not in words.values():
        first = "not decided"
    # where ReLU is best while it comes out, and where sigmoid is best
    shown = [max(some, key=lambda key: _tested(summary, key)[1]) for some in [come] if some]
    shown.append(max(SET_UPS, key=lambda key: _tested(summary, key)[0]))
    told = []
    for key in dict.fromkeys(shown):
        sigmoid, relu = map(percent, _tested(summary, key))
        told.append(f"with {SET_UPS[key].title} ReLU recognises {relu} and sigmoid {sigmoid}")
    return (
        f"{sentence(first)} to the first, {second} to the second: {', '.join(told)} of the test "
        "images."
    )


def _opening(summary: Mapping[str, Any]) -> Chart:
    titles, lines = [set_up.title for set_up in SET_UPS.values()], []
    values = 100 * np.array([_tested(summary, key) for key in SET_UPS])
    for i, name in enumerate(ACTIVATIONS):
        colour = function_colour(name)
        lines.append(Line(name, titles, values[:, i].tolist(), colour))
        theirs = [100 * float(published()[name].test_accuracy[-1])] * len(titles)
        lines.append(Line(f"{name}, published", titles, theirs, colour, published=True))
    about = "Test images that are recognised after the last epoch, mean of the seeds."
    return Chart("Test accuracy in each setting", about, "setting", PER_CENT, lines)


def _settings() -> Table:
    rows = [
        [
            s.title,
            "-".join(map(str, (784, *s.hidden, 10))),
            f"{s.rule} {s.rate:g}",
            f"{s.batch_size}",
        ]
        for s in ALL.values()
    ]
    return Table("Settings", ["setting", "network", "update rule, rate", "batch size"], rows)


STUDY = MnistDepth()
