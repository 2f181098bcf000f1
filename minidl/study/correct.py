"""Which test examples a network answered correctly: a bit for each, as text for cells and JSON."""

from __future__ import annotations

import base64

import numpy as np


def packed(correct: np.ndarray) -> str:
    """Base64 of the bits of ``correct`` (N,)."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpacked(text: str, count: int) -> np.ndarray | None:
    """(count,) 0 or 1; None unless ``text`` has as many, as in a run that did not store them."""
    contents = base64.b64decode(text)
    bits = np.unpackbits(np.frombuffer(contents, np.uint8))
    return bits[:count] if contents and len(contents) == (count + 7) // 8 else None
