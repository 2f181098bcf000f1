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


def assert_gradients(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_gradients` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True  # to pytest, which shows the line of the test and the table
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

    The layer contract is checked along with them: shape and type of every gradient;
    ``x``, ``dy`` and, in inference, the state are left alone; a second backward, one after
    a larger batch, and one with ``input_gradient=False`` give the same gradients of
    the parameters.  A layer without layers inside is checked once more at a point with ties
    (equal pixels, units at their kink): at ``x`` itself where it is given, at ``x`` rounded
    to integers where it is drawn.

    Where the rounding of φ hides whether a gradient is right, the check has not passed, it
    is not decided: ``undecided`` says why.

    Parameters
    ----------
    subject : a :class:`~minidl.layers.Layer` (built here where it is not yet),
        an :class:`~minidl.activations.Activation`, a :class:`~minidl.network.Network`
        of dtype float64, or a loss
    x : the input (for a loss: the logits) as float64, or its shape, to be drawn; tokens, for a
        subject that takes such, as an array of integers, which have no gradient
    targets : for a loss, or for a network with ``loss``
    loss : checks the network with its loss; otherwise the upstream is random
    rng : of the upstream, the directions and whatever else is drawn
    directions : how many random directions for each variable
    elementwise : every entry of every variable in turn instead: for small cases,
        and to see *which* entry is wrong
    training : as in ``forward``; both unless given.  What a layer draws in training
        (dropout) is drawn the same each time
    perturb : moves each parameter to a random point nearby, and lets the state follow a few
        batches: where b = 0, γ = 1 and β = 0, a gradient that forgets one of them is right.
        All is put back afterwards
    tolerance : the largest relative error that passes
    attempts : how often the point may be moved away from a kink
    device : where ``x`` is drawn if it is a shape, and a layer is built that is not yet

    Raises
    ------
    TypeError, ValueError
        for input that is not float64 or not finite, or targets that are missing.
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
        # Where parameters start, two kinks may be at one place: those of APL are all at 0.
        if result.passed and alone and (perturb or not subject.size):
            tied = namespace(x).rint(x) if drawn else x.copy()
            at_ties = LayerSubject(subject, tied, None, None, modes[0], modes, rng, seed=0)
            check_ties(at_ties, rng, directions, result.problems)
    return result


def _first_point(subject: Any, x: Any, rng: np.random.Generator, device: Device) -> Array:
    """``x`` as it is given, checked, or drawn where it is a shape."""
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
