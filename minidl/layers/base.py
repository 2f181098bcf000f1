"""The contract that every layer keeps."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from minidl.backend import Array, Device, Workspace, get_device, namespace

LayerT = TypeVar("LayerT", bound="Layer")


class Layer(Workspace):
    """One step of a network: y = forward(x), dx = backward(dy).

    To write a layer of one's own:

    - ``forward(x, training)`` keeps what ``backward`` reads and returns ``y``.
    - ``backward(dy)`` *overwrites* the gradients of the parameters, never
      changes ``dy``, may be called twice, and returns ``dx``.
    - ``parameter_shapes()`` names the parameters, say ``{"W": (3, 2)}``; the
      layer then has the arrays ``W`` and ``dW``, views into the two flat
      vectors of its network.  ``initialize(rng)`` fills them.
    - ``output_shape(input_shape)`` says what comes out, without the batch axis.

    The arrays that ``forward`` and ``backward`` return are the layer's own and
    last until it is called again.  A layer works outside any network too::

        layer = Dense(3, 2, "tanh").build(rng=0, dtype="float64")
        y = layer.forward(x)
    """

    is_built: bool = False  # whether the parameters exist
    name: str = ""  # set by the network: dense_1, dense_2, …
    rng: np.random.Generator | None = None  # of a layer that draws in every step
    drawn: bool = False  # whether it has drawn for the coming step
    x: Array  # input of the last forward
    y: Array  # output of the last forward

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order of the flat vector."""
        return {}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one example's output; raises ``ValueError`` where the input does not fit."""
        return input_shape

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the parameters from ``rng``."""

    def draw(self) -> None:
        """Draw the random numbers of the coming training step, for a batch of the last size.

        A layer with ``rng`` does so in ``forward`` by itself, unless it was done before:
        a step that is replayed on a GPU cannot draw on the CPU.
        """

    def forward(self, x: Array, training: bool = False) -> Array:
        """y for the batch ``x``; ``training`` where learning and inference differ."""
        raise NotImplementedError

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        """dx = ∂loss/∂x from dy = ∂loss/∂y; ``None`` where ``input_gradient`` is false."""
        raise NotImplementedError

    # -- parameters as views ------------------------------------------------

    @property
    def size(self) -> int:
        """How many numbers the parameters are."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())

    def bind(self, theta: Array, dtheta: Array) -> None:
        """Make ``W``, … views into ``theta`` and ``dW``, … into ``dtheta``, both ``(size,)``."""
        start = 0
        for name, shape in self.parameter_shapes().items():
            stop = start + math.prod(shape)
            setattr(self, name, theta[start:stop].reshape(shape))
            setattr(self, "d" + name, dtheta[start:stop].reshape(shape))
            start = stop
        self.is_built = True

    def build(
        self: LayerT,
        rng: np.random.Generator | int = 0,
        dtype: Any = np.float32,
        device: str | Device = "cpu",
    ) -> LayerT:
        """Give the layer its own two vectors and draw its parameters, to use it on its own."""
        xp = get_device(device).xp
        self.bind(xp.zeros(self.size, dtype), xp.zeros(self.size, dtype))
        self.initialize(np.random.default_rng(rng))
        return self

    def parameters(self) -> dict[str, Array]:
        """The parameters by name: ``{"W": W, "b": b}``."""
        return {name: self._bound(name) for name in self.parameter_shapes()}

    def gradients(self) -> dict[str, Array]:
        """The gradients of the last backward by the name of their parameter: ``{"W": dW, …}``."""
        return {name: self._bound("d" + name) for name in self.parameter_shapes()}

    # -- errors ---------------------------------------------------------------

    def _bound(self, name: str) -> Array:
        try:
            return getattr(self, name)
        except AttributeError:
            raise RuntimeError(
                f"{self!r}: has no {name} yet; call build(rng), or make it part of a Network"
            ) from None

    def _expect_like(self, what: str, array: Array, like: Array) -> None:
        """Raise unless ``array`` has the type of ``like`` and lies on the same device."""
        if type(array) is not type(like):
            here, there = (namespace(a).__name__ for a in (like, array))
            raise TypeError(
                f"{self!r}: expected {what} as a {here} array, got {type(array).__name__} "
                f"({there}); move it with device.asarray({what})"
            )
        if array.dtype != like.dtype:
            raise TypeError(
                f"{self!r}: expected {what} of type {like.dtype}, got {array.dtype}; convert it "
                f"with {what}.astype({like.dtype.name!r}), or build with dtype={array.dtype.name!r}"
            )

    def _expect_dy(self, dy: Array) -> None:
        """Raise unless ``dy`` fits the output of the last forward."""
        if not hasattr(self, "y"):
            raise RuntimeError(f"{self!r}: backward before forward; call forward(x) first")
        if dy.shape != self.y.shape:
            raise ValueError(
                f"{self!r}: expected dy {self.y.shape} like the last output, got {dy.shape}"
            )
        self._expect_like("dy", dy, self.y)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
