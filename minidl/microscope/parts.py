"""The parts of the page with their own scripts: the snapshots, and the step, as data."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minidl.microscope.attention_snapshot import SHARES
from minidl.microscope.backward_signal import factors
from minidl.microscope.run import NetworkSnapshots
from minidl.microscope.snapshot import (
    CURVE,
    GRADIENT_EDGES,
    LEVELS,
    Z_EDGES,
    LayerSnapshot,
    Snapshot,
)
from minidl.microscope.walkthrough import walks
from minidl.pages import json_block

NO_SCRIPT = "<noscript><p>This part of the page is drawn by JavaScript.</p></noscript>"


class SnapshotsPart:
    """Snapshots to browse by network, epoch, layer and unit.

    Each is packed by itself and unpacked when it is chosen.  ``room`` bounds the bytes of
    all of them: for each network, the last epoch, the first, and others evenly between.
    """

    def __init__(self, networks: Sequence[NetworkSnapshots], room: float) -> None:
        self.networks = networks
        share = room / len(networks)
        self.shown = [_evenly(list(map(_shown, network.snapshots)), share) for network in networks]

    def left_out(self) -> list[str]:
        """A sentence on what did not fit, if anything."""
        here, all_ = (
            sum(map(len, rows)) for rows in (self.shown, (n.snapshots for n in self.networks))
        )
        if here == all_:
            return []
        return [
            f"To keep it small, this file has the pictures and histograms of {here} of the {all_} "
            "snapshots; python -m minidl.microscope with the folder of the run shows all."
        ]

    def html(self) -> str:
        curves = {
            layer.activation: [_numbers(curve) for curve in layer.curve]
            for network in self.networks
            for layer in network.snapshots[0].layers
        }
        data = {
            "levels": LEVELS,
            "shares": SHARES,
            "zEdges": _numbers(Z_EDGES),
            "gradientEdges": _numbers(GRADIENT_EDGES),
            "curveZ": _numbers(CURVE),
            "curves": curves,
            "networks": [
                {"name": network.name, "snapshots": shown}
                for network, shown in zip(self.networks, self.shown, strict=True)
                if shown
            ],
        }
        return f'<div id="snapshots">{json_block(data)}{NO_SCRIPT}</div>'


@dataclass(frozen=True)
class StepsPart:
    """One step through a tiny network, array by array."""

    def html(self) -> str:
        return f'<div id="steps">{json_block([asdict(walk) for walk in walks()])}{NO_SCRIPT}</div>'


def pack(snapshot: Snapshot) -> str:
    """Layers and attention of a snapshot as JSON, compressed, in base64."""
    packed = {
        "layers": [_layer(layer) for layer in snapshot.layers],
        "attention": [
            {"name": seen.name, "heads": len(seen.P), "P": _bytes(seen.P)}
            for seen in snapshot.attention
        ],
    }
    text = json.dumps(packed, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode("ascii")


def _shown(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot on the page: what is known without unpacking it, and the rest."""
    by = [None, *factors(snapshot.signal)]
    return {
        "epoch": snapshot.epoch,
        "examples": snapshot.examples,
        "loss": _number(snapshot.loss),
        "signal": [
            {
                **asdict(stop),
                "norm": _number(stop.norm),
                "factor": _number(factor),
                "predicted": _number(stop.predicted),
            }
            for stop, factor in zip(snapshot.signal, by, strict=True)
        ],
        "tokens": snapshot.tokens,
        "packed": pack(snapshot),
    }


def _layer(layer: LayerSnapshot) -> dict[str, Any]:
    """Single-byte integers in base64, all other values as numbers."""
    return {
        **{
            key: getattr(layer, key)
            for key in ("name", "text", "activation", "formula", "derivative")
        },
        "units": layer.units,
        "shape": layer.shape,
        "shown": layer.shown.tolist(),
        "W": _bytes(layer.W),
        "WScale": _numbers(layer.W_scale),
        "dW": _bytes(layer.dW),
        "dWScale": _numbers(layer.dW_scale),
        "b": _numbers(layer.b),
        "db": _numbers(layer.db),
        "z": layer.z_counts.tolist(),
        "y": layer.y_counts.tolist(),
        "yEdges": _numbers(layer.y_edges),
        "gradients": layer.dW_counts.tolist(),
        "slope": _numbers(layer.slope),
        "gradient": _numbers(layer.gradient),
    }


def _bytes(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _numbers(values: Iterable[Any]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | None:
    """The shortest decimal that is this number in its own precision; None if it is not finite.

    A float32 that is converted to float64 first would be written with 17 digits.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(str(value)) if isinstance(value, np.float32) else float(value)


def _evenly(snapshots: list[dict[str, Any]], room: float) -> list[dict[str, Any]]:
    """As many snapshots as fit, the last one first."""
    sizes = np.array([1 + len(json.dumps(one)) for one in snapshots])  # non-ASCII counted as more
    for n in range(len(snapshots), 0, -1):
        places = np.unique(np.linspace(len(snapshots) - 1, 0, n).round().astype(int))
        if sizes[places].sum() <= room:
            return [snapshots[place] for place in places]
    return []
