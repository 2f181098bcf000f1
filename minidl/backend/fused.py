"""Where a GPU has one kernel for what NumPy does in several passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from minidl.backend.arrays import namespace

F = TypeVar("F", bound=Callable[..., Any])


def fused(function: F) -> F:
    """``function`` on the CPU; on a GPU what :mod:`minidl.gpu.kernels` has in its place."""

    @wraps(function)
    def dispatched(*arguments: Any) -> Any:
        if all(namespace(argument) is np for argument in arguments):
            return function(*arguments)
        from minidl.gpu import kernels

        return kernels.run(function, arguments)

    return dispatched  # type: ignore[return-value]
