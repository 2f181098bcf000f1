"""Which axis the features are on, and arrays as rows of them."""

from __future__ import annotations

from minidl.backend import Array


def features_axis(ndim: int) -> int:
    """1 for units (N, n) and images (N, C, H, W); 2 for sentences (N, T, n)."""
    return 2 if ndim == 3 else 1


def rows(x: Array) -> Array:
    """(N, n) unchanged, (N, T, n) as (N·T, n), one row per token: a view if possible."""
    return x.reshape(-1, x.shape[-1])
