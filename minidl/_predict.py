"""Arrays from outside as the input of a network, and what it makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import Array, checks, hints, to_numpy


def predict(network: Any, x: Array, batch_size: int = 256) -> np.ndarray:
    """See :meth:`minidl.Network.predict`."""
    batch_size = checks.integer("predict", "batch_size", batch_size)
    checks.array("predict", "x", x)
    network.expect_batch(x, least=0)
    network.check_tokens(x)
    _expect_numbers("predict", network, x)
    shorter = x.shape[1:] if network.integer_input else None
    *_, (_, shape) = network.with_shapes(1, shorter)
    y = np.empty((len(x), *shape), network.dtype)
    for start in range(0, len(x), batch_size):
        batch = _as_numbers(network, x[start : start + batch_size])
        y[start : start + batch_size] = to_numpy(network.forward(batch))
    return y


def as_input(owner: str, network: Any, x: Array) -> Array:
    """``x`` on the network's device: bytes as numbers from 0 to 1, other numbers in its type.

    Tokens stay integers.  This is how every function sees arrays, :class:`minidl.data.Examples`
    included; only ``network.forward`` converts nothing.
    """
    checks.array(owner, "x", x)
    _expect_numbers(owner, network, x)
    return _as_numbers(network, x)


def _expect_numbers(owner: str, network: Any, x: Array) -> None:
    if network.integer_input:
        return
    if x.dtype == np.uint8:
        hints.pixels(owner, "x", x)
    else:
        checks.floats(owner, "x", x)


def _as_numbers(network: Any, x: Array) -> Array:
    if network.integer_input:
        return network.device.asarray(x)
    numbers = network.device.asarray(x, network.dtype)
    if x.dtype == np.uint8:
        numbers /= 255
    return numbers
