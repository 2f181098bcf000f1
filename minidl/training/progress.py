"""The progress of training: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

# Makes the bar where a training run is shown by another process than the one that makes it.
bar_elsewhere: ContextVar[Callable[..., Any] | None] = ContextVar("bar_elsewhere", default=None)


def say(line: str) -> None:
    """Print a line on standard output, above the bar if there is one."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(line, flush=True)
    else:
        tqdm.tqdm.write(line)


class Progress:
    """A context that shows progress: call ``step()`` after each step and ``epoch(…)`` after epochs.

    A resumed run says at which epoch and step; the bar starts there, and its rate and the time
    left count the steps from there on.
    """

    def __init__(
        self, show: bool | str, epochs: int, steps: int, done: tuple[int, int] = (0, 0)
    ) -> None:
        self.show = show is not False
        self.label = f"{show}  " if isinstance(show, str) else ""
        self.epochs = epochs
        self.steps = steps
        self.done = done
        self.bar: Any = None

    def __enter__(self) -> Progress:
        epochs, steps = self.done
        bar: Any = bar_elsewhere.get()
        if self.show and bar is None and sys.stderr.isatty():
            from tqdm import tqdm

            bar = tqdm
        if self.show and bar is not None:
            self.bar = bar(
                total=self.epochs * self.steps,
                initial=epochs * self.steps + steps,
                desc=self.label.strip(),
                unit="step",
                leave=False,
            )
        if steps or 0 < epochs < self.epochs:
            at = f", step {steps + 1}/{self.steps}" if steps else ""
            self._say(f"{self.label}resumes at epoch {epochs + 1}/{self.epochs}{at}")
        elif epochs:
            self._say(f"{self.label}all {epochs} epochs were done before")
        return self

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def epoch(self, number: int, loss: float, accuracy: float, seconds: float, images: int) -> None:
        right = "" if math.isnan(accuracy) else f"  accuracy {accuracy:.4f}"
        self._say(
            f"{self.label}epoch {number:>{len(str(self.epochs))}}/{self.epochs}  loss {loss:.4f}"
            f"{right}  {seconds:.1f} s  {images / seconds:,.0f} images/s"
        )

    def _say(self, line: str) -> None:
        if self.bar is not None:
            self.bar.write(line)
        elif self.show:
            print(line, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()
