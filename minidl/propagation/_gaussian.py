"""Expectations over normal numbers, E g(z) for z ~ N(0, q), to ten digits or more.

This is Gauss–Legendre quadrature, panel by panel.  A panel ends at every kink, so that both sides
are integrated separately: Gauss–Hermite quadrature, which ignores kinks, gives 0.478 for the ½ of
ReLU.  Panels are short near 0 and near a kink and grow with the distance, on the scale of
z, so a function that varies within |z| < 1 is resolved even if √q is 100.  The panels are
halved until the means agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

LIMIT = 12.0  # standard deviations; the probability beyond is 4e-33
PRECISION = 1e-12  # of the mean, relative to the mean of |g|
AT_ONCE = 4_000_000  # nodes, to bound the memory

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES, WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2  # of a panel from 0 to 1

Function = Callable[[np.ndarray], np.ndarray]


class NotConverged(ValueError):
    """A mean that two rules do not agree on."""


def mean(g: Function, q: np.ndarray, kinks: Sequence[float]) -> np.ndarray:
    """E g(z), z ~ N(0, q), for each q > 0 of ``q`` (R,);  g is element-wise."""
    root = np.sqrt(q)[:, None]  # (R, 1)
    edges = _edges(np.array([0.0, *kinks]) / root, 1 / root, -LIMIT)

    def rule_with_halved_panels(times: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = edges.shape[1] * len(NODES) * 2**times
        found = []
        for part in np.array_split(rows, -(-len(rows) * size // AT_ONCE)):
            u, w = _rule(edges[part], times)
            found.append(_sums(g(root[part] * u), w, u))
        values, sizes = map(np.concatenate, zip(*found, strict=True))
        return values, sizes

    return _converged(rule_with_halved_panels, len(q), most=7)


def mean_of_products(g: Function, q: float, c: float, kinks: Sequence[float]) -> float:
    """E g(z₁) g(z₂) for normal z₁, z₂ of variance q and correlation c;  g is element-wise.

    With s and t normal and independent, z₁ = √q (a s + b t) and z₂ = √q (a s − b t), where
    a² = (1 + c)/2 and b² = (1 − c)/2.  The product is even in t, and z₁ or z₂ is at a kink k
    where |t| = |a s − k/√q| / b.  The mean over t has kinks of its own, at the s of the corners
    where z₁ is at one kink and z₂ at another.
    """
    root, a, b = math.sqrt(q), math.sqrt((1 + c) / 2), math.sqrt((1 - c) / 2)
    if min(a, b) < 1e-8:  # z₂ = ± z₁
        mirrored = -1 if a < b else 1
        both = {*kinks, *(mirrored * k for k in kinks)}
        return float(mean(lambda z: g(z) * g(mirrored * z), np.array([q]), sorted(both))[0])
    at = np.array([0.0, *kinks]) / root
    corners = np.unique(at[:, None] + at) / (2 * a)
    edges = _edges(corners[None], np.array([[min(b, 1 / root) / a]]), -LIMIT)

    def along_t(s: np.ndarray, times: int) -> tuple[np.ndarray, np.ndarray]:
        """The means over t at each s (S,)."""
        centre = a * s[:, None]  # (S, 1)
        t, w = _rule(
            _edges(np.abs(centre - at) / b, np.full(centre.shape, 1 / (root * b)), 0), times
        )
        values = g(root * (centre + b * t)) * g(root * (centre - b * t))
        return _sums(values, 2 * w, t)

    def rule_with_halved_panels(times: int, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s, v = (array[0] for array in _rule(edges, times))  # (S,)
        found = [along_t(part, times) for part in np.array_split(s, -(-len(s) // 256))]
        values, sizes = map(np.concatenate, zip(*found, strict=True))
        return np.array([values @ v]), np.array([sizes @ v])

    return float(_converged(rule_with_halved_panels, 1, most=3)[0])


def _converged(
    rule: Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]], count: int, most: int
) -> np.ndarray:
    """The means (count,) with panels so short that those of half the length give the same.

    ``rule(times, rows)`` gives those of some rows, and those of |g|, with shorter panels.
    """
    means, left = np.empty(count), np.arange(count)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        before, _ = rule(0, left)
        for times in range(1, most + 1):
            now, size = rule(times, left)
            if not np.isfinite(size).all():
                raise NotConverged("grows beyond all numbers: f grows faster than a power of z")
            settled = np.abs(now - before) <= PRECISION * size + 1e-300
            means[left[settled]] = now[settled]
            before, left = now[~settled], left[~settled]
            if not len(left):
                return means
    raise NotConverged("does not: name the kinks of f that are not at 0 in its kinks")


def _edges(centres: np.ndarray, scale: np.ndarray, low: float) -> np.ndarray:
    """Where panels end (R, E), from ``low`` to LIMIT: short near each of ``centres`` (R, K).

    ``scale`` (R, 1) is the length of the shortest.
    """
    doublings = max(0, math.ceil(math.log2(2 * LIMIT / scale.min()))) + 1
    away = 2.0 ** np.arange(doublings)
    offsets = np.concatenate([-away[::-1], [0.0], away])
    around = centres[:, :, None] + offsets * scale[:, :, None]
    everywhere = np.tile(np.arange(low, LIMIT + 1, 2.0), (len(scale), 1))
    edges = np.concatenate([everywhere, around.reshape(len(scale), -1)], axis=1)
    return np.sort(np.clip(edges, low, LIMIT), axis=1)


def _rule(edges: np.ndarray, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (R, m) of the normal density, with the panels halved so many times."""
    for _ in range(times):
        middles = (edges[:, 1:] + edges[:, :-1]) / 2
        edges = np.sort(np.concatenate([edges, middles], axis=1), axis=1)
    width = np.diff(edges)[:, :, None]
    u = (edges[:, :-1, None] + width * NODES).reshape(len(edges), -1)
    w = (width * WEIGHTS).reshape(len(edges), -1) * np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return u, w


def _sums(values: np.ndarray, w: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means of g and of |g|; the latter infinite where what counts lies beyond the limit."""
    parts = np.abs(values) * w
    size = parts.sum(axis=-1)
    outer = np.where(np.abs(u) > LIMIT - 1, parts, 0).sum(axis=-1)
    return (values * w).sum(axis=-1), np.where(outer > PRECISION * size, np.inf, size)
