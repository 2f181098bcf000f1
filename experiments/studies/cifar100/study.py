"""Sigmoid against ReLU on CIFAR-100: what is declared of the study, and its report."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minidl import ACTIVATIONS, Dense, Flatten, Network, SoftmaxCrossEntropy, get_activation
from minidl.backend import Device
from minidl.data import NAMES, Dataset
from minidl.optimizers import OPTIMIZERS, Optimizer
from minidl.pages import Chart, Prose, Series, Table, Told, Typed
from minidl.pages.colours import function_colour
from minidl.study import (
    PairedTest,
    Report,
    Rows,
    Run,
    Section,
    Task,
    TrainedStudy,
    Work,
    paired_test,
    text_list,
    text_table,
)
from minidl.study.charts import Group, beside, layer_charts, learning_charts
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows, mean_of
from minidl.study.options import whole
from minidl.study.report import (
    both,
    claims_section,
    held,
    percent,
    sentence,
    set_up_section,
    word,
)
from minidl.study.seeds import LEARNING_RATES, batches_rng, keras_optimizer, weights_rng
from minidl.study.tables import counted, figure, p_figure
from minidl.training.checkpoint import Checkpoint
from studies.cifar100.claims import CLAIMS, EPOCHS, ON_TEST, SMALLER, judged, published
from studies.cifar100.start import start_of, start_parts
from studies.cifar100.units import Trained, explained, over_all_images, unit_rows, units_head

AS_PUBLISHED: dict[str, Any] = {
    "dataset_title": "CIFAR-100",
    "epochs": EPOCHS,
    "batch_size": 64,
    "hidden": [512] * 4,
    "train_images": 50_000,
    "optimizer": "adam, learning rate 0.001",
}


class Cifar100(TrainedStudy):
    name = "cifar100"
    about = "Sigmoid against ReLU on CIFAR-100: a published comparison, run again."
    work = Work(
        "Investigating the effects of differing activation functions on reducing the vanishing "
        "gradient problem",
        "Evan Schwartz",
        2025,
        "https://cseeworld.wixsite.com/home",
        "extended essay, computer science, CS EE World",
    )
    kind = Trained
    choosing = ("activations", "seed", "seeds")

    def add_options(self, add: Any) -> None:
        add("--epochs", type=whole, default=EPOCHS, help="passes over the training images")
        batch = {"type": whole, "default": 64, "dest": "batch_size"}
        add("--batch-size", "--global-batch", help="images in one step, of all ranks", **batch)
        add(
            "--activations",
            nargs="+",
            default=["sigmoid", "relu"],
            choices=[name for name, f in ACTIVATIONS.items() if f.elementwise],
            metavar="NAME",
            help="of the hidden layers, one network each: %(choices)s",
        )
        units = {"type": whole, "nargs": "+", "default": [512] * 4, "metavar": "UNITS"}
        add("--hidden", help="hidden layers", **units)
        add("--optimizer", choices=OPTIMIZERS, default="adam", help="update rule")
        add("--learning-rate", type=float, help="(default: that of Keras for the optimizer)")
        add("--dataset", choices=NAMES, default="auto", help="auto: CIFAR-100, else the stand-in")
        add("--limit", type=whole, metavar="N", help="only the first N training images")

    def check(self, chosen: argparse.Namespace) -> None:
        if len(set(chosen.activations)) < max(2, len(chosen.activations)):
            raise ValueError(
                f"--activations: expected two or more different, got {chosen.activations}"
            )
        if chosen.learning_rate is None:
            chosen.learning_rate = LEARNING_RATES[chosen.optimizer]
        elif not 0 < chosen.learning_rate < float("inf"):
            raise ValueError(
                f"--learning-rate: expected a number above 0, got {chosen.learning_rate}"
            )

    def load(self, chosen: argparse.Namespace) -> list[Dataset]:
        (data,) = self.load_named([chosen.dataset], chosen)
        if chosen.limit is None:
            return [data]
        return [dataclasses.replace(data, train=data.train.first(chosen.limit))]

    def tasks(self, run: Run) -> dict[str, Task[Trained]]:
        chosen, data = run.chosen, run.data[0]
        if not chosen.quiet:
            network = build_network(chosen.activations[0], chosen, data, chosen.seed, run.device)
            print(f"networks: {', '.join(chosen.activations)}; the first of them:")
            print(network.summary())
        return {
            f"{activation}-seed{seed}": functools.partial(train_network, run, activation, seed)
            for seed in run.seeds
            for activation in chosen.activations
        }

    def summarise(self, run: Run, results: Mapping[str, Trained]) -> dict[str, Any]:
        """With several seeds the top level holds means and ``runs`` each seed."""
        chosen = run.chosen
        blocks: list[dict[str, Any]] = []
        for seed in run.seeds:
            networks = {
                f: results[f"{f}-seed{seed}"].block()
                | start_of(build_network(f, chosen, run.data[0], seed, run.device), run.data[0])
                for f in chosen.activations
            }
            blocks.append({"seed": seed, "networks": networks} | _paired_tests(networks))
        networks = {
            name: mean_of([block["networks"][name] for block in blocks])
            for name in chosen.activations
        }
        several = {"runs": blocks} if len(blocks) > 1 else {}
        tests = _paired_tests(networks)
        if several:
            del tests["paired_t_tests"]
        return {
            **run.data_block(),
            "epochs": chosen.epochs,
            "batch_size": chosen.batch_size,
            "hidden": chosen.hidden,
            "optimizer": f"{chosen.optimizer}, learning rate {chosen.learning_rate:g}",
            "seeds": list(run.seeds),
            "networks": networks,
            **tests,
            **several,
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        summary["claims"] = [claim.as_dict() for claim in judged(summary)]

    def tables(self, run: Run, results: Mapping[str, Trained]) -> dict[str, Rows]:
        histories = [
            (seed, activation, results[f"{activation}-seed{seed}"].history)
            for seed in run.seeds
            for activation in run.chosen.activations
        ]
        gradients = []
        for seed, name, history in histories:
            for epoch, probe in enumerate(history.probes, 1):
                units = {unit.layer: unit for unit in probe.units}
                for gradient in probe.gradients:
                    unit = units[gradient.layer]
                    row = {"seed": seed, "epoch": epoch, "network": name} | asdict(gradient)
                    gradients.append(row | {"dead": unit.dead, "saturated": unit.saturated})
        epochs = [row for one in histories for row in epoch_rows(*one)]
        return {"epochs.csv": epochs, "gradients.csv": gradients}

    def results(self, summary: Mapping[str, Any]) -> str:
        study = published(summary["epochs"])
        rows = []
        for name, network in summary["networks"].items():
            theirs = study.get(name)
            known = [None, None] if theirs is None else [theirs.accuracy[-1], theirs.average[-1]]
            accuracy, gradient = (None if v is None else float(v) for v in known)
            row = [network["train_accuracy"][-1], accuracy, network["test_accuracy"][-1]]
            rows.append([name, *map(figure, [*row, float(_average(network)[-1]), gradient])])
        at = published_title(summary["epochs"], EPOCHS)
        table = text_table(
            ["network", "training accuracy", at, "test accuracy", "gradient", at], rows
        )
        return "\n\n".join(
            [table, text_list([[c["verdict"], c["claim"]] for c in summary["claims"]])]
        )

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        blocks = [run["networks"] for run in summary.get("runs", [summary])]
        runs = {name: [block[name] for block in blocks] for name in summary["networks"]}
        study = {
            name: {
                "train_accuracy": series.accuracy,
                "gradients": series.gradients,
                "average": series.average,
            }
            for name, series in published().items()
            if name in runs
        }
        group = {"": Group(runs, study)}
        claims = summary["claims"]
        theirs = published_title(summary["epochs"], EPOCHS)
        sections = [
            Section("Accuracy and loss", learning_charts(group)),
            Section("Layer by layer", [*layer_charts(group), *_tables(summary)]),
            Section("Does the difference of the gradients mean anything?", _tests(summary)),
            Section("The functions", [_functions(list(runs))]),
            set_up_section(_set_up(summary), summary, note=_note(summary)),
        ]
        if rows := unit_rows(summary):
            table = Table("After the last epoch", units_head(summary), rows)
            sections.insert(0, Section("Dead units", [Prose([explained(summary)]), table]))
        if parts := start_parts(summary):
            sections.insert(0, Section("Before training: the gradient predicted", parts))
        if claims:
            sections.insert(0, claims_section({"this run": claims}, CLAIMS, published=theirs))
        return Report(
            "Sigmoid against ReLU: a dense network and its gradients",
            self.work,
            "Does ReLU limit the vanishing gradient, and does it learn CIFAR-100 better than "
            "sigmoid? Two networks that differ in nothing else; the study said yes to both.",
            _answer(summary),
            [_average_gradients(runs, study)],
            held(claims) if claims else "The claims are about sigmoid and ReLU, not both trained",
            sections,
            _warning(summary),
            "" if summary["dataset"] == "cifar-100" else summary["dataset_title"],
        )


def build_network(
    activation: str, chosen: argparse.Namespace, data: Dataset, seed: int, device: Device
) -> Network:
    """The network of the study: hidden layers of one kind, softmax left to the loss."""
    shape = data.train.input_shape
    sizes = [int(np.prod(shape)), *chosen.hidden]
    hidden = [Dense(n_in, n_out, activation) for n_in, n_out in itertools.pairwise(sizes)]
    output = Dense(sizes[-1], len(data.classes))
    return Network([Flatten(), *hidden, output], shape, rng=weights_rng(seed), device=device)


def build_optimizer(chosen: argparse.Namespace) -> Optimizer:
    return keras_optimizer(chosen.optimizer, chosen.learning_rate)


def train_network(run: Run, activation: str, seed: int, checkpoint: Checkpoint) -> Trained:
    """Train one network, write its weights and return what the report is made of."""
    chosen, data, name = run.chosen, run.data[0], f"{activation}-seed{seed}"
    network = build_network(activation, chosen, data, seed, run.device)
    label = f"{activation:<{max(map(len, chosen.activations))}}"
    history = run.record(
        name,
        f"seed {seed}  {label}" if chosen.seeds > 1 else label,
        network,
        data.train,
        data.test,
        build_optimizer(chosen),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=batches_rng(seed),
        checkpoint=checkpoint,
    )
    network.save(run.weights_of(name))
    return Trained(history, over_all_images(network, data.train, SoftmaxCrossEntropy()))


# -- figures of a summary ----------------------------------------------------------------------


def _average(block: Mapping[str, Any]) -> np.ndarray:
    """(epochs,) the mean gradient of the hidden layers."""
    return np.array([np.mean(layers[:-1]) for layers in block["gradients"]["weights"]])


def _paired(a: Any, b: Any) -> PairedTest | None:
    """None as well where there is a number that is none."""
    return paired_test(a, b) if np.isfinite([*a, *b]).all() else None


def _paired_tests(networks: Mapping[str, Any]) -> dict[str, Any]:
    """The tests under the names of the summary; null where there are too few epochs."""

    def block(a: str, b: str) -> dict[str, Any]:
        found = _paired(_average(networks[a]), _average(networks[b]))
        names = ("statistic", "p_value", "degrees_of_freedom")
        return {name: None if found is None else getattr(found, name) for name in names}

    tests = {f"{a} - {b}": block(a, b) for a, b in itertools.combinations(networks, 2)}
    return {"paired_t_test": next(iter(tests.values())), "paired_t_tests": tests}


# -- what the report says ----------------------------------------------------------------------


def departures(summary: Mapping[str, Any]) -> list[str]:
    """Where a run differs from the published set-up."""
    return [
        f"{key.removesuffix('_title').replace('_', ' ')} {summary[key]} instead of {value}"
        for key, value in AS_PUBLISHED.items()
        if summary[key] != value
    ]


def _warning(summary: Mapping[str, Any]) -> str | Told:
    differs = departures(summary)
    said = f"Not the published set-up: {'; '.join(differs)}." if differs else ""
    if summary["dataset"] == "cifar-100":
        return said
    note = summary.get("dataset_note", "").removesuffix(".")
    said = f"Not CIFAR-100: {note}. {said}" if note else f"Not CIFAR-100. {said}"
    return Typed(f"{said} What this run shows says nothing about the published figures.")


def _answer(summary: Mapping[str, Any]) -> str:
    networks, claims = summary["networks"], summary["claims"]
    tested = {name: percent(n["test_accuracy"][-1]) for name, n in networks.items()}
    if not claims:
        said = ", ".join(f"{name} {share}" for name, share in tested.items())
        return f"Not asked of these functions; of the test images they recognise: {said}"
    relu, sigmoid = (float(np.mean(_average(networks[name]))) for name in ("relu", "sigmoid"))
    times = (
        f"{relu / sigmoid:.1f} times as large as sigmoid's"
        if sigmoid > 0 and np.isfinite(relu)
        else f"{figure(relu)} in the mean, sigmoid's {figure(sigmoid)}"
    )
    verdict = both(word(claims, SMALLER), word(claims, ON_TEST))
    epochs = counted(summary["epochs"], "epoch")
    return (
        f"{sentence(verdict)}: the gradients of ReLU's hidden layers are {times}, and after "
        f"{epochs} it recognises {tested['relu']} of the test images, sigmoid "
        f"{tested['sigmoid']}."
    )


def _average_gradients(runs: Mapping[str, list[Any]], study: Mapping[str, Any]) -> Chart:
    """The study's figure 8."""
    series: list[Series] = []
    for name, blocks in runs.items():
        ours = [{"average": _average(block)} for block in blocks]
        series += beside(name, "average", ours, study.get(name, {}))
    return Chart(
        "Average gradient of the hidden layers",
        "Mean |∂L/∂W| over the hidden layers after each epoch, L summed over 64 training images.",
        *("epoch", "mean |∂L/∂W|", series, ("linear", "log")),
        name="figure8_average_gradients",
    )


