"""How to make targets that a loss can compare with the logits, for the end of its errors."""

from __future__ import annotations

import math

from minidl.backend import Array


def like_logits(shape: tuple[int, ...], targets: Array) -> str:
    """How to give targets the shape and the type of the logits."""
    is_float, (N, *outputs) = targets.dtype.kind == "f", shape
    if targets.shape[:1] != (N,) or targets.size != math.prod(shape):
        if not is_float and targets.ndim == 1:
            return "for labels of more than two classes use SoftmaxCrossEntropy"
        given = ", ".join(map(str, targets.shape[1:] or (1,)))
        return f"let the last layer of the network return (N, {given}), or pass other targets"
    reshape = "" if targets.shape == shape else f".reshape(-1, {', '.join(map(str, outputs))})"
    convert = "" if is_float else ".astype('float32')"
    return f"use targets{reshape}{convert}"


def as_labels(shape: tuple[int, ...], targets: Array) -> str:
    """How to convert targets to labels (N,)."""
    if len(shape) != 2:
        return ""
    N, C = shape
    if C == 1:
        return "; for a single output use BinaryCrossEntropy"
    if targets.shape == shape:
        if ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all():
            return "; for one-hot rows use targets.argmax(axis=1)"
        return (
            "; BinaryCrossEntropy takes a probability for each output, MeanSquaredError any numbers"
        )
    if targets.shape not in ((N,), (N, 1)):
        return ""
    flat = "" if targets.ndim == 1 else ".ravel()"
    if targets.dtype.kind in "iu":
        return f"; use targets{flat}"
    if (
        targets.dtype.kind == "f" and (targets % 1 != 0).any()
    ):  # as integers they would be other numbers
        return "; for numbers that are no labels use MeanSquaredError"
    return f"; for labels use targets{flat}.astype('int64'), for other numbers MeanSquaredError"
