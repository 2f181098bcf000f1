"""Studies of two networks that differ in their activation function, in one set-up or several."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from minidl.data.examples import Examples
from minidl.network import Network
from minidl.study.charts import Group
from minidl.study.claims import Claim, published_title
from minidl.study.histories import by_epoch, by_layer, epoch_rows, mean_of
from minidl.study.networks import DenseSetUp
from minidl.study.options import whole
from minidl.study.pairs import ACTIVATIONS
from minidl.study.pools import Task
from minidl.study.recording import History
from minidl.study.run import Run
from minidl.study.seeds import batches_rng
from minidl.study.series import Series
from minidl.study.study import Rows, TrainedStudy
from minidl.study.tables import figure, text_table
from minidl.study.verdicts import Verdicts
from minidl.training.checkpoint import Checkpoint

Images = tuple[Examples, Examples]  # training, test


class Outcome(NamedTuple):
    """What is stored of a network after training."""

    history: History

    def block(self) -> dict[str, Any]:
        """The network's part of the summary."""
        return by_epoch(self.history) | by_layer(self.history)


class PairStudy(TrainedStudy):
    """Sigmoid and ReLU in each of the set-ups, trained with each seed.

    In its ``summary.json``, ``set_ups`` has for each set-up the means over the seeds, each single
    seed, and the claims.
    """

    set_ups: ClassVar[Mapping[str, DenseSetUp]]
    epochs: ClassVar[int]  # in the study
    kind: ClassVar[Any] = Outcome

    @abstractmethod
    def judged(self, summary: Mapping[str, Any], key: str) -> list[Claim]:
        """The claims, judged in one set-up of a summary."""

    @abstractmethod
    def published(self, epochs: int) -> Mapping[str, Mapping[str, Series]]:
        """The published networks by set-up and function, after that number of epochs."""

    def prepare(self, run: Run) -> Any:
        """What all training runs share, prepared once: training and test data."""
        (data,) = run.data
        return data.train, data.test

    def split(self, prepared: Any, key: str, seed: int) -> Images:
        """Training and test images of a set-up; here the official split."""
        train, test = prepared
        return train, test

    def outcome(self, run: Run, history: History, network: Network, images: Images) -> Any:
        """What is stored of a network; it has a ``history`` and a ``block()``."""
        return Outcome(history)

    def describe(self, run: Run, key: str, outcome: Any) -> dict[str, Any]:
        """What the summary says about a set-up; ``outcome`` is that of one of its networks."""
        return {}

    def add_options(self, add: Any) -> None:
        add("--epochs", type=whole, default=self.epochs, help="passes over the training images")

    def tasks(self, run: Run) -> dict[str, Task[Any]]:
        prepared = self.prepare(run)
        return {
            f"{key}-{f}-seed{seed}": functools.partial(self.train, run, prepared, key, f, seed)
            for seed in run.seeds
            for key in self.set_ups
            for f in ACTIVATIONS
        }

    def train(
        self, run: Run, prepared: Any, key: str, activation: str, seed: int, checkpoint: Checkpoint
    ) -> Any:
        """Train one network, write its weights, and return what the report needs."""
        set_up, name = self.set_ups[key], f"{key}-{activation}-seed{seed}"
        widest = max(len(one.title) for one in self.set_ups.values())
        train, test = self.split(prepared, key, seed)
        shape, classes = train.input_shape, len(run.data[0].classes)
        network = set_up.network(activation, shape, classes, seed, run.device)
        history = run.record(
            name,
            f"seed {seed}  {set_up.title:<{widest}}  {activation:<7}",
            *(network, train, test, set_up.optimizer()),
            epochs=run.chosen.epochs,
            batch_size=set_up.batch_size,
            rng=batches_rng(seed),
            checkpoint=checkpoint,
        )
        if self.keeps_weights:
            network.save(run.weights_of(name))
        return self.outcome(run, history, network, (train, test))

    def summarise(self, run: Run, results: Mapping[str, Any]) -> dict[str, Any]:
        set_ups = {}
        for key in self.set_ups:
            runs = []
            for seed in run.seeds:
                networks = {f: results[f"{key}-{f}-seed{seed}"].block() for f in ACTIVATIONS}
                runs.append({"seed": seed, "networks": networks})
            outcome = results[f"{key}-relu-seed{run.chosen.seed}"]
            means = {"networks": mean_of([block["networks"] for block in runs]), "runs": runs}
            set_ups[key] = self.describe(run, key, outcome) | means
        used = run.used[0]
        return {
            "dataset": used.name,
            "dataset_title": used.title,
            "epochs": run.chosen.epochs,
            "seeds": list(run.seeds),
            "set_ups": set_ups,
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        for key, block in summary["set_ups"].items():
            block["claims"] = [claim.as_dict() for claim in self.judged(summary, key)]

    def tables(self, run: Run, results: Mapping[str, Any]) -> dict[str, Rows]:
        rows = [
            {"set_up": key} | row
            for key in self.set_ups
            for seed in run.seeds
            for f in ACTIVATIONS
            for row in epoch_rows(seed, f, results[f"{key}-{f}-seed{seed}"].history)
        ]
        return {"epochs.csv": rows}

    def results(self, summary: Mapping[str, Any]) -> str:
        study = self.published(summary["epochs"])
        networks = {
            f"{self.set_ups[key].title}, {f}": (network, study.get(key, {}).get(f))
            for key, block in summary["set_ups"].items()
            for f, network in block["networks"].items()
        }
        return accuracies(networks, published_title(summary["epochs"], self.epochs))

    def verdicts(self, summary: Mapping[str, Any], keys: Sequence[str] = ()) -> Verdicts:
        """The verdicts of a summary, in all of its set-ups or in those of ``keys``."""
        blocks = summary["set_ups"]
        return Verdicts({self.set_ups[key].title: blocks[key]["claims"] for key in keys or blocks})

    def groups(self, summary: Mapping[str, Any]) -> dict[str, Group]:
        """Our networks and the published ones for the charts, by the title of the set-up."""
        study, found = self.published(self.epochs), {}
        for key, block in summary["set_ups"].items():
            runs = {f: [run["networks"][f] for run in block["runs"]] for f in ACTIVATIONS}
            theirs = {f: vars(series) for f, series in study.get(key, {}).items()}
            found[self.set_ups[key].title] = Group(runs, theirs)
        return found


def accuracies(networks: Mapping[str, tuple[Any, Series | None]], theirs: str) -> str:
    """A table for the terminal: blocks of a summary by name, each beside the published network."""
    rows = []
    for name, (network, study) in networks.items():
        row = [name]
        for what in ("train_accuracy", "test_accuracy"):
            known = [] if study is None else getattr(study, what)
            row += [figure(network[what][-1]), figure(float(known[-1]) if len(known) else None)]
        rows.append(row)
    return text_table(["network", "training accuracy", theirs, "test accuracy", theirs], rows)