def _functions(names: list[str]) -> Chart:
    """The study's figures 2 to 4."""
    z = np.linspace(-6, 6, 121)
    series = []
    for name in dict.fromkeys([*names, "tanh"]):
        f = get_activation(name)
        for panel, y in (("f(z)", f(z)), ("f'(z)", f.derivative(z))):
            colour = function_colour(name)
            series.append(Series(name, z.tolist(), y.tolist(), colour, panel=panel))
    about = "Each function and its derivative, by which a gradient is multiplied in each layer."
    return Chart("The functions and their slopes", about, "z", "", series, name="functions")


def _tables(summary: Mapping[str, Any]) -> list[Told]:
    """Tables 1, 2, …: one for each network, as in the study, published figures in brackets."""
    study = published()
    tables: list[Told] = []
    for number, (name, network) in enumerate(summary["networks"].items(), 1):
        theirs, rows = study.get(name), []
        for epoch, gradients in enumerate(network["gradients"]["weights"]):
            ours = [*gradients[:-1], float(np.mean(gradients[:-1]))]
            cells = [f"{1e3 * g:.2f}" for g in ours] + [f"{network['train_accuracy'][epoch]:.4f}"]
            if theirs is not None and epoch < len(theirs.accuracy):
                other = [*theirs.gradients[epoch], theirs.average[epoch]]
                known = [f"{1e3 * g:.2f}" for g in other] if len(other) == len(ours) else []
                known = [*(known or [""] * len(ours)), f"{theirs.accuracy[epoch]:.4f}"]
                cells = [f"{c} ({k})" if k else c for c, k in zip(cells, known, strict=True)]
            rows.append([str(epoch + 1), *cells, f"{network['test_accuracy'][epoch]:.4f}"])
        layers = [f"layer {i + 1}" for i in range(len(rows[0]) - 4)]
        head = ["epoch", *layers, "average", "training accuracy", "test accuracy"]
        beside = ", published in brackets" if theirs is not None else ""
        title = f"Table {number}. {name}: gradients of the hidden layers × 10⁻³{beside}"
        tables.append(Table(title, head, rows))
    return tables


