"""A network: a stack of layers over one flat parameter vector and one flat gradient vector."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import numpy as np

from minidl._predict import predict
from minidl._summary import summary
from minidl.backend import Array, Device, address, checks, get_device, hints
from minidl.layers import Layer, Sequential
from minidl.layers._attributes import write_into
from minidl.layers._names import name_layers
from minidl.layers.self_attention import connect
from minidl.layers.sequential import Layers
from minidl.storage import weights
from minidl.storage.weights import WeightsError

__all__ = ["Network", "WeightsError"]

VECTORS = ("theta", "dtheta", "state")
FIXED = ("layers", "input_shape", "shapes", "dtype", "device")


class Network(Sequential):
    """A stack of layers: y = f_L(… f_2(f_1(x))), and backward in reverse order.

    All parameters lie one after the other in ``theta`` ``(P,)`` and all their
    gradients in ``dtheta`` ``(P,)``; each layer's ``W``, ``b``, ``dW``, ``db``
    are views into them.  ``network["dense_2"].dW`` is the gradient of one
    layer after the last backward pass; its ``x``, ``z``, ``y`` are those of the last
    forward pass.  What layers keep without learning it, such as the running mean of BatchNorm,
    lies in ``state`` ``(S,)`` in the same way.  What is assigned to any of these is written into
    the vectors.

    A network is a value: :meth:`copy`, ``copy.deepcopy`` and ``pickle`` give one of its own, which
    computes and learns the same.  A layer belongs to one network.

    Parameters
    ----------
    layers : the layers, first to last, as a list or as a mapping from names to layers:
        ``{"hidden": Dense(3, 5, "relu"), "head": Dense(5, 2)}``
    input_shape : shape of one example, without the batch axis, for example ``(3, 32, 32)``; if
        the first layer takes tokens, ``(T,)`` with the length of the longest sentence
    rng : source of the initial weights, a generator or its seed
    dtype : ``"float32"``, or ``"float64"`` for checking gradients
    device : see :func:`minidl.backend.get_device`

    Raises
    ------
    ValueError
        if a layer does not match the one before it, or ``dtype`` is another type.
    DeviceError
        if the device is not available, or has too little memory for θ and ∇θ.
    """

    theta: Array  # (P,)
    dtheta: Array  # (P,)
    state: Array  # type: ignore[assignment]  # (S,)

    def __init__(
        self,
        layers: Layers,
        input_shape: int | tuple[int, ...],
        rng: np.random.Generator | int = 0,
        dtype: Any = "float32",
        device: str | Device = "cpu",
    ) -> None:
        sizes = input_shape if isinstance(input_shape, tuple | list) else (input_shape,)
        self.input_shape = tuple(
            checks.integer("Network", "each size of input_shape", n) for n in sizes
        )
        self.dtype = checks.float_type("Network", dtype)
        self.device = get_device(device)
        generator = checks.generator("Network", rng)
        super().__init__(layers)
        ids = [id(layer) for layer in self.walk()]
        if len(set(ids)) < len(ids):
            raise ValueError("Network: a layer is in it twice; make a new one for each place")
        name_layers(self.layers)
        try:
            self.output_shape(self.input_shape)
            connect(self.walk())
        except ValueError as error:
            raise ValueError(f"Network: {error}") from error

        P, S, xp = self.size, self.state_size, self.device.xp
        self.device.require_memory(2 * P * self.dtype.itemsize, f"a network of {P:,} parameters")
        with self.device.enough_memory():
            self.bind(xp.zeros(P, self.dtype), xp.zeros(P, self.dtype), xp.zeros(S, self.dtype))
        self.initialize(generator)

    def bind(self, theta: Array, dtheta: Array, state: Array) -> None:
        """Let these be the three vectors, of which each layer's arrays are views."""
        vars(self).update(zip(VECTORS, (theta, dtheta, state), strict=True))
        super().bind(theta, dtheta, state)
        for layer in self.walk():
            layer._in_network = True
        self.is_built = True
        self._views = frozenset((*VECTORS, *FIXED))

    # -- a network is a value -----------------------------------------------------

    def copy(self) -> Network:
        """A network of its own with the same layers, parameters, state and random generators."""
        return copy.deepcopy(self)

    __copy__ = copy

    def __getstate__(self) -> dict[str, Any]:
        """Without the vectors: the layers' arrays are their parts."""
        return {k: v for k, v in vars(self).items() if k not in VECTORS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        arrays: dict[str, list[Array]] = {name: [] for name in VECTORS}
        for layer in self.walk():
            for name, some in zip(VECTORS, _parts(layer), strict=True):
                arrays[name] += [array.reshape(-1) for array in some.values()]
        xp = self.device.xp
        self.bind(*(xp.concatenate([xp.zeros(0, self.dtype), *a]) for a in arrays.values()))

    def _write(self, name: str, value: Any) -> None:
        if name in FIXED:
            raise AttributeError(
                f"Network: {name} is fixed when the network is made; make a new one, of copies of "
                "its layers (copy.deepcopy) if these should stay"
            )
        write_into("Network", name, getattr(self, name), value)

    def expect_views(self, owner: str) -> None:
        """Raise ``RuntimeError`` unless the arrays of the layers are all that the vectors have.

        This is so unless somebody has replaced layers or arrays behind the network's back; what
        is not part of θ would not learn.
        """
        vectors = [getattr(self, name) for name in VECTORS]
        ends = [address(vector) for vector in vectors]
        for layer in self.walk():
            for i, arrays in enumerate(_parts(layer)):
                for name, array in arrays.items():
                    if array.size and address(array) != ends[i]:
                        raise RuntimeError(
                            f"{owner}: {layer.name or layer}.{name} is no longer part of the "
                            f"network's {VECTORS[i]}; make a new network of copies of its layers"
                        )
                    ends[i] += array.nbytes
        if ends != [address(vector) + vector.nbytes for vector in vectors]:
            raise RuntimeError(
                f"{owner}: the network has lost a layer, whose parameters are still in theta; make "
                "a new network of copies of its layers"
            )

    # -- forward, backward --------------------------------------------------------

    def __call__(self, x: Array, training: bool = False) -> Array:
        """The same as :meth:`forward`, which checks ``x``."""
        return self.forward(x, training)

    def forward(self, x: Array, training: bool = False) -> Array:
        """The output of the last layer for the batch ``x`` ``(N, *input_shape)``."""
        is_like_theta = type(x) is type(self.theta) and x.dtype == self.dtype
        fits = is_like_theta and x.shape[1:] == self.input_shape and x.size
        if self.integer_input or not fits:
            self._check_input(x, training)
        return super().forward(x, training)

    def _check_input(self, x: Array, training: bool) -> None:
        """Raise unless ``x`` are sentences, or with what is wrong."""
        self.expect_batch(x)
        if not self.integer_input:
            checks.same_dtype_and_device("Network", "x", x, self.theta)
            return
        checks.integers("Network", "x", x)
        checks.same_device("Network", "x", x, self.theta)
        if not (training and self.device.is_cuda):  # a recorded step cannot look at numbers
            super().check_tokens(x)

    def backward(self, dy: Array, input_gradient: bool = False) -> Array | None:
        """Compute ``dtheta`` from ``dy`` = ∂L/∂y of the last forward pass, last layer to first.

        The gradient of the input is computed and returned only on request.
        """
        return super().backward(dy, input_gradient)

    def check_tokens(self, x: Array) -> None:
        """Raise ``ValueError`` if ``x`` has tokens that the first layer does not know."""
        if self.integer_input:
            checks.integers("Network", "x", x)
            super().check_tokens(x)

    def set_gradient_buffer(self, dtheta: Array) -> None:
        """Store ∇θ, and each layer's view of it, in ``dtheta`` ``(P,)`` from now on."""
        self.bind(self.theta, dtheta, self.state)

    def accepts_shape(self, shape: tuple[int, ...]) -> bool:
        """Whether an example may have this shape: the input shape, or a shorter sentence."""
        if not self.integer_input:
            return shape == self.input_shape
        return len(shape) == len(self.input_shape) and 0 < shape[0] <= self.input_shape[0]

    def expect_batch(self, x: Array, least: int = 1) -> None:
        """Raise ``ValueError`` unless x is a batch of at least so many examples."""
        checks.array("Network", "x", x)
        if not self.accepts_shape(x.shape[1:]) or len(x) < least:
            shape = ", ".join(map(str, self.input_shape))
            shorter = ", or shorter," if self.integer_input else ""
            hint = hints.shape_hint("x", x.shape, self.input_shape)
            some = " with N of at least 1" if least else ""
            raise ValueError(
                f"Network: expected input (N, {shape}){shorter}{some}, got {x.shape}{hint}"
            )

    def predict(self, x: Array, batch_size: int = 256) -> np.ndarray:
        """The output for all of ``x`` ``(N, *input_shape)``, batch by batch, as a NumPy array.

        Bytes are divided by 255, as in :class:`minidl.data.Examples`; floating-point numbers are
        converted to the network's type; tokens stay integers.  N may be 0.
        """
        return predict(self, x, batch_size)

    # -- inspection -------------------------------------------------------------------

    def walk(self) -> Iterator[Layer]:
        """Every layer in the order of the forward pass, inner layers before the outer one."""
        for layer in self.layers:
            yield from layer.walk()

    def __getitem__(self, name: str) -> Layer:
        """The layer called ``name``, like ``"dense_2"`` or ``"residual_1.branch.dense_1"``."""
        layers = {layer.name: layer for layer in self.walk()}
        if name not in layers:
            closest = get_close_matches(str(name), layers, n=10, cutoff=0)
            found = ", ".join(sorted(closest, key=list(layers).index))
            raise KeyError(f"Network: expected one of {found}, got {name!r}")
        return layers[name]

    def parameters(self) -> Iterator[tuple[Layer, str, Array, Array]]:  # type: ignore[override]
        """``(layer, name, value, gradient)`` of every parameter, in the order of ``theta``."""
        for layer in self.walk():
            gradients = layer.gradients()
            for name, value in layer.parameters().items():
                yield layer, name, value, gradients[name]

    def with_shapes(
        self, depth: int | None = None, input_shape: tuple[int, ...] | None = None
    ) -> list[tuple[Layer, tuple[int, ...]]]:
        """Each layer with its output shape for one example.

        Inner layers follow the outer one, down to ``depth`` if it is given.
        ``input_shape`` may be that of a shorter sentence.
        """
        deepest = math.inf if depth is None else checks.integer("Network", "depth", depth)
        if input_shape is None:
            return list(self.inner_shapes(deepest))
        self.output_shape(input_shape)
        found = list(self.inner_shapes(deepest))
        self.output_shape(self.input_shape)  # what the summary shows
        return found

    def summary(self, depth: int | None = None) -> str:
        """A table of the layers, their output shapes, and their numbers of parameters.

        Inner layers follow the outer one, whose number includes theirs, down to ``depth`` if
        it is given.  ``summary(depth=2)`` shows a ResNet's stages and blocks.
        """
        return summary(self, depth)

    # -- weights on disk ----------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters and the state to ``path`` (``.npz``), completely or not at all.

        The file holds one array for each, ``dense_1.W``, ``batchnorm_1.running_mean``
        and so on, and a manifest in JSON; ``np.load(path)["dense_1.W"]`` reads one array
        without minidl.
        """
        weights.save(path, list(self.walk()))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read parameters and state that :meth:`save` wrote for a network of the same layers.

        Values are rounded to this network's type.  Unless the whole file matches, the
        network is left unchanged.  No more is read than this network needs,
        whatever the file claims.

        Raises
        ------
        OSError
            if there is no such file (FileNotFoundError), or it cannot be read.
        WeightsError
            if it is not a regular file, not a weights file, damaged, or of another network.
        """
        found = weights.load(path, list(self.walk()))
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
            fitting = [(array, self.device.asarray(v, self.dtype)) for array, v in found]
        for array, values in fitting:
            array[...] = values


def _parts(layer: Layer) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """The layer's own arrays in each of the vectors."""
    return layer.parameters(), layer.gradients(), layer.state()
