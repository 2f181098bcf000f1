"""Standard output of a command: output that cannot be shown never costs a result."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class TolerantStream:
    """A text stream that drops what cannot be written, and records why in ``error``."""

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
def tolerant_stdout(name: str) -> Iterator[None]:
    """A context in which printing never raises; ``name`` is that of the command.

    If the reader has gone (``| head -1``), the disk is full or the stream is closed, only the
    output is lost, which is said at the end on standard error.  Characters that the encoding
    lacks are escaped.
    """
    former = sys.stdout, sys.stderr
    out, err = map(_tolerant, former)
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
                _discard(stream)


def _tolerant(stream: Any) -> TolerantStream:
    """``stream`` made lenient; a closed one, which is None in Python, discards its output."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 open as long as it is used
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return TolerantStream(stream)


def _discard(stream: TolerantStream) -> None:
    """Discard what is still buffered, since otherwise Python exits with status 120."""
    with suppress(OSError):  # a stream of tests, which has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
