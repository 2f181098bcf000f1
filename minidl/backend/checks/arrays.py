"""Checks of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend.arrays import is_array, namespace, to_numpy
from minidl.backend.checks.values import describe
from minidl.backend.hints import floats_hint, way_to_array


def array(owner: object, name: str, value: Any) -> None:
    """Raise unless ``value`` is an array of NumPy or CuPy."""
    if not is_array(value):
        raise ValueError(
            f"{owner}: expected {name} to be a NumPy or CuPy array, got {type(value).__name__}"
            f"{way_to_array(name, value)}"
        )


def floats(owner: object, name: str, value: Any) -> None:
    """Raise unless ``value`` is an array of floating-point numbers."""
    array(owner, name, value)
    if value.dtype.kind != "f":
        raise ValueError(
            f"{owner}: expected {name} to be an array of floating-point numbers, "
            f"got {value.dtype}; {floats_hint(name, value)}"
        )


def integers(owner: object, name: str, value: Any) -> None:
    """Raise unless ``value`` is an array of integers."""
    array(owner, name, value)
    if value.dtype.kind not in "iu":
        raise ValueError(
            f"{owner}: expected {name} to be an array of integers, got {value.dtype}; "
            "a tokenizer gives the tokens of a sentence as such"
        )


def same_device(owner: object, name: str, value: Any, other: Any) -> None:
    """Raise ``TypeError`` unless the array is on the device of ``other``."""
    if type(value) is not type(other):
        here, there = (namespace(a).__name__ for a in (other, value))
        raise TypeError(
            f"{owner}: expected {name} to be a {here} array, got {type(value).__name__} "
            f"({there}); move it with device.asarray({name})"
        )


def same_dtype_and_device(owner: object, name: str, value: Any, other: Any) -> None:
    """Raise ``TypeError`` unless the array is of the type of ``other`` and on the same device."""
    same_device(owner, name, value, other)
    if value.dtype != other.dtype:
        got, wanted = value.dtype.name, other.dtype.name
        build = f", or build with dtype={got!r}" if got in ("float32", "float64") else ""
        if got == wanted:
            got, build = f"one of the other byte order ({value.dtype.str})", ""
        raise TypeError(
            f"{owner}: expected {name} of type {wanted}, got {got}; "
            f"{floats_hint(name, value, wanted)}{build}"
        )


def indices(owner: str, name: str, value: Any, count: int) -> np.ndarray:
    """``value`` as an array (n,) of integers from 0 to ``count`` - 1.

    An index out of range would silently become another one: ``take`` clips it, and a
    GPU wraps around.
    """
    found = np.asarray(to_numpy(value))
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ValueError(f"{owner}: expected {name} to be integers (n,), got {describe(found)}")
    if found.size and not 0 <= found.min() <= found.max() < count:
        raise ValueError(
            f"{owner}: expected {name} from 0 to {count - 1}, got {found.min()} to {found.max()}"
        )
    return found
