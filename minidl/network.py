"""A network: layers in a row over one flat parameter vector and one flat gradient vector."""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import Array, Device, get_device, to_numpy
from minidl.files import whole_file
from minidl.layers import Layer

FORMAT, FORMAT_VERSION = "minidl-network", 1


class WeightsError(ValueError):
    """A weights file that cannot be read or does not fit the network."""


class Network:
    """Layers in a row: y = f_L(… f_2(f_1(x))), and backward in reverse order.

    All parameters lie one after the other in ``theta`` ``(P,)`` and all their
    gradients in ``dtheta`` ``(P,)``; each layer's ``W``, ``b``, ``dW``, ``db``
    are views into them.  ``network["dense_2"].dW`` is the gradient of one
    layer after the last backward; its ``x``, ``z``, ``y`` are those of the last
    forward.

    Parameters
    ----------
    layers : the layers, first to last
    input_shape : shape of one example, without the batch axis, say ``(3, 32, 32)``
    rng : where the initial weights come from, a generator or its seed
    dtype : ``"float32"``, or ``"float64"`` for checking gradients
    device : see :func:`minidl.backend.get_device`

    Raises
    ------
    ValueError
        where a layer does not fit the one before it, or another type is asked for.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: int | tuple[int, ...],
        rng: np.random.Generator | int = 0,
        dtype: Any = "float32",
        device: str | Device = "cpu",
    ) -> None:
        self.layers = list(layers)
        self.input_shape = tuple(int(n) for n in np.atleast_1d(input_shape))
        self.dtype = np.dtype(dtype)
        self.device = get_device(device)
        if not self.layers:
            raise ValueError("Network: expected at least one layer, got none")
        if len({id(layer) for layer in self.layers}) < len(self.layers):
            raise ValueError("Network: a layer stands in it twice; make a new one for each place")
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"Network: expected dtype float32 or float64, got {self.dtype}")
        self._name_layers()
        self.shapes = self._fit_layers()  # output shape of each layer, without the batch axis

        P = sum(layer.size for layer in self.layers)
        self.theta: Array = self.device.xp.zeros(P, self.dtype)  # (P,)
        self.dtheta: Array = self.device.xp.zeros(P, self.dtype)  # (P,)
        rng = np.random.default_rng(rng)
        start = 0
        for layer in self.layers:
            stop = start + layer.size
            layer.bind(self.theta[start:stop], self.dtheta[start:stop])
            layer.initialize(rng)
            start = stop
        # Below the first layer with parameters there is nothing to learn, so no gradient either.
        self._first = next((i for i, layer in enumerate(self.layers) if layer.size), 0)

    def _name_layers(self) -> None:
        """dense_1, dense_2, … by class and position among its kind, where no name is given."""
        count: Counter[str] = Counter()
        for layer in self.layers:
            kind = type(layer).__name__.lower()
            count[kind] += 1
            layer.name = layer.name or f"{kind}_{count[kind]}"
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise ValueError(f"Network: expected layers with different names, got {names}")

    def _fit_layers(self) -> list[tuple[int, ...]]:
        shapes = []
        shape = self.input_shape
        for layer in self.layers:
            try:
                shape = layer.output_shape(shape)
            except ValueError as error:
                raise ValueError(f"Network: layer {layer.name} does not fit: {error}") from error
            shapes.append(shape)
        return shapes

    # -- forward, backward --------------------------------------------------------

    def forward(self, x: Array, training: bool = False) -> Array:
        """The output of the last layer for the batch ``x`` ``(N, *input_shape)``.

        The array is the last layer's own and lasts until the next forward.
        """
        if x.shape[1:] != self.input_shape or not len(x):
            raise ValueError(
                f"Network: expected input (N, {', '.join(map(str, self.input_shape))}) "
                f"with N of at least 1, got {x.shape}"
            )
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: Array, input_gradient: bool = False) -> Array | None:
        """Fill ``dtheta`` from ``dy`` = ∂L/∂y of the last forward, last layer to first.

        The gradient of the input is computed and returned only where asked for.
        """
        last = 0 if input_gradient else self._first
        upstream: Any = dy
        for layer in reversed(self.layers[last + 1 :]):
            upstream = layer.backward(upstream)
        return self.layers[last].backward(upstream, input_gradient)

    def predict(self, x: Array, batch_size: int = 256) -> np.ndarray:
        """The output for all of ``x`` ``(N, *input_shape)``, batch by batch, as a NumPy array."""
        if batch_size < 1:
            raise ValueError(f"predict: expected a batch_size of at least 1, got {batch_size}")
        y = np.empty((len(x), *self.shapes[-1]), self.dtype)
        for start in range(0, len(x), batch_size):
            batch = self.device.asarray(x[start : start + batch_size], self.dtype)
            y[start : start + batch_size] = to_numpy(self.forward(batch))
        return y

    # -- looking at it ----------------------------------------------------------------

    def __getitem__(self, name: str) -> Layer:
        """The layer called ``name``."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(
            f"Network: expected one of {', '.join(layer.name for layer in self.layers)}, "
            f"got {name!r}"
        )

    def parameters(self) -> Iterator[tuple[Layer, str, Array, Array]]:
        """``(layer, name, value, gradient)`` of every parameter, in the order of ``theta``."""
        for layer in self.layers:
            gradients = layer.gradients()
            for name, value in layer.parameters().items():
                yield layer, name, value, gradients[name]

    def state(self) -> list[Array]:
        """All arrays that training changes and inference reads, the network's own: θ."""
        return [self.theta]

    def summary(self) -> str:
        """A table of the layers, the shape each gives, and its number of parameters."""
        rows = [("input", "", str(("N", *self.input_shape)), "")]
        for layer, shape in zip(self.layers, self.shapes, strict=True):
            rows.append((layer.name, repr(layer), str(("N", *shape)), f"{layer.size:,}"))
        rows = [(a, b, c.replace("'", ""), d) for a, b, c, d in rows]
        rows = [("name", "layer", "output", "parameters"), *rows]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in rows
        ]
        rule = "-" * (sum(widths) + 6)
        total = f"{self.theta.size:,} parameters, {self.dtype}, on {self.device}"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])

    def __repr__(self) -> str:
        return f"Network({', '.join(map(repr, self.layers))})"

    # -- weights on disk ----------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to ``path`` (``.npz``), whole or not at all.

        The file holds one array per parameter, ``dense_1.W`` and so on, and a
        manifest in JSON; ``np.load(path)["dense_1.W"]`` reads one without minidl.
        """
        arrays: dict[str, Any] = {
            f"{la.name}.{name}": to_numpy(value) for la, name, value, _ in self.parameters()
        }
        manifest = {"format": FORMAT, "version": FORMAT_VERSION, "layers": self._manifest()}
        arrays["manifest"] = np.array(json.dumps(manifest))
        with whole_file(path, "wb") as file:
            np.savez(file, **arrays)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read parameters that :meth:`save` wrote for a network of the same layers.

        Values are rounded to this network's type.  The network is left as it
        was unless the whole file fits.

        Raises
        ------
        FileNotFoundError
            where there is no such file.
        WeightsError
            where it is not a weights file, is damaged, or is of another network.
        """
        path = Path(path)
        try:
            # np.load would hand a lone .npy or a text file to other readers
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise WeightsError(f"{path}: {broken} in it is damaged; use another copy")
            with np.load(path, allow_pickle=False) as file:
                manifest = json.loads(str(file["manifest"]))
                self._check_manifest(path, manifest)
                values = [
                    self._read(path, file, f"{layer.name}.{name}", value.shape)
                    for layer, name, value, _ in self.parameters()
                ]
        except (FileNotFoundError, IsADirectoryError, PermissionError, WeightsError):
            raise
        except Exception as error:  # zipfile, zlib, json, numpy: each has its own
            raise WeightsError(
                f"{path}: expected a weights file written by Network.save, "
                f"got something else or a damaged one ({type(error).__name__}: {error})"
            ) from error
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
            values = [self.device.asarray(value, self.dtype) for value in values]
        for (*_, parameter, _gradient), value in zip(self.parameters(), values, strict=True):
            parameter[...] = value

    def _manifest(self) -> list[list[Any]]:
        return [
            [
                layer.name,
                repr(layer),
                {name: list(v.shape) for name, v in layer.parameters().items()},
            ]
            for layer in self.layers
        ]

    def _check_manifest(self, path: Path, manifest: Any) -> None:
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise WeightsError(f"{path}: expected a manifest of format {FORMAT!r}, got another")
        if manifest.get("version") != FORMAT_VERSION:
            raise WeightsError(
                f"{path}: expected format version {FORMAT_VERSION}, got "
                f"{manifest.get('version')!r}; a newer minidl wrote it"
            )
        ours, theirs = self._manifest(), manifest.get("layers")
        if theirs != ours:
            raise WeightsError(
                f"{path}: holds the weights of another network\n"
                f"  expected {_one_line(ours)}\n  got      {_one_line(theirs)}"
            )

    @staticmethod
    def _read(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
        array = file[name]
        if array.shape != shape or array.dtype.kind != "f":
            raise WeightsError(
                f"{path}: expected {name} as floats {shape}, got {array.dtype} {array.shape}"
            )
        return array


def _one_line(layers: Any) -> str:
    """The layers of a manifest as one line of an error message."""
    try:
        return ", ".join(f"{name}: {layer}" for name, layer, _ in layers)
    except (TypeError, ValueError):
        return repr(layers)[:200]
