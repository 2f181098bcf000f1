"""The contract of every layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from minidl._renamed import OF_LAYERS, take_expect_shape, take_old_names
from minidl.backend import Array, Device, Random, checks, get_device
from minidl.layers._attributes import FOREIGN, write_into
from minidl.layers._names import expect_free, name_layers

LayerT = TypeVar("LayerT", bound="Layer")


class Layer(Random):
    """One step of a network: y = forward(x), dx = backward(dy).

    To write your own layer:

    - ``forward(x, training)`` keeps what ``backward`` reads, and ``y`` in ``self.y``, never
      changes ``x``, and returns ``y``.  The batch size may differ from call to call.
    - ``backward(dy)`` *overwrites* the gradients of the parameters, never changes
      ``dy``, may be called twice, and returns ``dx``, with the shape and type of ``x``.
      It returns the gradient of the last forward pass, whether in training or in inference.
      With ``input_gradient=False``, only the gradients of the parameters are needed.
    - ``parameter_shapes()`` names the parameters, for example ``{"W": (3, 2)}``; the
      layer then has the arrays ``W`` and ``dW``, views into the two flat
      vectors of its network.  ``initialize(rng)`` fills them.  What is assigned to them is
      written into these vectors.
    - ``output_shape(input_shape)`` returns the output shape, without the batch axis.
    - ``state_shapes()`` names the arrays that are saved with the network although they are
      not learned (the running mean of BatchNorm): views into
      a third flat vector, which only ``forward`` in training changes.
    - A layer made of layers lists them in ``layers``, in the order of its forward pass.
    - A layer whose ``x`` are integers, such as tokens, sets ``integer_input`` and
      returns None as their gradient.

    ``forward`` and ``backward`` check nothing: inside a network, the shapes are settled
    when it is built.  From outside, call the layer itself, which checks its input::

        layer = Dense(3, 2, "tanh").build(rng=0, dtype="float64")
        y = layer(x)

    A layer belongs to one network.  A copy of it (``copy.deepcopy``, ``pickle``) belongs to none,
    and has parameters of its own.
    """

    is_built: bool = False  # whether the parameters exist
    _views: frozenset[str] = frozenset()  # attributes that are parts of the vectors
    _foreign: dict[str, str] = FOREIGN  # names that are refused, with the way out
    _in_network: bool = False  # whether they are part of a network's vectors
    name: str = ""  # set by the network: dense_1, dense_2, …
    _numbered: str = ""  # the name, if it was given like this: another network gives its own
    layers: Sequence[Layer] = ()  # the inner layers, if it is made of layers
    flat_names: bool = False  # whether inner layers are named as if they were outside
    integer_input: bool = False  # whether x are integers, not of the type of the parameters
    x: Array  # input of the last forward
    y: Array  # output of the last forward

    def __init_subclass__(cls) -> None:
        take_old_names(cls, OF_LAYERS)
        take_expect_shape(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        """An assignment takes effect, or is refused.

        A W that is another array than that in θ would never learn, so ``layer.W = w`` is
        ``layer.W[...] = w``.
        """
        if name in self._views:
            self._write(name, value)
        elif name in self._foreign and self.is_built and not hasattr(self, name):
            raise AttributeError(
                f"{self!r}: has no {name}, so nothing would read it; {self._foreign[name]}"
            )
        else:
            object.__setattr__(self, name, value)

    def _write(self, name: str, value: Any) -> None:
        write_into(self.name or self, name, getattr(self, name), value)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order of the flat vector."""
        return {}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each array that is kept and saved, but not learned."""
        return {}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one example's output; raises ``ValueError`` if the input does not fit."""
        return input_shape

    def check_tokens(self, x: Array) -> None:
        """Raise ``ValueError`` if integers of ``x`` are out of range; reads all of them."""

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the parameters from ``rng``, including those of inner layers."""
        for layer in self.layers:
            layer.initialize(rng)

    def __call__(self, x: Array, training: bool = False) -> Array:
        """Check ``x``, then return ``forward(x, training)``.

        Raises
        ------
        RuntimeError
            if the layer has no parameters yet.
        ValueError
            if ``x`` is not an array, has a shape that the layer does not accept, or contains
            integers out of range.
        TypeError
            if ``x`` has another type than the parameters, or is on another device.
        """
        if self.integer_input:
            checks.integers(self, "x", x)
        else:
            checks.floats(self, "x", x)
        if not x.ndim:
            raise ValueError(f"{self!r}: expected a batch (N, …), got a single number")
        self.output_shape(x.shape[1:])
        for layer in self.walk():
            for value in layer.parameters().values():
                if self.integer_input:
                    checks.same_device(self, "x", x, value)
                else:
                    checks.same_dtype_and_device(self, "x", x, value)
        if self.integer_input:
            self.check_tokens(x)
        return self.forward(x, training)

    def forward(self, x: Array, training: bool = False) -> Array:
        """y for the batch ``x``; ``training`` matters if training and inference differ."""
        raise NotImplementedError

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        """dx = ∂loss/∂x from dy = ∂loss/∂y; ``None`` if ``input_gradient`` is false."""
        raise NotImplementedError

    # -- parameters as views ------------------------------------------------

    def walk(self) -> Iterator[Layer]:
        """The inner layers, depth first, and then the layer itself."""
        for layer in self.layers:
            yield from layer.walk()
        yield self

    @property
    def size(self) -> int:
        """The number of parameters, including those of inner layers."""
        return sum(_count(layer.parameter_shapes()) for layer in self.walk())

    @property
    def state_size(self) -> int:
        """The number of entries of the state, including that of inner layers."""
        return sum(_count(layer.state_shapes()) for layer in self.walk())

    def bind(self, theta: Array, dtheta: Array, state: Array) -> None:
        """Make ``W``, ``dW`` and the arrays of the state views into three flat vectors.

        The first two are ``(size,)``, the third is ``(state_size,)``.
        """
        p = s = 0
        for layer in self.walk():
            views: dict[str, Array] = {}
            for name, shape in layer.parameter_shapes().items():
                end = p + math.prod(shape)
                views[name] = theta[p:end].reshape(shape)
                views["d" + name] = dtheta[p:end].reshape(shape)
                p = end
            for name, shape in layer.state_shapes().items():
                end = s + math.prod(shape)
                views[name] = state[s:end].reshape(shape)
                s = end
            layer._views = frozenset()  # those of before are replaced, not written into
            for name, view in views.items():
                setattr(layer, name, view)
            layer._views = frozenset(views)
            layer.is_built = True

    def build(
        self: LayerT,
        rng: np.random.Generator | int = 0,
        dtype: Any = np.float32,
        device: str | Device = "cpu",
    ) -> LayerT:
        """Give the layer its own flat vectors and draw its parameters, to use it by itself."""
        expect_free(repr(self), self)
        xp = get_device(device).xp
        dtype = checks.float_type(self, dtype)
        generator = checks.generator(self, rng)
        get_device(device).require_memory(2 * self.size * dtype.itemsize, repr(self))
        sizes = (self.size, self.size, self.state_size)
        self.bind(*(xp.zeros(size, dtype) for size in sizes))
        name_layers(self.layers)
        self.initialize(generator)
        return self

    def parameters(self) -> dict[str, Array]:
        """The layer's own parameters by name: ``{"W": W, "b": b}``."""
        return {name: self._bound(name) for name in self.parameter_shapes()}

    def gradients(self) -> dict[str, Array]:
        """The gradients of the last backward pass by parameter: ``{"W": dW, …}``."""
        return {name: self._bound("d" + name) for name in self.parameter_shapes()}

    def state(self) -> dict[str, Array]:
        """The layer's own state by name: ``{"running_mean": …}``."""
        return {name: self._bound(name) for name in self.state_shapes()}

    # -- copies ---------------------------------------------------------------

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The end of a copy and of unpickling: a layer of its own, until its network binds it."""
        vars(self).update(state)
        self._in_network = False

    def __copy__(self: LayerT) -> LayerT:
        return copy.deepcopy(self)  # two layers never share a parameter

    # -- errors ---------------------------------------------------------------

    def _bound(self, name: str) -> Array:
        try:
            return getattr(self, name)
        except AttributeError:
            raise RuntimeError(
                f"{self!r}: has no {name} yet; call build(rng), or make it part of a Network"
            ) from None

    def expect_dy(self, dy: Array) -> None:
        """Raise unless ``dy`` has the shape of the output of the last forward pass."""
        y = getattr(self, "y", None)
        if type(dy) is type(y) and dy.shape == y.shape and dy.dtype == y.dtype:
            return
        if y is None:
            raise RuntimeError(
                f"{self!r}: backward before forward, or after one that does not keep what it "
                "returns in self.y; call forward(x) first"
            )
        checks.array(self, "dy", dy)
        if dy.shape != y.shape:
            raise ValueError(
                f"{self!r}: expected dy {y.shape} like the last output, got {dy.shape}"
            )
        checks.same_dtype_and_device(self, "dy", dy, y)

    def misfit(self, expected: str, shape: tuple[int, ...], hint: str = "") -> ValueError:
        """The error for examples of this shape where ``"(N, 3)"`` or the like is expected."""
        got = ", ".join(map(str, ("N", *shape))) + "," * (not shape)
        hint = f"; {hint}" if hint else ""
        return ValueError(f"{self!r}: expected input {expected}, got ({got}){hint}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _count(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
