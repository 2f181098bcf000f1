"""How far a training is: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import Any


class Progress:
    """Shown while it is entered; ``step()`` after each step, ``epoch(…)`` after each epoch."""

    def __init__(self, show: bool | str, epochs: int, steps: int) -> None:
        self.show = show is not False
        self.label = f"{show}  " if isinstance(show, str) else ""
        self.epochs = epochs
        self.steps = steps
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.show and sys.stderr.isatty():
            from tqdm import tqdm

            total = self.epochs * self.steps
            self.bar = tqdm(total=total, desc=self.label.strip(), unit="step", leave=False)
        return self

    def skip(self, epochs: int, steps: int) -> None:
        """So many epochs, and steps of the next one, were done before."""
        if self.bar is not None:
            self.bar.update(epochs * self.steps + steps)
        elif self.show and (epochs or steps):
            print(f"{self.label}goes on after {epochs} epochs and {steps} steps", flush=True)

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def epoch(self, number: int, loss: float, accuracy: float, seconds: float, images: int) -> None:
        if not self.show:
            return
        right = "" if math.isnan(accuracy) else f"  accuracy {accuracy:.4f}"
        line = (
            f"{self.label}epoch {number:>{len(str(self.epochs))}}/{self.epochs}  loss {loss:.4f}"
            f"{right}  {seconds:.1f} s  {images / seconds:,.0f} images/s"
        )
        if self.bar is None:
            print(line, flush=True)
        else:
            self.bar.write(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()