def _tests(summary: Mapping[str, Any]) -> list[Told]:
    names = list(summary["networks"])[:2]
    runs, seeds = summary.get("runs", [summary]), summary["seeds"]
    averages = [[_average(run["networks"][name]) for name in names] for run in runs]
    tests = {
        f"over the epochs of seed {s}": _paired(*p) for s, p in zip(seeds, averages, strict=True)
    }
    if len(runs) > 1:
        gradients = [[float(pair[i].mean()) for pair in averages] for i in (0, 1)]
        accuracy = [[run["networks"][n]["test_accuracy"][-1] for run in runs] for n in names]
        tests["gradients over the seeds"] = _paired(*gradients)
        tests["test accuracy over the seeds"] = _paired(*accuracy)
    head = [" − ".join(names), "t", "df", "p", "difference (95% interval)", "d_z (95% interval)"]
    rows = [[name, *_test_cells(test)] for name, test in tests.items()]
    text = (
        "The test over the epochs is the study's. It takes the epochs of one run for independent "
        "pairs, which they are not: they follow one another. Its p-value is therefore far too "
        "small to be taken at its word; it describes how regularly the two curves lie apart in one "
        "run. "
    )
    if len(seeds) > 1:
        text += (
            "The test over the seeds compares one figure per network and seed (the mean over "
            "hidden layers and epochs; the accuracy on the test images after the last epoch). "
            "Seeds are independent, so this test is sound."
        )
    else:
        text += (
            "Whether another start would give the same takes several seeds: `--seeds 5` adds "
            "the test across them."
        )
    theirs = "The study, over its 20 epochs: t = −8.07, p = 1.47e-07, 19 degrees of freedom."
    table = Table("Paired tests, and Wilcoxon's beside them", [*head, "Wilcoxon p"], rows)
    return [Prose([theirs]), table, Prose([text])]


