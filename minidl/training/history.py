"""The history of a training run by :func:`minidl.fit`, epoch by epoch: table, rows, picture."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from minidl import plots
from minidl.inspection import Probe
from minidl.pages.picture import Picture
from minidl.storage.files import whole_file
from minidl.training.evaluation import Evaluation
from minidl.training.loop import Epoch

SHOWN = 15  # lines of the table


@dataclass(repr=False)
class FitHistory:
    """One training run, with one list over its epochs per quantity; prints as a table.

    Training loss and accuracy are running values (see :class:`Epoch`); validation loss and accuracy
    are computed after the epoch, and NaN without validation.  Accuracy is NaN for a regression.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)  # of the epoch's last step
    seconds: list[float] = field(default_factory=list)  # of training alone
    moved: list[float] = field(default_factory=list)  # ‖θ − θ₀‖ / ‖θ₀‖ from the start of the run
    probes: list[Probe] = field(default_factory=list)  # after the epoch, on 64 training examples
    best_epoch: int = 0  # the epoch, from 1, whose weights were restored; 0 if none were

    def add(
        self, epoch: Epoch, judged: Evaluation, rate: float, moved: float, probe: Probe
    ) -> None:
        """Append one epoch."""
        self.train_loss.append(epoch.train_loss)
        self.train_accuracy.append(epoch.train_accuracy)
        self.validation_loss.append(judged.loss)
        self.validation_accuracy.append(judged.accuracy)
        self.learning_rate.append(rate)
        self.seconds.append(epoch.seconds)
        self.moved.append(moved)
        self.probes.append(probe)

    def __len__(self) -> int:
        return len(self.seconds)

    def _quantities(self) -> dict[str, list[float]]:
        """The quantities of an epoch that are known, by name."""
        names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
        found = {
            name: getattr(self, name) for name in (*names, "learning_rate", "moved", "seconds")
        }
        return {name: v for name, v in found.items() if not all(map(math.isnan, v))}

    def gradients(self, parameter: str = "W") -> dict[str, list[float]]:
        """mean |∂L/∂W| after each epoch, by layer: ``{"dense_1": [0.01, …], …}``."""
        if not self.probes:
            return {}
        names = dict.fromkeys(g.parameter for g in self.probes[0].gradients)
        if parameter not in (*names, "W"):
            raise ValueError(
                f"FitHistory: expected one of the parameters {', '.join(names)}, got {parameter!r}"
            )
        rows = [i for i, g in enumerate(self.probes[0].gradients) if g.parameter == parameter]
        return {
            self.probes[0].gradients[i].layer: [p.gradients[i].mean_abs for p in self.probes]
            for i in rows
        }

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per epoch: ``epoch``, its numbers, ``mean |d dense_1.W|`` and so on."""
        columns = self._quantities()
        columns |= {f"mean |d {name}.W|": values for name, values in self.gradients().items()}
        epochs = range(len(self))
        return [{"epoch": i + 1} | {name: v[i] for name, v in columns.items()} for i in epochs]

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`rows` to ``path`` with a header line, completely or not at all."""
        rows = self.rows()
        with whole_file(path) as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"])
            writer.writeheader()
            writer.writerows(rows)

    def __str__(self) -> str:
        quantities = self._quantities()
        head = ["epoch", *(name.replace("_", " ") for name in quantities)]
        lines = ["  ".join(head)]
        for i in _spread(len(self), self.best_epoch):
            cells = [f"{i + 1}", *(f"{values[i]:.4g}" for values in quantities.values())]
            kept = "  <-- kept" if i + 1 == self.best_epoch else ""
            lines.append(
                "  ".join(f"{c:>{len(h)}}" for c, h in zip(cells, head, strict=True)) + kept
            )
        if len(self) > len(lines) - 1:
            lines.append(f"({len(lines) - 1} of {len(self)} epochs)")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Plot loss, accuracy and each layer's gradient by epoch; a notebook displays the result.

        With ``path`` it is also written there, in the format of the suffix (png, svg, pdf).
        """
        known = self._quantities()
        panels: dict[str, dict[str, list[float]]] = {}
        for name in (n for n in known if n.endswith(("_loss", "_accuracy"))):
            part, what = name.split("_")
            panels.setdefault(what, {})[part] = known[name]
        return plots.training_run(panels, self.gradients(), self.best_epoch, path)


def _spread(count: int, best: int) -> Sequence[int]:
    """Indices from 0 to ``count`` − 1 that a short table shows, including the ends and the best."""
    if count <= SHOWN:
        return range(count)
    some = {round(i * (count - 1) / (SHOWN - 2)) for i in range(SHOWN - 1)}
    return sorted(some | ({best - 1} if best else set()))
