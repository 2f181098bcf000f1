"""Entry points: gradients of layers, networks and losses, and of functions outside minidl."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from minidl.activations import Activation
from minidl.backend import Array, Device, checks, get_device, is_array, namespace
from minidl.gradcheck.compare import Comparison, check_kinks
from minidl.gradcheck.report import GradientCheck
from minidl.gradcheck.subjects import (
    BrokenRule,
    FunctionSubject,
    LayerSubject,
    LossSubject,
    Subject,
    Vjp,
    float_point,
    in_float32,
    is_differentiable,
    perturb_parameters,
    restored,
)
from minidl.layers import ActivationLayer, Layer
from minidl.network import Network


def assert_gradients(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_gradients` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True  # pytest then shows the line of the test and the table
    return check_gradients(*arguments, **options).raise_if_failed()


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

    The layer contract is checked, too: the shape and type of every gradient; that ``x``, ``dy``
    and, in inference, the state are unchanged; that a second backward pass, calls with other
    memory layouts, batch sizes and parameters in between, and one with ``input_gradient=False``
    give the same gradients; what the layer tells its network (``y``, ``output_shape``, float32
    for float32).  A layer without inner layers is checked again at a point with ties (equal
    pixels, units at their kink): at ``x`` itself if it is an array, at ``x`` rounded to integers
    if it was drawn.

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
    compare = Comparison("check_gradients", rng, directions, elementwise, tolerance, attempts)
    rng, device = compare.rng, get_device(device)
    if training is not None:
        checks.boolean("check_gradients", "training", training)
    checks.boolean("check_gradients", "perturb", perturb)
    if isinstance(subject, type) or not (hasattr(subject, "forward") or callable(subject)):
        raise TypeError(
            "check_gradients: expected a layer, an activation function, a network or a loss, "
            f"got {checks.describe(subject)}"
        )
    if isinstance(loss, type) or not (loss is None or callable(loss)):
        raise TypeError(f"check_gradients: expected a loss, got {checks.describe(loss)}")
    point: Any = x
    if getattr(subject, "integer_input", False):
        checks.integers("check_gradients", "x", point)
    else:
        point = float_point("check_gradients", "x", x, rng, device)
    if isinstance(subject, Activation):
        subject = ActivationLayer(subject)
    is_loss = not hasattr(subject, "forward")
    if targets is None and (loss is not None or is_loss):
        name = repr(subject) if is_loss else "the loss"
        raise ValueError(f"check_gradients: expected targets for {name}, got none")
    if is_loss:
        return compare.at_a_smooth_point(
            repr(subject), lambda x: [LossSubject(subject, x.copy(), targets, rng)], point
        )
    if isinstance(subject, Network):
        subject.expect_views("check_gradients")
    modes = (True, False) if training is None else (training,)

    def subjects(x: Array) -> list[Subject]:
        seed = int(rng.integers(2**32))
        return [
            LayerSubject(subject, x.copy(), targets, loss, mode, modes, rng, seed, perturb)
            for mode in modes
        ]

    single = _unused_copy(subject)
    with _naming_missing_arrays():
        _build(subject, rng, device)
        with restored(subject):
            if perturb:
                perturb_parameters(subject, point, modes[0], rng)
            name = repr(subject) if loss is None else f"{subject!r} with {loss!r}"
            result = compare.at_a_smooth_point(name, subjects, point)
            alone = loss is None and isinstance(subject, Layer) and not subject.layers
            # At the initial parameters, two kinks may coincide: those of APL are all at 0.
            if result.passed and alone and (perturb or not subject.size):
                tied = namespace(point).rint(point) if isinstance(x, tuple) else point.copy()
                at_ties = LayerSubject(subject, tied, None, None, modes[0], modes, rng, seed=0)
                check_kinks(at_ties, rng, directions, result.problems)
            if result.passed and single is not None:
                result.problems += in_float32(single, point, modes[0], device)
    return result


def _unused_copy(layer: Any) -> Layer | None:
    """A copy without arrays of float64, or None if there is none."""
    if isinstance(layer, Layer) and not layer.is_built:
        with suppress(Exception):  # what it refers to may not be copied
            return copy.deepcopy(layer)
    return None


def _build(layer: Any, rng: np.random.Generator, device: Device) -> None:
    """Build the layer unless it is; raises unless its parameters are float64."""
    if isinstance(layer, Layer) and not layer.is_built:
        layer.build(rng, np.float64, device)
    for part in layer.walk():
        for name, value in part.parameters().items():
            if value.dtype != np.float64:
                raise TypeError(
                    f"check_gradients: expected {name} of {part!r} as float64, got {value.dtype}; "
                    "build with dtype='float64'"
                )


@contextmanager
def _naming_missing_arrays() -> Iterator[None]:
    """A layer that lacks an array is told which it has."""
    try:
        yield
    except AttributeError as error:
        layer = getattr(error, "obj", None)
        if not isinstance(layer, Layer):
            raise
        names = ", ".join((*layer.parameter_shapes(), *layer.state_shapes())) or "none"
        raise AttributeError(
            f"check_gradients: {layer!r} has no attribute {error.name!r}; the arrays that exist "
            f"are those that parameter_shapes() and state_shapes() name: {names}"
        ) from error


def assert_vjp(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_vjp` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True  # pytest then shows the line of the test and the table
    return check_vjp(*arguments, **options).raise_if_failed()


def assert_jac(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_jac` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True
    return check_jac(*arguments, **options).raise_if_failed()


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    *x: Any,
    rng: np.random.Generator | int = 0,
    directions: int = 3,
    elementwise: bool = False,
    tolerance: float = 1e-7,
    attempts: int = 10,
    device: str | Device = "cpu",
) -> GradientCheck:
    """Compare ``vjp``, a backward pass, with numeric derivatives of ``f``, in float64::

        def f(x, W, b):                  # y, or (y1, y2, …)
            return np.tanh(x @ W + b)

        def vjp(x, W, b, dy):            # dy like y; for several outputs (…, dy1, dy2, …)
            dz = dy * (1 - f(x, W, b) ** 2)
            return dz @ W.T, x.T @ dz, dz.sum(axis=0)

        print(check_vjp(f, vjp, (5, 3), (3, 2), (2,)))

    dy is random, φ = Σ ⟨dy_k, y_k⟩ is differentiated along random directions u of each input, and
    ⟨∂φ/∂x, u⟩ must be equal to it.  The check also covers the shape and type of every gradient,
    that inputs and dy are unchanged, and that a second call, and one after other inputs, return the
    same.  ``f(*x)`` is called before ``vjp(*x, *dy)``, so ``vjp`` may use what ``f`` kept.

    Parameters
    ----------
    f, vjp : functions of arrays; ``vjp`` returns the gradients of all inputs in their order, with
        None for those that have none, or a single array if only one input has floats
    x : the inputs, each a float64 array, or a shape to be drawn; anything else (integers, flags)
        is passed on unchanged and has no gradient
    rng, directions, elementwise, tolerance, attempts, device : as in :func:`check_gradients`

    Raises
    ------
    TypeError, ValueError
        if floating-point inputs are not float64 or not finite, outputs are not float64, or
        no input has floats.
    """
    owner = "check_vjp"
    for name, function in (("f", f), ("vjp", vjp)):
        _expect_callable(owner, name, function)

    def backward(inputs: list[Any], dy: list[Array]) -> Any:
        return vjp(*inputs, *dy)

    compare = Comparison(owner, rng, directions, elementwise, tolerance, attempts)
    return _checked(owner, f, backward, x, _names(f, len(x)), compare, get_device(device))


def check_jac(
    fun: Callable[..., Any],
    jac: Callable[..., Any] | bool,
    x: Array | tuple[int, ...],
    args: Sequence[Any] = (),
    *,
    rng: np.random.Generator | int = 0,
    directions: int = 3,
    elementwise: bool = False,
    tolerance: float = 1e-7,
    attempts: int = 10,
) -> GradientCheck:
    """Compare ``jac`` with numeric derivatives of ``fun``, in the form that SciPy's solvers use.

    ``fun(x, *args)`` is a number or an array ``(m,)``, ``jac(x, *args)`` its gradient ``(n,)`` or
    its Jacobian matrix ``(m, n)``, which may be sparse.  With ``jac=True``, ``fun`` returns
    both, as in :func:`scipy.optimize.minimize`::

        print(check_jac(rosen, rosen_der, (5,)))

    This is :func:`check_vjp` with dy ↦ Jᵀ dy; parameters and errors are the same.
    """
    owner = "check_jac"
    _expect_callable(owner, "fun", fun)
    if jac is not True:
        _expect_callable(owner, "jac", jac)

    def f(x: Array) -> Any:
        return fun(x, *args)[0] if jac is True else fun(x, *args)

    def backward(inputs: list[Any], dy: list[Array]) -> Any:
        J = fun(*inputs, *args)[1] if jac is True else jac(*inputs, *args)  # type: ignore[operator]
        J = np.asarray(J.toarray() if hasattr(J, "toarray") else J)
        ((x,), (dy_,)) = inputs, dy
        shape = dy_.shape + x.shape
        if dy_.size == 1 and J.shape == x.shape:
            J = J.reshape(shape)
        if J.shape != shape:
            turned = ": the other way round?" if J.T.shape == shape else ""
            raise BrokenRule(f"expected jac {shape} for x {x.shape}, got {J.shape}{turned}")
        return np.tensordot(dy_, J, axes=dy_.ndim)

    f.__name__ = getattr(fun, "__name__", repr(fun))
    compare = Comparison(owner, rng, directions, elementwise, tolerance, attempts)
    return _checked(owner, f, backward, (x,), ["x"], compare, get_device("cpu"))


def _checked(
    owner: str,
    f: Callable[..., Any],
    backward: Vjp,
    x: Sequence[Any],
    names: list[str],
    compare: Comparison,
    device: Device,
) -> GradientCheck:
    rng = compare.rng
    point = [
        float_point(owner, name, one, rng, device) if is_differentiable(one) else one
        for name, one in zip(names, x, strict=True)
    ]
    if not any(map(is_differentiable, x)):
        raise ValueError(
            f"{owner}: expected an input that is a float64 array or a shape, got "
            f"{', '.join(map(checks.describe, x)) or 'none'}"
        )

    def subjects(point: list[Any]) -> list[Subject]:
        copies = [one.copy() if is_array(one) else one for one in point]
        return [FunctionSubject(owner, f, backward, copies, names, rng, int(rng.integers(2**32)))]

    name = getattr(f, "__name__", repr(f))
    return compare.at_a_smooth_point(name, subjects, point)


def _names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the parameters of ``f``, or x1, x2, … if they are not known."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some that are written in C
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in kinds][:count]
    return names if len(names) == count else [f"x{i + 1}" for i in range(count)]


def _expect_callable(owner: str, name: str, value: Any) -> None:
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"{owner}: expected {name} to be a function, got {checks.describe(value)}")