def _test_cells(test: PairedTest | None) -> list[str]:
    if test is None:
        return ["nothing to test", *["–"] * 5]
    low, high = test.interval
    small, large = test.effect_interval
    return [
        f"{test.statistic:.2f}",
        str(test.degrees_of_freedom),
        p_figure(test.p_value),
        f"{test.mean_difference:.4f} ({low:.4f} to {high:.4f})",
        f"{test.effect_size:.2f} ({small:.2f} to {large:.2f})",
        p_figure(test.wilcoxon_p_value),
    ]


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    hidden = "-".join(map(str, summary["hidden"]))
    sizes = f"{summary['train_images']:,} training and {summary['test_images']:,} test images"
    return [
        ["data", f"{summary['dataset_title']}: {sizes}, pixels / 255"],
        ["hidden layers", f"{hidden}, each of {' or '.join(summary['networks'])}"],
        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
        ["optimizer", summary["optimizer"]],
        ["epochs, batch size", f"{summary['epochs']}, {summary['batch_size']}"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        ["gradients", "after each epoch, of the loss summed over the first 64 training images"],
    ]


def _note(summary: Mapping[str, Any]) -> str:
    differs = "; ".join(departures(summary)) or "nothing in the table above"
    return (
        f"Different from the published set-up: {differs}. The networks of one seed start from the "
        "same weights and see the same batches."
    )


STUDY = Cifar100()
