"""Ctrl-C and SIGTERM: a wish that is granted after the step, and at once the second time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came; what was done is kept.  ``signal`` is its number."""

    def __init__(self, number: int, done: int, of: int) -> None:
        self.signal = number
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} with {done} of {of} networks done; the same command goes on here"
        )


@contextmanager
def stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """Within it, the first Ctrl-C or SIGTERM sets the event; the second ends the process at once.

    Only the main thread is told of signals: elsewhere nothing changes.
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
