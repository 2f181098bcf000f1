"""Checks of arguments where they enter: in constructors and in the first lines of a function.

Each check returns the value as a plain Python number, or raises ``ValueError`` with
what was expected and what was given.  NumPy's numbers are as good as Python's; a boolean is not
a number, and a float is not an integer.  docs/limits.md and tests/refusals.md list
what is refused.
"""

from minidl.backend.checks.arrays import (
    array,
    floats,
    indices,
    integers,
    same_device,
    same_dtype_and_device,
)
from minidl.backend.checks.values import (
    LARGEST,
    boolean,
    describe,
    finite,
    float_type,
    fraction,
    fraction_below_one,
    function,
    generator,
    instance,
    integer,
    launched_processes,
    not_negative,
    one_process,
    positive,
    warn,
)

__all__ = [
    "LARGEST",
    "array",
    "boolean",
    "describe",
    "finite",
    "float_type",
    "floats",
    "fraction",
    "fraction_below_one",
    "function",
    "generator",
    "indices",
    "instance",
    "integer",
    "integers",
    "launched_processes",
    "not_negative",
    "one_process",
    "positive",
    "same_device",
    "same_dtype_and_device",
    "warn",
]
