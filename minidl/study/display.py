"""The progress of a cluster in one display: a bar over all steps, and lines for epochs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from minidl.training.progress import say


class Display:
    """A context that shows the progress of ``of`` training runs, unless it is ``quiet``."""

    def __init__(self, of: int, quiet: bool) -> None:
        self.of, self.quiet = of, quiet
        self.made = 0
        self.bar: Any = None
        self._steps: dict[str, tuple[int, int]] = {}  # of each run that has begun: done, total

    def __enter__(self) -> Display:
        if not self.quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=0, desc=self._title(), unit="step", leave=False)
        return self

    def on_event(self, event: tuple[float, Any]) -> None:
        """Take a report of a worker on a training run (see :class:`minidl.study.worker.Told`)."""
        _, told = event
        self._steps[told["name"]] = told["done"], told["of"]
        if told["line"]:
            say(told["line"])
        self._refresh()

    def on_made(self) -> None:
        self.made += 1
        self._refresh()

    def say(self, line: str) -> None:
        if not self.quiet:
            say(line)

    def _title(self) -> str:
        return f"{self.made} of {self.of} networks"

    def _refresh(self) -> None:
        """Update the bar; runs that have not begun count with the mean length of the others."""
        if self.bar is None:
            return
        done, of = map(sum, zip(*self._steps.values(), strict=True)) if self._steps else (0, 0)
        self.bar.total = of * self.of // max(1, len(self._steps))
        self.bar.n = done
        self.bar.set_description(self._title())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()
