"""Checks of numbers, flags and objects."""

from __future__ import annotations

import inspect
import os
import reprlib
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral, Real
from typing import Any

import numpy as np

from minidl.backend.arrays import is_array

LARGEST = sys.float_info.max


def integer(owner: object, name: str, value: Any, least: int = 1) -> int:
    """``value`` as an integer of at least ``least``."""
    if not _is(value, Integral) or value < least:
        raise ValueError(
            f"{owner}: expected {name} to be an integer >= {least}, got {describe(value)}"
        )
    return int(value)


def positive(owner: object, name: str, value: Any) -> float:
    """``value`` as a finite number above 0."""
    return _number(owner, name, value, lambda v: 0 < v <= LARGEST, "above 0")


def not_negative(owner: object, name: str, value: Any) -> float:
    """``value`` as a finite number of at least 0."""
    return _number(owner, name, value, lambda v: 0 <= v <= LARGEST, "of at least 0")


def fraction(owner: object, name: str, value: Any) -> float:
    """``value`` as a number from 0 to 1."""
    return _number(owner, name, value, lambda v: 0 <= v <= 1, "from 0 to 1")


def fraction_below_one(owner: object, name: str, value: Any) -> float:
    """``value`` as a number from 0 to below 1."""
    return _number(owner, name, value, lambda v: 0 <= v < 1, ">= 0 and < 1")


def finite(owner: object, name: str, value: Any) -> float:
    """``value`` as a finite number."""
    return _number(owner, name, value, lambda v: abs(v) <= LARGEST, "to be a finite number")


def boolean(owner: object, name: str, value: Any) -> bool:
    """``value`` as True or False: a string would always be true, which is never meant."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{owner}: expected {name} to be True or False, got {describe(value)}")
    return bool(value)


def generator(owner: object, rng: Any) -> np.random.Generator:
    """``rng`` itself, or a generator with that seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if not _is(rng, Integral) or rng < 0:
        raise ValueError(
            f"{owner}: expected rng to be a numpy.random.Generator or a seed >= 0, "
            f"got {describe(rng)}"
        )
    return np.random.default_rng(int(rng))


def float_type(owner: object, dtype: Any) -> np.dtype:
    """``dtype`` as that of float32 or float64."""
    with suppress(TypeError):
        if dtype is not None and np.dtype(dtype) in (np.float32, np.float64):  # None is float64
            return np.dtype(dtype)
    raise ValueError(f"{owner}: expected dtype float32 or float64, got {describe(dtype)}")


# In which launchers set the number of processes: MPICH, Intel MPI; Open MPI; MVAPICH.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def launched_processes() -> int:
    """How many processes ``mpiexec`` has started together; 1 without it."""
    return next((int(os.environ[name]) for name in SIZES if os.environ.get(name)), 1)


def one_process(owner: str) -> None:
    """Raise ``RuntimeError`` if ``mpiexec`` has started several, which would not share the work."""
    if (count := launched_processes()) > 1:
        raise RuntimeError(
            f"{owner}: expected one process, mpiexec has started {count}; they share each batch in "
            "minidl.data_parallel.train(…), or fit(…, train=minidl.data_parallel.train), and with "
            "ranks=minidl.data_parallel.Ranks() each of them trains alone"
        )


def instance(owner: object, name: str, value: Any, kind: type) -> None:
    """Raise unless ``value`` is a ``kind``; for a class, the error says how to make an instance."""
    if not isinstance(value, kind):
        made = isinstance(value, type) and issubclass(value, kind)
        hint = f"; make one: {value.__name__}(…)" if made else ""
        raise ValueError(
            f"{owner}: expected {name} of the class {kind.__name__}, got {describe(value)}{hint}"
        )


def function(owner: object, name: str, value: Any, *of: str) -> None:
    """Raise unless ``value`` is a function that takes as many arguments as ``of`` has names."""
    try:
        if not isinstance(value, type):
            inspect.signature(value).bind(*of)
            return
    except TypeError:  # not callable, or with other arguments
        pass
    except ValueError:  # of no known arguments: written in C
        return
    raise ValueError(
        f"{owner}: expected {name} to be a function of {' and '.join(of)}, got {describe(value)}"
    )


def warn(text: str) -> None:
    """A ``UserWarning`` at the line outside of minidl that led here."""
    level, frame = 1, sys._getframe().f_back
    while frame is not None and frame.f_globals.get("__name__", "").startswith("minidl."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level + 1)


def describe(value: Any) -> str:
    """``value`` in a few words, for the end of an error message."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if is_array(value) and value.ndim:
        return f"an array {value.dtype} {value.shape}"
    if isinstance(value, tuple | list) and any(map(is_array, value)):
        return f"a {type(value).__name__} of arrays"
    return reprlib.repr(value)


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _number(
    owner: object, name: str, value: Any, fits: Callable[[Any], bool], expected: str
) -> float:
    if not _is(value, Real) or not fits(value):
        raise ValueError(f"{owner}: expected {name} {expected}, got {describe(value)}")
    return float(value)
