"""Arrays by name in a safetensors file, as other frameworks write and read it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from minidl._printable import printable
from minidl.storage.files import NotAPlainFile, open_to_read, whole_file
from minidl.storage.weights import WeightsError, expect_format

TYPES: dict[str, np.dtype] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}


def save(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays to ``path``, completely or not at all."""
    contents = _safetensors().numpy.save({n: np.asarray(a, order="C") for n, a in arrays.items()})
    with whole_file(path, "wb") as file:
        file.write(contents)


def load(
    path: str | os.PathLike[str],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype,
    ignored: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """The arrays with these names and shapes, and a type that ``dtype`` can hold to the bit.

    Names in ``ignored`` may be in the file; they are not read.

    Raises
    ------
    OSError
        if there is no such file (FileNotFoundError), or it cannot be read.
    WeightsError
        if it is not a regular file or not a safetensors file, is damaged, or has other names,
        shapes or types.
    ImportError
        if the package safetensors is not installed.
    """
    safetensors = _safetensors()
    try:
        with open_to_read(path) as file:
            expect_format(file, "safetensors", "a safetensors file")
        with safetensors.safe_open(path, framework="numpy") as file:
            _check_names(set(file.keys()) - set(ignored), set(shapes))
            for name, shape in shapes.items():
                _check(name, file.get_slice(name), shape, dtype)
            return {name: file.get_tensor(name) for name in shapes}
    except NotAPlainFile as error:
        raise WeightsError(str(error)) from error
    except safetensors.SafetensorError as error:
        raise WeightsError(
            f"{path}: expected a complete safetensors file: {printable(str(error), 200)}; "
            "use another copy"
        ) from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def _safetensors() -> ModuleType:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "safetensors files need the package safetensors: pip install 'minidl[weights]'"
        ) from error
    return safetensors


def _check_names(found: set[str], expected: set[str]) -> None:
    if missing := expected - found:
        raise WeightsError(
            f"expected {_first(missing)} in it, found none: it has the weights of another network"
        )
    if surplus := found - expected:
        raise WeightsError(f"got {_first(surplus)}, which the network does not have")


def _first(names: set[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return printable(min(names), 200) + more


def _check(name: str, found: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise unless the array is as expected; only its header has been read."""
    kind, theirs = found.get_dtype(), tuple(found.get_shape())
    if theirs != shape:
        raise WeightsError(f"expected {name} of shape {shape}, got {theirs}")
    if kind not in TYPES or not np.can_cast(TYPES[kind], dtype):
        raise WeightsError(
            f"expected {name} of a type that {dtype} can represent exactly, got {kind}; "
            "convert the file, or build the network with dtype='float64'"
        )
