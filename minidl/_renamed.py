"""Documented names of version 0.2: they work once more, with a warning, and go with 0.4."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

OF_LOSSES = {  # what a loss of one's own may still define
    "each": "per_example",
    "hits": "correct",
    "applies": "output_activation",
    "of_one_answer": "constant_baseline",
}
OF_LAYERS = {  # and a layer
    "takes_integers": "integer_input",
    "expect_values": "check_tokens",
    "transparent": "flat_names",
}


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """A warning at the caller's caller, or further up."""
    warnings.warn(
        f"{old} is {new} now; the old name goes with version 0.4", DeprecationWarning, stacklevel
    )


def take_old_names(cls: type, renamed: Mapping[str, str]) -> None:
    """Let what the class defines under an old name be what the new one means."""
    for old, new in renamed.items():
        if old in vars(cls):
            warn_renamed(f"{cls.__name__}.{old}", new, stacklevel=4)
            setattr(cls, new, vars(cls)[old])


def take_expect_shape(cls: Any) -> None:
    """Let a layer that checks its input's shape in a method of its own do so in the new one."""
    if "expect_shape" in vars(cls) and "output_shape" not in vars(cls):
        warn_renamed(f"{cls.__name__}.expect_shape", "part of output_shape", stacklevel=4)
        cls.output_shape = _by_expect_shape


def _by_expect_shape(layer: Any, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    layer.expect_shape(("N", *input_shape))
    return input_shape
