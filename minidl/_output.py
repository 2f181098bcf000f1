"""Standard output of a command: what cannot be shown never costs a result."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Shown:
    """A text stream that drops what cannot be written, and remembers why in ``error``."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            self.stream.write(text)
        except OSError as error:
            self.error = error
        return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def dispensable_output(name: str) -> Iterator[None]:
    """Within it, nothing that is printed raises; ``name`` is that of the command.

    A reader that has gone (``| head -1``), a full disk or a closed stream lose the output and
    nothing else, which is said in the end on standard error.  Characters that the encoding
    lacks are written as their escapes.
    """
    former = sys.stdout, sys.stderr
    out, err = map(_shown, former)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        if out.error is not None:
            print(f"{name}: not all was shown on standard output: {out.error}", file=err)
        err.flush()
        sys.stdout, sys.stderr = former
        for stream in (out, err):
            if stream.error is not None:
                _give_up(stream)


def _shown(stream: Any) -> Shown:
    """``stream`` made lenient; a closed one, which Python has as None, goes nowhere."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 open as long as it is used
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return Shown(stream)


def _give_up(stream: Shown) -> None:
    """Let what is still buffered go nowhere, else Python ends with status 120 for it."""
    with suppress(OSError):  # a stream of tests, which has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
