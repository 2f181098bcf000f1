"""Studies of two networks that differ in their activation function, in one set-up or several."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from minidl.study.charts import Group
from minidl.study.claims import Claim, published_title
from minidl.study.histories import epoch_rows, mean_of
from minidl.study.options import whole
from minidl.study.pairs import Series
from minidl.study.pools import Task
from minidl.study.run import Run
from minidl.study.study import Rows, TrainedStudy
from minidl.study.tables import figure, text_table
from minidl.training.checkpoint import Checkpoint

ACTIVATIONS = ("sigmoid", "relu")


class PairStudy(TrainedStudy):
    """Sigmoid and ReLU in each of the set-ups, trained with each seed.

    Its ``summary.json`` has in ``set_ups`` for each one the means over the seeds, each seed, and
    the claims.
    """

    set_ups: ClassVar[Mapping[str, Any]]  # by key; each has a ``title``
    epochs: ClassVar[int]  # in the study

    @abstractmethod
    def prepare(self, run: Run) -> Any:
        """What all training runs share, as images that are put together once."""

    @abstractmethod
    def train(
        self, run: Run, prepared: Any, key: str, activation: str, seed: int, checkpoint: Checkpoint
    ) -> Any:
        """Train one network; what it leaves has a ``history`` and a ``block()``."""

    @abstractmethod
    def describe(self, run: Run, key: str, outcome: Any) -> dict[str, Any]:
        """What the summary says of a set-up; ``outcome`` is that of one of its networks."""

    @abstractmethod
    def judged(self, summary: Mapping[str, Any], key: str) -> list[Claim]:
        """The claims in a set-up of a summary."""

    @abstractmethod
    def published(self, epochs: int) -> Mapping[str, Mapping[str, Series]]:
        """The published networks by set-up and function, after so many epochs."""

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
        study, rows = self.published(summary["epochs"]), []
        for key, block in summary["set_ups"].items():
            for name, network in block["networks"].items():
                row = [f"{self.set_ups[key].title}, {name}"]
                for what in ("train_accuracy", "test_accuracy"):
                    theirs: Any = getattr(study.get(key, {}).get(name), what, ())
                    known = float(theirs[-1]) if len(theirs) else None
                    row += [figure(network[what][-1]), figure(known)]
                rows.append(row)
        at = published_title(summary["epochs"], self.epochs)
        return text_table(["network", "training accuracy", at, "test accuracy", at], rows)

    def groups(self, summary: Mapping[str, Any]) -> dict[str, Group]:
        """Ours and the published networks for the charts, by the title of the set-up."""
        study, found = self.published(self.epochs), {}
        for key, block in summary["set_ups"].items():
            runs = {f: [run["networks"][f] for run in block["runs"]] for f in ACTIVATIONS}
            theirs = {f: vars(series) for f, series in study.get(key, {}).items()}
            found[self.set_ups[key].title] = Group(runs, theirs)
        return found
