"""Ctrl-C and SIGTERM: the first is obeyed after the current step, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """Ctrl-C or SIGTERM was received; finished results are stored.  ``signal`` is its number."""

    def __init__(self, number: int, done: int, of: int) -> None:
        self.signal = number
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} with {done} of {of} networks done; "
            "run the same command again to resume"
        )


@contextmanager
def stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """A context in which Ctrl-C or SIGTERM sets the event; a second one ends the process at once.

    Only the main thread receives signals: in another thread, nothing changes.
    """
    stop, received = threading.Event(), list[int]()
    former: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop.set()
        restore()

    with suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            former[number] = signal.signal(number, on_signal)
    try:
        yield stop, received
    finally:
        restore()
