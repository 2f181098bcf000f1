"""The weights of a network in one file: one array per parameter, and a manifest of the layers.

Layers are passed as a list, inner ones before the outer one; each has a
``name``, ``parameters()``, ``state()`` and their shapes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from minidl._printable import printable
from minidl.backend import Array, to_numpy
from minidl.storage.files import NotAPlainFile, open_to_read, whole_file
from minidl.storage.npz import NpzError, NpzReader

FORMAT, FORMAT_VERSION = "minidl-network", 1
MANIFEST = 1_000_000  # characters at most; a layer takes about a hundred
BEGINNING = 300  # bytes, which tell known formats apart
# In the names of layers and in what is printed of them: now, and in files of version 0.2.
FORMER = {
    "sequential_": "chain_",
    "activationlayer_": "activate_",
    "Sequential(": "Chain(",
    "ActivationLayer(": "Activate(",
}
# What to do with a file of each format where another one is expected.
_HINTS = {
    "PyTorch": (
        "in PyTorch, safetensors.torch.save_file(model.state_dict(), path) writes a file that "
        "minidl.models.load_torchvision or minidl.models.pretrained reads; for other networks "
        "copy each array, as in network['dense_1'].W[...] = weight.T.numpy()"
    ),
    "safetensors": "minidl.models.load_torchvision and minidl.models.pretrained read those",
    "minidl": "Network.load reads those",
}


class WeightsError(ValueError):
    """A weights file cannot be read or does not match the network."""


def save(path: str | os.PathLike[str], layers: Sequence[Any]) -> None:
    """Write parameters and state to ``path``, completely or not at all."""
    arrays: dict[str, Any] = {name: to_numpy(value) for name, value in _saved(layers)}
    manifest = {"format": FORMAT, "version": FORMAT_VERSION, "layers": _manifest(layers)}
    arrays["manifest"] = np.array(json.dumps(manifest))
    with whole_file(path, "wb") as file:
        np.savez(file, **arrays)


def load(path: str | os.PathLike[str], layers: Sequence[Any]) -> list[tuple[Array, np.ndarray]]:
    """Each array of the layers, with its values from the file; nothing is changed.

    Raises
    ------
    OSError, WeightsError
        as in :meth:`minidl.Network.load`.
    """
    if not isinstance(path, str | os.PathLike):
        raise WeightsError(
            f"expected the path of a weights file, got {type(path).__name__}; {_HINTS['PyTorch']}"
        )
    path = Path(path)
    try:
        with open_to_read(path) as file:
            expect_format(file, "minidl", "a weights file, as Network.save writes it")
            values = _read(NpzReader(file), layers)
    except NotAPlainFile as error:
        raise WeightsError(str(error)) from error
    except NpzError as error:
        raise WeightsError(
            f"{path}: expected a complete weights file, as Network.save writes it: {error}; "
            "use another copy"
        ) from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return [(array, value) for (_, array), value in zip(_saved(layers), values, strict=True)]


def expect_format(file: IO[bytes], expected: str, what: str) -> None:
    """Raise ``WeightsError`` if the file, which is at its beginning, has another known format."""
    beginning = file.read(BEGINNING)
    file.seek(0)
    if (beginning[:4] == b"PK\3\4" and b"data.pkl" in beginning) or beginning[:2] == b"\x80\2":
        found = "PyTorch"  # which has pickles in a zip archive or, before version 1.6, alone
    elif beginning[:4] == b"PK\3\4" and b".npy" in beginning:
        found = "minidl"
    elif beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") < 1 << 32:
        found = "safetensors"
    else:
        return
    if found != expected:
        raise WeightsError(f"expected {what}, got a {found} file; {_HINTS[found]}")


def _saved(layers: Sequence[Any]) -> Iterator[tuple[str, Array]]:
    """``("dense_1.W", W)`` and so on: every parameter and every array of the state."""
    for layer in layers:
        for name, value in (layer.parameters() | layer.state()).items():
            yield f"{layer.name}.{name}", value


def _manifest(layers: Sequence[Any]) -> list[list[Any]]:
    return [
        [
            layer.name,
            repr(layer),
            {name: list(shape) for name, shape in _shapes(layer).items()},
        ]
        for layer in layers
    ]


def _shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    return layer.parameter_shapes() | layer.state_shapes()


def _read(file: NpzReader, layers: Sequence[Any]) -> list[np.ndarray]:
    """Everything that is saved, with the right shapes, if the file belongs to these layers."""
    is_former = _check_manifest(_json(file.text("manifest", MANIFEST)), _manifest(layers))
    shapes = {_former(name) if is_former else name: v.shape for name, v in _saved(layers)}
    if surplus := file.names - {"manifest", *shapes}:
        raise NpzError(f"expected only the network's arrays, got {min(surplus)!r} as well")
    return [file.floats(name, shape) for name, shape in shapes.items()]


def _check_manifest(manifest: Any, ours: list[list[Any]]) -> bool:
    """Raise ``WeightsError`` unless it is ours; return whether with the names of version 0.2."""
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise WeightsError(f"expected a manifest of format {FORMAT!r}, got another")
    if manifest.get("version") != FORMAT_VERSION:
        raise WeightsError(
            f"expected format version {FORMAT_VERSION}, got "
            f"{manifest.get('version')!r:.100}; a newer minidl wrote it"
        )
    theirs = manifest.get("layers")
    if theirs not in (ours, json.loads(_former(json.dumps(ours)))):
        raise WeightsError(
            "holds the weights of another network\n"
            f"  expected {_one_line(ours)}\n  got      {_one_line(theirs)}"
        )
    return theirs != ours


def _former(text: str) -> str:
    for now, former in FORMER.items():
        text = text.replace(now, former)
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NpzError(f"expected a manifest in JSON ({error})") from error


def _one_line(layers: Any) -> str:
    """The layers of a manifest as one line of an error message, whatever is in them."""
    try:
        text = ", ".join(f"{name}: {layer}" for name, layer, _ in layers)
    except (TypeError, ValueError, RecursionError):
        text = f"not a list of layers, but a {type(layers).__name__}"
    return printable(text, limit=2000)
