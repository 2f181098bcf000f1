"""All combinations of the values of several arguments, and a file name for each."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.backend import checks

Point = dict[str, Any]
SHORT = 60  # characters of a file name that show the values


def points_of(function: Callable[..., Any], grid: Mapping[str, Sequence[Any]]) -> dict[str, Point]:
    """The arguments of each call by its file name; the last one of ``grid`` changes fastest.

    Raises
    ------
    ValueError
        if they are not arguments of ``function``, or have values that a name cannot hold.
    """
    if not isinstance(grid, Mapping) or not grid:
        got = checks.describe(grid)
        raise ValueError(f"sweep: expected grid to be {{name: values, …}}, got {got}")
    for name, values in grid.items():
        is_list = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
        if not is_list or not len(values):
            got = checks.describe(values)
            raise ValueError(f"sweep: expected {name} to be a list of values, got {got}")
    plain = [[_plain(name, value) for value in values] for name, values in grid.items()]
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*plain)]
    more = {"checkpoint": None} if takes_checkpoint(function) else {}
    try:
        inspect.signature(function).bind(**points[0], **more)
    except TypeError as error:
        takes = ", ".join(inspect.signature(function).parameters)
        raise ValueError(
            f"sweep: expected grid to have the arguments of {function.__name__}({takes}), got "
            f"{', '.join(grid)}: {error}"
        ) from None
    found = {_name_of(point): point for point in points}
    if len(found) < len(points):
        raise ValueError("sweep: expected each value of an argument only once, got one twice")
    return found


def takes_checkpoint(function: Callable[..., Any]) -> bool:
    """Whether the function has a parameter ``checkpoint``."""
    return "checkpoint" in inspect.signature(function).parameters


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(name: str, value: Any) -> Any:
    """A value with only one representation: NumPy's numbers become Python's, tuples lists."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(name, one) for one in value]
    is_number = isinstance(value, float) and bool(np.isfinite(value))
    if not (is_number or isinstance(value, str | int | None)):
        raise ValueError(
            f"sweep: expected the values of {name} to be numbers, text, booleans, None or lists "
            f"of these, got {checks.describe(value)}; build other objects inside the function"
        )
    return value


def _name_of(point: Point) -> str:
    """As many of the values as fit, and a digest of all of them."""
    told = "-".join(f"{name}-{value}" for name, value in point.items())
    short = re.sub(r"[^A-Za-z0-9]+", "_", told)[:SHORT].strip("_")
    return f"{short}-{digest(json.dumps(point, sort_keys=True))}"
