"""A stack of layers as one layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from minidl.backend import Array, checks
from minidl.layers._base import Layer
from minidl.layers._names import expect_free

Layers: TypeAlias = Sequence[Layer] | Mapping[str, Layer]  # first to last


class Sequential(Layer):
    """y = f_L(… f_2(f_1(x))).

    Backward runs them in reverse order: the dx of each is the dy of the one before it.

    Parameters
    ----------
    layers : the layers, first to last, as a list or as a mapping from names to layers
    """

    _shapes: Sequence[tuple[int, ...]] = ()  # once output_shape was called

    def __init__(self, layers: Layers) -> None:
        self.layers = checked_layers(type(self).__name__, layers)
        self.integer_input = self.layers[0].integer_input
        # Below the first layer with parameters there is nothing to learn.
        self._first = next((i for i, layer in enumerate(self.layers) if layer.size), 0)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        shapes = []
        shape = input_shape
        for layer in self.layers:
            try:
                shape = layer.output_shape(shape)
            except ValueError as error:
                raise ValueError(f"layer {layer.name} does not fit: {error}") from error
            shapes.append(shape)
        self._shapes = shapes
        return shape

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """The output shape of each layer, without the batch axis."""
        return self._shapes

    def check_tokens(self, x: Array) -> None:
        self.layers[0].check_tokens(x)

    def inner_shapes(self, depth: float = math.inf) -> Iterator[tuple[Layer, tuple[int, ...]]]:
        """Each layer with its output shape, followed by its inner layers, down to ``depth``."""
        for layer, shape in zip(self.layers, self._shapes, strict=True):
            yield layer, shape
            if depth > 1:
                for inside in [layer] if isinstance(layer, Sequential) else layer.layers:
                    if isinstance(inside, Sequential):
                        yield from inside.inner_shapes(depth - 1)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        for layer in self.layers:
            x = layer.forward(x, training)
        self.y = x
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        last = 0 if input_gradient else self._first
        upstream: Any = dy
        for layer in reversed(self.layers[last + 1 :]):
            layer.expect_dy(upstream)
            upstream = layer.backward(upstream)
        self.layers[last].expect_dy(upstream)
        return self.layers[last].backward(upstream, input_gradient)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


def checked_layers(owner: str, layers: Any) -> list[Layer]:
    """``layers`` as a list; raises ``ValueError`` unless it is at least one layer."""
    if isinstance(layers, Mapping):
        found = checked_layers(owner, list(layers.values()))
        for name, layer in zip(layers, found, strict=True):
            layer.name = _checked_name(owner, name)
        return found
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise ValueError(
            f"{owner}: expected layers in a list, first to last, got {checks.describe(layers)}"
        )
    if not layers:
        raise ValueError(f"{owner}: expected at least one layer, got none")
    for place, layer in enumerate(layers):
        checks.instance(owner, f"layers[{place}]", layer, Layer)
        expect_free(owner, layer)
    return list(layers)


def _checked_name(owner: str, name: Any) -> str:
    if not isinstance(name, str) or not name or "." in name:
        raise ValueError(
            f"{owner}: expected the name of a layer to be a string without a dot, "
            f"got {checks.describe(name)}"
        )
    return name
