"""A run of the Fashion-MNIST study as data: its claims judged, its means over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fashion_mnist_claims import judged, published
from fashion_mnist_training import EPOCHS, SET_UPS, Outcome, SetUp
from study import LEARNING_RATES

from minidl.study import Conditions, DataUsed, text_table
from minidl.study.claims import published_title
from minidl.study.histories import by_epoch, by_layer, mean_of
from minidl.study.tables import figure


@dataclass(frozen=True)
class Run:
    """The networks of one seed in one set-up."""

    seed: int
    outcomes: dict[str, Outcome]  # by activation

    def block(self) -> dict[str, Any]:
        """This seed's part of the summary."""
        return {
            name: by_epoch(outcome.history)
            | by_layer(outcome.history)
            | {"classification_report": outcome.report.as_dict()}
            for name, outcome in self.outcomes.items()
        }


Runs = Mapping[str, Sequence[Run]]  # by set-up, one for each seed


def summarise(data: DataUsed, conditions: Conditions, runs: Runs) -> dict[str, Any]:
    """``summary.json``: for each set-up the means over the seeds, and each seed."""
    seeds = [run.seed for run in runs["as_run"]]
    set_ups = {}
    for key, some in runs.items():
        blocks = [run.block() for run in some]
        outcome = some[0].outcomes["relu"]
        set_ups[key] = {
            "network": layers(SET_UPS[key], data),
            "optimizer": optimizer(SET_UPS[key]),
            "batch_size": SET_UPS[key].batch_size,
            "train_images": outcome.train_images,
            "test_images": outcome.test_images,
            "networks": mean_of(blocks),
            "runs": [
                {"seed": run.seed, "networks": b} for run, b in zip(some, blocks, strict=True)
            ],
        }
    summary = {
        "dataset": data.name,
        "dataset_title": data.title,
        "epochs": len(runs["as_run"][0].outcomes["relu"].history.seconds),
        "seeds": seeds,
        **conditions.as_dict(),
        "set_ups": set_ups,
    }
    for block in set_ups.values():
        block["claims"] = [claim.as_dict() for claim in judged(summary, block)]
    return summary


def layers(set_up: SetUp, data: DataUsed) -> str:
    sizes = "-".join(map(str, (data.inputs, *set_up.hidden, len(data.classes))))
    dropout = f", dropout {set_up.dropout:g} after each hidden layer" if set_up.dropout else ""
    return sizes + dropout


def optimizer(set_up: SetUp) -> str:
    return f"{set_up.optimizer}, learning rate {LEARNING_RATES[set_up.optimizer]:g}"


def claims_table(summary: Mapping[str, Any]) -> str:
    """Ours beside published, for the terminal."""
    study = published(summary["epochs"])
    rows = []
    for key, block in summary["set_ups"].items():
        for name, network in block["networks"].items():
            theirs = study.get(key, {}).get(name)
            rows.append(
                [
                    f"{SET_UPS[key].title}, {name}",
                    figure(network["train_accuracy"][-1]),
                    figure(None if theirs is None else float(theirs.train_accuracy[-1])),
                    figure(network["test_accuracy"][-1]),
                    figure(None if theirs is None else float(theirs.test_accuracy[-1])),
                ]
            )
    theirs_at = published_title(summary["epochs"], EPOCHS)
    head = ["network", "training accuracy", theirs_at, "test accuracy", theirs_at]
    lines = ["", text_table(head, rows), ""]
    for run, described in both(summary):
        verdicts = f"as run: {run['verdict']}; as described: {described['verdict']}"
        lines.append(f"{run['claim']}\n    {verdicts}")
    return "\n".join([*lines, ""])


def both(summary: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each claim, as run and as described."""
    blocks = (summary["set_ups"][key]["claims"] for key in ("as_run", "as_described"))
    return list(zip(*blocks, strict=True))
