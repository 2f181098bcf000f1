"""A network's layers as a table."""

from __future__ import annotations

from typing import Any

from minidl.layers import Sequential


def summary(network: Any, depth: int | None = None) -> str:
    """The text of :meth:`minidl.Network.summary`."""
    rows = [
        ("name", "layer", "output", "parameters"),
        ("input", "", _shape(network.input_shape), ""),
    ]
    for layer, shape in network.with_shapes(depth):
        number = len(layer.layers)
        is_stack = isinstance(layer, Sequential)
        what = f"{number} layer{'s' * (number > 1)}" if is_stack else repr(layer)
        rows.append((layer.name, what, _shape(shape), f"{layer.size:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]
    rule = "-" * (sum(widths) + 6)
    total = f"{network.theta.size:,} parameters, {network.dtype}, on {network.device}"
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def _shape(shape: tuple[int, ...]) -> str:
    return str(("N", *shape)).replace("'", "")
