"""Theory for each function: χ, and its critical points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.activations import Activation
from minidl.pages import Prose, Table, Told
from minidl.propagation import MeanField, critical_points
from studies.activation_gallery.entries import Entry

Q = 1.0  # the variance of z at which χ is given
EXPLAINED = (
    "In a wide layer with weights of variance σ_w²/n_in, z is normally distributed. The layer "
    "multiplies the squared gradient by χ = σ_w² E f'(z)²; here, σ_w² = 1 and z ~ N(0, 1). A "
    "critical initialization, with σ_w² for the weights and σ_b² for the biases, preserves both "
    "signal and gradient through any number of layers if the variance of z is q; at q = 0, the "
    "signal shrinks slowly. The table is computed by `minidl.propagation`; "
    "`minidl.propagation.critical` draws such weights and biases. Softmax and the gated functions "
    "are not functions of one number and are left out."
)


class _Shown(Activation):
    """The function of an entry; a learned one with its example parameters."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name  # type: ignore[misc]
        self.kinks = entry.kinks
        self._at = entry.at

    def f(self, z: np.ndarray) -> np.ndarray:
        return self._at(z.ravel())[0].reshape(z.shape)

    def slope(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._at(z.ravel())[1].reshape(z.shape)


def theory_of(entry: Entry) -> dict[str, Any] | None:
    """χ at ``Q``, and the critical initializations; None for a function of several numbers."""
    if not entry.is_of_one_number:
        return None
    f = _Shown(entry)
    points = [
        {"sigma_w2": p.sigma_w2, "sigma_b2": p.sigma_b2, "q": None if p.every else p.q}
        for p in critical_points(f)
    ]
    return {"chi": MeanField(f).chi(Q), "critical": points}


def theory_table(functions: Mapping[str, Mapping[str, Any]]) -> list[Told]:
    """A row for each function and critical initialization; empty for a summary without them."""
    rows: list[list[str | Told]] = []
    for name, figures in functions.items():
        found = figures.get("theory")
        if found is None:
            continue
        first = [name, f"{found['chi']:.4f}"]
        for point in found["critical"]:
            q = "every" if point["q"] is None else f"{point['q']:.5g}"
            rows.append([*first, f"{point['sigma_w2']:.6f}", f"{point['sigma_b2']:.6f}", q])
            first = ["", ""]
        if not found["critical"]:
            rows.append([*first, "none", "", ""])
    if not rows:
        return []
    head = ["function", "χ", "critical σ_w²", "σ_b²", "variance q of z"]
    return [Table("What theory predicts for the gradient", head, rows), Prose([EXPLAINED])]
