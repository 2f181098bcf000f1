"""The check itself: what is checked, at which points, and in which modes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from minidl.activations import Activation
from minidl.backend import Array, Device, checks, get_device, namespace
from minidl.gradcheck.judge import Judge
from minidl.gradcheck.point import float_point, put_back, scatter
from minidl.gradcheck.result import GradientCheck
from minidl.gradcheck.subjects import LayerSubject, LossSubject, Subject
from minidl.gradcheck.ties import check_ties
from minidl.layers import Activate, Layer
from minidl.network import Network


def assert_gradients(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_gradients` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True  # pytest then shows the line of the test and the table
    return check_gradients(*arguments, **options).asserted()


def check_gradients(
    subject: Any,
    x: Array | tuple[int, ...],
    targets: Array | None = None,
    *,
    loss: Callable[..., Any] | None = None,
    rng: np.random.Generator | int = 0,
    directions: int = 3,
    elementwise: bool = False,
    training: bool | None = None,
    perturb: bool = True,
    tolerance: float = 1e-7,
    attempts: int = 10,
    device: str | Device = "cpu",
) -> GradientCheck:
    """Compare the analytic gradients of ``subject`` with numeric ones, in float64.

    The layer contract is checked, too: the shape and type of every gradient;
    that ``x``, ``dy`` and, in inference, the state are unchanged; that a second backward pass, one
    after a larger batch, and one with ``input_gradient=False`` give the same gradients of
    the parameters.  A layer without inner layers is checked again at a point with ties
    (equal pixels, units at their kink): at ``x`` itself if it is an array, at ``x`` rounded
    to integers if it was drawn.

    If the rounding of φ hides whether a gradient is right, the check has not passed; it
    is not decided, and ``undecided`` says why.

    Parameters
    ----------
    subject : a :class:`~minidl.layers.Layer` (built here unless it is already),
        an :class:`~minidl.activations.Activation`, a :class:`~minidl.network.Network`
        of dtype float64, or a loss
    x : the input (for a loss, the logits) as float64, or its shape, to be drawn at random; if the
        subject takes tokens, an array of integers, which have no gradient
    targets : for a loss, or for a network with ``loss``
    loss : checks the network with its loss; otherwise the upstream gradient is random
    rng : source of the upstream gradient, the directions and all other random draws
    directions : number of random directions per variable
    elementwise : check every entry of every variable in turn instead: for small cases,
        and to see *which* entry is wrong
    training : as in ``forward``; by default both.  What a layer draws in training
        (dropout) is drawn the same each time
    perturb : move each parameter to a random point nearby, and update the state with a few
        batches: with b = 0, γ = 1 and β = 0, a gradient that omits one of them would be right.
        Everything is restored afterwards
    tolerance : the largest relative error that passes
    attempts : how often the point may be moved away from a kink
    device : where to draw ``x`` if it is a shape, and to build a layer that is not built yet

    Raises
    ------
    TypeError, ValueError
        if the input is not float64 or not finite, or targets are missing.
    """
    rng, device = checks.generator("check_gradients", rng), get_device(device)
    judge = Judge("check_gradients", rng, directions, elementwise, tolerance)
    checks.whole("check_gradients", "attempts", attempts, least=0)
    if training is not None:
        checks.flag("check_gradients", "training", training)
    checks.flag("check_gradients", "perturb", perturb)
    if isinstance(subject, type) or not (hasattr(subject, "forward") or callable(subject)):
        raise TypeError(
            "check_gradients: expected a layer, an activation function, a network or a loss, "
            f"got {checks.shown(subject)}"
        )
    if isinstance(loss, type) or not (loss is None or callable(loss)):
        raise TypeError(f"check_gradients: expected a loss, got {checks.shown(loss)}")
    drawn = isinstance(x, tuple)
    x = _first_point(subject, x, rng, device)
    if isinstance(subject, Activation):
        subject = Activate(subject)
    if isinstance(subject, Layer) and not subject.is_built:
        subject.build(rng, np.float64, device)
    is_layer = hasattr(subject, "forward")
    if targets is None and (loss is not None or not is_layer):
        name = "the loss" if is_layer else repr(subject)
        raise ValueError(f"check_gradients: expected targets for {name}, got none")
    if isinstance(subject, Network):
        subject.expect_views("check_gradients")
    modes = (True, False) if training is None else (training,)

    def subjects(x: Array) -> list[Subject]:
        if not is_layer:
            return [LossSubject(subject, x.copy(), targets, rng)]
        seed = int(rng.integers(2**32))
        return [
            LayerSubject(subject, x.copy(), targets, loss, mode, modes, rng, seed) for mode in modes
        ]

    with put_back(subject) if is_layer else nullcontext():
        if is_layer:
            _expect_float64(subject)
            if perturb:
                scatter(subject, x, modes[0], rng)
        name = repr(subject) if loss is None else f"{subject!r} with {loss!r}"
        result = judge.at_a_smooth_point(name, subjects, x, attempts)
        alone = loss is None and isinstance(subject, Layer) and not subject.layers
        # At the initial parameters, two kinks may coincide: those of APL are all at 0.
        if result.passed and alone and (perturb or not subject.size):
            tied = namespace(x).rint(x) if drawn else x.copy()
            at_ties = LayerSubject(subject, tied, None, None, modes[0], modes, rng, seed=0)
            check_ties(at_ties, rng, directions, result.problems)
    return result


def _first_point(subject: Any, x: Any, rng: np.random.Generator, device: Device) -> Array:
    """``x`` after a check, or drawn if it is a shape."""
    if getattr(subject, "takes_integers", False):
        checks.integers("check_gradients", "x", x)
        return x
    return float_point("check_gradients", "x", x, rng, device)


def _expect_float64(layer: Any) -> None:
    for part in layer.walk():
        for name, value in part.parameters().items():
            if value.dtype != np.float64:
                raise TypeError(
                    f"check_gradients: expected {name} of {part!r} as float64, got {value.dtype}; "
                    "build with dtype='float64'"
                )
