"""Names of layers, and whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any


def expect_free(owner: str, layer: Any) -> None:
    """Raise ``ValueError`` if the layer, or one inside it, is part of a network."""
    for part in layer.walk():
        if part._in_network:
            raise ValueError(
                f"{owner}: {part.name}, {part!r}, already belongs to a network; "
                "make a new layer, or copy it with copy.deepcopy"
            )


def name_layers(layers: Sequence[Any], within: str = "") -> None:
    """Name the layers without a given name dense_1, dense_2, … by class and position in it.

    ``within`` is a prefix: ``residual_1.branch.`` for the layers in there, or only
    ``residual_1.`` if the branch has ``flat_names``.
    """
    count: Counter[str] = Counter()
    for layer in layers:
        kind = type(layer).__name__.lower()
        count[kind] += 1
        given = "" if layer.name == layer._numbered else layer.name
        given = given.rpartition(".")[2] if within else given
        layer.name = within + (given or f"{kind}_{count[kind]}")
        layer._numbered = "" if given else layer.name
        name_layers(layer.layers, within if layer.flat_names else layer.name + ".")
    names = Counter(inside.name for layer in layers for inside in layer.walk())
    if twice := [name for name, number in names.items() if number > 1]:
        raise ValueError(f"Network: expected layers with different names, got {twice[0]!r} twice")
