"""The point at which something is checked: away from initial values, and restored afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend import Array, Device, checks, is_array, namespace, to_numpy
from minidl.layers import Layer

MOVE = 0.02  # how far an input is moved, in standard deviations of a normal draw
FACTORS = ((-1.5, 1.5), (0.5, 1.5))  # by which a parameter is multiplied
STEPS = 3  # forward passes in training that move the state


@contextmanager
def put_back(layer: Any) -> Iterator[None]:
    """Restore parameters, state and generators of all inner layers at the end, in any case."""
    parts = list(layer.walk())
    arrays = [a for part in parts for a in (*part.parameters().values(), *part.state().values())]
    kept = [array.copy() for array in arrays]
    drawn = [(bits, bits.state) for bits in generators(layer)]
    try:
        yield
    finally:
        for array, values in zip(arrays, kept, strict=True):
            array[...] = values
        for bits, state in drawn:
            bits.state = state


def float_point(owner: str, name: str, x: Any, rng: np.random.Generator, device: Device) -> Array:
    """``x`` itself, if it is finite and float64, or drawn if it is a shape."""
    if isinstance(x, tuple):
        shape = tuple(checks.whole(owner, f"each size of {name}", n) for n in x)
        x = device.asarray(rng.standard_normal(shape))
    if getattr(x, "dtype", None) != np.float64 or not is_array(x):
        raise TypeError(
            f"{owner}: expected {name} to be a float64 array or a shape, got "
            f"{getattr(x, 'dtype', type(x).__name__)}; float32 has too few digits for a "
            "numeric derivative"
        )
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError(f"{owner}: expected a finite {name}, got NaN or infinity in it")
    return x


def door(layer: Any) -> Callable[[Array, bool], Array]:
    """The function that takes a batch and checks it first, once for everything that follows."""
    return layer if isinstance(layer, Layer) else layer.forward


def generators(layer: Any) -> list[np.random.BitGenerator]:
    """The generators of all inner layers that draw random numbers in a step."""
    return [part.rng.bit_generator for part in layer.walk() if part.rng is not None]


def scatter(layer: Any, x: Array, mode: bool, rng: np.random.Generator) -> None:
    """Move parameters and state from their initial values: b = 0, γ = 1, β = 0 hide errors.

    Every entry is multiplied by its own number from −1.5 to 1.5; from 0.5 to 1.5 if y would
    not be finite otherwise, as with a parameter that must be positive.  A zero becomes a number
    of the size of the parameter's root mean square, or of 1 if all entries are zero.  The state
    is updated with a few batches like ``x``, as in training.
    """
    values = [value for part in layer.walk() for value in part.parameters().values()]
    starts = [to_numpy(value).copy() for value in values]
    for low, high in FACTORS:
        for value, start in zip(values, starts, strict=True):
            factor = rng.uniform(low, high, start.shape)
            size = np.sqrt(np.mean(np.square(start))) or 1.0
            scattered = np.where(start == 0, size * (factor - (low + high) / 2), start * factor)
            value[...] = namespace(value).asarray(scattered)
        with np.errstate(all="ignore"):
            y = door(layer)(x, mode)
        if bool(namespace(y).isfinite(y).all()):
            break
    if any(part.state() for part in layer.walk()):
        for _ in range(STEPS):
            layer.forward(larger_batch(x, rng), True)


def larger_batch(x: Array, rng: np.random.Generator) -> Array:
    """Twice the examples of ``x``, each slightly changed and at another place."""
    twice = namespace(x).concatenate([x[::-1], x])
    return moved(twice, rng)


def moved(x: Any, rng: np.random.Generator) -> Any:
    """``x``, an array or a list, with a little noise in the floats; anything else unchanged."""
    if isinstance(x, list):
        return [moved(one, rng) for one in x]
    if not is_array(x) or x.dtype.kind != "f":  # integers: a neighbour would be something else
        return x
    return x + namespace(x).asarray(MOVE * rng.standard_normal(x.shape))
