"""CuPy's interface on the CPU, for the code that chooses between the two array modules.

Its arrays are NumPy's underneath, but as strict as CuPy's about where they lie: an operation
that mixes them with plain NumPy arrays raises ``TypeError``, and a reduction gives an array of
no axes, not a scalar.  It shows that minidl moves arrays where it has to, without a GPU; it
says nothing about CuPy's own numbers.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special


def _refuse_plain(*arguments: Any) -> None:
    for argument in arguments:
        if isinstance(argument, tuple | list):
            _refuse_plain(*argument)
        elif type(argument) is np.ndarray:
            raise TypeError(f"Unsupported type {type(argument)}: a NumPy array among CuPy's")


class ndarray(np.ndarray):  # noqa: N801 (CuPy's name)
    """An array that claims to lie on a GPU."""

    def get(self) -> np.ndarray:
        return np.array(self.view(np.ndarray))

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        _refuse_plain(inputs, out, *kwargs.values())
        if out:
            kwargs["out"] = tuple(_plain(array) for array in out)
        kwargs = {name: _plain(value) for name, value in kwargs.items()}
        result = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        return out[0] if out else _pretend(result)

    def __array_function__(self, function, types, args, kwargs):
        _refuse_plain(args, *kwargs.values())
        result = function(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
        return _pretend(result) if kwargs.get("out") is None else kwargs["out"]

    def __getitem__(self, key):
        _refuse_plain(key)
        return _pretend(super().__getitem__(key))

    def __setitem__(self, key, value):
        _refuse_plain(key, value)
        super().__setitem__(key, value)


ndarray.__module__ = "cupy"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return value.view(np.ndarray) if isinstance(value, ndarray) else value


def _pretend(value: Any) -> Any:
    if isinstance(value, ndarray) or not isinstance(value, np.ndarray | np.generic):
        return value
    return np.asarray(value).view(ndarray)


class _Device:
    used: list[int] = []

    def __init__(self, index: int) -> None:
        self.index = index

    def use(self) -> None:
        self.used.append(self.index)

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Cupy(ModuleType):
    """The module: NumPy's functions on the arrays above."""

    ndarray = ndarray

    def __init__(self, count: int = 1) -> None:
        super().__init__("cupy")
        self.synchronized = 0
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(getDeviceCount=lambda: count),
            Device=_Device,
            get_current_stream=lambda: SimpleNamespace(synchronize=self._synchronize),
        )

    def _synchronize(self) -> None:
        self.synchronized += 1

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        if isinstance(array, ndarray) and (dtype is None or dtype == array.dtype):
            return array
        return np.array(_plain(array), dtype=dtype).view(ndarray)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        function = getattr(np, name)

        def on_the_gpu(*args: Any, **kwargs: Any) -> Any:
            _refuse_plain(args, *kwargs.values())
            result = _pretend(function(*args, **kwargs))
            return result if kwargs.get("out") is None else kwargs["out"]

        return on_the_gpu


def install(monkeypatch: pytest.MonkeyPatch, count: int = 1) -> Cupy:
    """Let ``import cupy`` find the pretended one until the test ends."""
    cupy = Cupy(count)
    special = ModuleType("cupyx.scipy.special")
    special.erfc = scipy.special.erfc
    cupyx, inner = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    cupyx.scipy, inner.special = inner, special
    modules = {"cupy": cupy, "cupyx": cupyx, "cupyx.scipy": inner, special.__name__: special}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return cupy
