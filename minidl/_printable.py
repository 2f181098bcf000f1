"""Text from elsewhere, made fit to be shown."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """``text`` with whatever does not print as its escape, cut after ``limit`` characters.

    A terminal takes control characters for commands, a new line for the next message;
    characters that turn the direction of writing make text look like other text; a file name
    that is not UTF-8 cannot be written to a UTF-8 file at all.
    """
    shown = text if limit is None or len(text) <= limit else text[:limit] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def printable_lines(text: str) -> str:
    """The same of each line of ``text``, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))
