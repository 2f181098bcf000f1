"""Sigmoid against ReLU on CIFAR-100: the declaration of the study, and its report."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minidl import ACTIVATIONS, get_activation
from minidl.data import NAMES, Dataset
from minidl.optimizers import OPTIMIZERS
from minidl.pages import Chart, Series, Told, Typed
from minidl.pages.colours import function_colour
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, Verdicts, Work, text_table
from minidl.study.charts import Group, layer_charts, learning_charts
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows, mean_of
from minidl.study.options import whole
from minidl.study.pairs import ACTIVATIONS as PUBLISHED_FUNCTIONS
from minidl.study.report import percent, sentence, set_up_section
from minidl.study.seeds import LEARNING_RATES
from minidl.study.tables import counted, figure
from minidl.study.verdicts import both
from studies.cifar100.claims import CLAIMS, EPOCHS, ON_TEST, SMALLER, judged, published
from studies.cifar100.gradients import (
    average,
    average_gradients,
    gradient_tables,
    paired_tests,
    tested,
)
from studies.cifar100.start import start_of, start_parts
from studies.cifar100.training import Trained, build_network, train_network
from studies.cifar100.units import unit_parts

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
    about = "Sigmoid against ReLU on CIFAR-100: a published comparison, rerun."
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
        add("--batch-size", "--global-batch", help="images per step, over all ranks", **batch)
        add(
            "--activations",
            nargs="+",
            default=["sigmoid", "relu"],
            choices=[name for name, f in ACTIVATIONS.items() if f.elementwise],
            metavar="NAME",
            help="functions of the hidden layers, one network for each: %(choices)s",
        )
        units = {"type": whole, "nargs": "+", "default": [512] * 4, "metavar": "UNITS"}
        add("--hidden", help="units of the hidden layers", **units)
        add("--optimizer", choices=OPTIMIZERS, default="adam", help="update rule")
        add("--learning-rate", type=float, help="step size (default: Keras's for the optimizer)")
        add("--dataset", choices=NAMES, default="auto", help="auto: CIFAR-100, else the stand-in")
        add("--limit", type=whole, metavar="N", help="only the first N training images")

    def check(self, chosen: argparse.Namespace) -> None:
        if len(set(chosen.activations)) < max(2, len(chosen.activations)):
            raise ValueError(
                f"--activations: expected two or more different functions, got {chosen.activations}"
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
        """With several seeds, the top level holds the means, and ``runs`` each seed."""
        chosen = run.chosen
        blocks: list[dict[str, Any]] = []
        for seed in run.seeds:
            networks = {
                f: results[f"{f}-seed{seed}"].block()
                | start_of(build_network(f, chosen, run.data[0], seed, run.device), run.data[0])
                for f in chosen.activations
            }
            blocks.append({"seed": seed, "networks": networks} | paired_tests(networks))
        networks = {
            name: mean_of([block["networks"][name] for block in blocks])
            for name in chosen.activations
        }
        several = {"runs": blocks} if len(blocks) > 1 else {}
        tests = paired_tests(networks)
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
        study, rows = published(summary["epochs"]), []
        for name, network in summary["networks"].items():
            theirs = study.get(name)
            known: list[float | None] = [None, None]
            if theirs is not None:
                known = [float(theirs.train_accuracy[-1]), float(theirs.gradients[-1].mean())]
            row = [network["train_accuracy"][-1], known[0], network["test_accuracy"][-1]]
            rows.append([name, *map(figure, [*row, float(average(network)[-1]), known[1]])])
        at = published_title(summary["epochs"], EPOCHS)
        head = ["network", "training accuracy", at, "test accuracy", "gradient", at]
        return f"{text_table(head, rows)}\n\n{Verdicts({'': summary['claims']}).text()}"

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        blocks = [run["networks"] for run in summary.get("runs", [summary])]
        runs = {name: [block[name] for block in blocks] for name in summary["networks"]}
        study = {
            name: vars(series) | {"average": series.gradients.mean(axis=1)}
            for name, series in published().items()
            if name in runs
        }
        group, verdicts = {"": Group(runs, study)}, Verdicts({"this run": summary["claims"]})
        held = "No claim is judged, since sigmoid and ReLU were not both trained"
        sections = [
            Section("Dead units", unit_parts(summary)),
            Section("Accuracy and loss", learning_charts(group)),
            Section("Layer by layer", [*layer_charts(group), *gradient_tables(summary)]),
            Section("Is the difference between the gradients significant?", tested(summary)),
            Section("The functions", [_functions(list(runs))]),
            set_up_section(_set_up(summary), summary, note=_note(summary)),
        ]
        if parts := start_parts(summary):
            sections.insert(0, Section("Before training: predicted and measured gradients", parts))
        if summary["claims"]:
            theirs = published_title(summary["epochs"], EPOCHS)
            sections.insert(0, verdicts.section(CLAIMS, published=theirs))
            held = verdicts.held()
        title, question = _subject(summary)
        return Report(
            f"{title}: a dense network and its gradients",
            self.work,
            question,
            _answer(summary, verdicts),
            [average_gradients(runs, study)],
            held,
            sections,
            _warning(summary),
            "" if summary["dataset"] == "cifar-100" else summary["dataset_title"],
        )


# -- what the report says ----------------------------------------------------------------------


def _subject(summary: Mapping[str, Any]) -> tuple[str, str]:
    """The title and the question: those of the study only if its two functions were trained."""
    names = list(summary["networks"])
    if set(names) == set(PUBLISHED_FUNCTIONS):
        return "Sigmoid against ReLU", (
            "Does ReLU limit the vanishing gradient, and does it learn CIFAR-100 better than "
            "sigmoid? The two networks differ in nothing else; the study says yes to both."
        )
    return sentence(" against ".join(names)), (
        f"How large are the gradients of the hidden layers with {', '.join(names[:-1])} and "
        f"{names[-1]}, and which network is the most accurate on test images? The networks "
        "differ in nothing else. The published study compares sigmoid with ReLU."
    )


def departures(summary: Mapping[str, Any]) -> list[str]:
    """Where a run differs from the published set-up."""
    differs = [
        f"{key.removesuffix('_title').replace('_', ' ')} {summary[key]} instead of {value}"
        for key, value in AS_PUBLISHED.items()
        if summary[key] != value
    ]
    names = list(summary["networks"])
    if set(names) != set(PUBLISHED_FUNCTIONS):
        differs.append(f"{', '.join(names)} instead of {' and '.join(PUBLISHED_FUNCTIONS)}")
    return differs


def _warning(summary: Mapping[str, Any]) -> str | Told:
    differs = departures(summary)
    said = f"Not the published set-up: {'; '.join(differs)}." if differs else ""
    if summary["dataset"] == "cifar-100":
        return said
    note = summary.get("dataset_note", "").removesuffix(".")
    said = f"Not CIFAR-100: {note}. {said}" if note else f"Not CIFAR-100. {said}"
    return Typed(f"{said} The results of this run say nothing about the published figures.")


def _answer(summary: Mapping[str, Any], verdicts: Verdicts) -> str:
    networks = summary["networks"]
    tested = {name: percent(n["test_accuracy"][-1]) for name, n in networks.items()}
    if not summary["claims"]:
        said = ", ".join(f"{name} {share}" for name, share in tested.items())
        return f"No verdict on these functions; of the test images they recognise: {said}."
    relu, sigmoid = (float(np.mean(average(networks[name]))) for name in ("relu", "sigmoid"))
    times = (
        f"{relu / sigmoid:.1f} times as large as sigmoid's"
        if sigmoid > 0 and np.isfinite(relu)
        else f"{figure(relu)} on average, sigmoid's {figure(sigmoid)}"
    )
    verdict = both(verdicts.word(SMALLER), verdicts.word(ON_TEST))
    epochs = counted(summary["epochs"], "epoch")
    return (
        f"{sentence(verdict)}: the gradients of ReLU's hidden layers are {times}, and after "
        f"{epochs} it recognises {tested['relu']} of the test images and sigmoid "
        f"{tested['sigmoid']}."
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
    about = "Each function and its derivative, which multiplies the gradient in each layer."
    return Chart("The functions and their slopes", about, "z", "", series, name="functions")


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    hidden = "-".join(map(str, summary["hidden"]))
    sizes = f"{summary['train_images']:,} training and {summary['test_images']:,} test images"
    return [
        ["data", f"{summary['dataset_title']}: {sizes}, pixels / 255"],
        ["hidden layers", f"{hidden}, activation {' or '.join(summary['networks'])}"],
        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
        ["optimizer", summary["optimizer"]],
        ["epochs, batch size", f"{summary['epochs']}, {summary['batch_size']}"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        ["gradients", "after each epoch, of the loss summed over the first 64 training images"],
    ]


def _note(summary: Mapping[str, Any]) -> str:
    differs = "; ".join(departures(summary)) or "none in the table above"
    return (
        f"Differences from the published set-up: {differs}. All networks of one seed start from "
        "the same weights and see the same batches."
    )


STUDY = Cifar100()
