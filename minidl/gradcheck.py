"""Analytic gradients against numeric ones.

One call checks a layer, an activation function, a loss or a whole network,
for its input and each of its parameters::

    assert_gradients(Dense(3, 2, "tanh"), x)             # x (N, 3), or its shape
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)
    assert_gradients(network, x, labels, loss=SoftmaxCrossEntropy())

The output y is projected on a random upstream gradient dy, φ = ⟨dy, y⟩, and
φ is differentiated numerically along a random direction u of each variable v:
d/dt φ(v + t u) at t = 0 must be ⟨∂φ/∂v, u⟩.  An upstream of ones would hide bugs:
a softmax backward that returns zeros passes it.

The numeric derivative is ``scipy.differentiate.derivative`` (central
differences of order 8 with shrinking steps), good to about 1e-11 in float64.
Where it does not settle, the point is at a kink: it is then moved a little and
everything is computed anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl import checks
from minidl.activations import Activation
from minidl.backend import Array, Device, get_device, namespace, to_numpy
from minidl.layers import Activate, Layer

_EPS = float(np.finfo(np.float64).eps)
_STEPS = (0.5, 0.02, 1e-3, 1e-4, 1e-5)  # where the numeric derivative starts to shrink its steps
_MOVE = 0.02  # how far a point at a kink is moved, in standard deviations of a normal draw


@dataclass(frozen=True)
class CheckedGradient:
    """One variable: the direction (or entry) in which its two derivatives differ most."""

    name: str  # "x", "W", "dense_1.W", "logits"
    analytic: float
    numeric: float
    error: float  # |analytic − numeric| relative to the larger of them
    where: str  # "direction 2", or "[3, 1]" element by element


@dataclass
class GradientCheck:
    """What :func:`check_gradients` found; prints as a table."""

    subject: str
    tolerance: float
    rows: list[CheckedGradient] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # broken rules of the layer contract
    moved: int = 0  # how often the point was at a kink and was moved

    @property
    def passed(self) -> bool:
        return not self.problems and all(row.error <= self.tolerance for row in self.rows)

    @property
    def worst(self) -> float:
        """The largest relative error."""
        return max((row.error for row in self.rows), default=math.inf)

    def __str__(self) -> str:
        width = max(len(name) for name in ("name", *(row.name for row in self.rows)))
        lines = [
            f"gradient check of {self.subject}: {'passed' if self.passed else 'FAILED'}"
            f" (tolerance {self.tolerance:.0e})",
            f"{'name':<{width}}  {'analytic':>17}  {'numeric':>17}  {'error':>8}  where",
        ]
        for row in self.rows:
            mark = "" if row.error <= self.tolerance else "  <--"
            lines.append(
                f"{row.name:<{width}}  {row.analytic:>17.10e}  {row.numeric:>17.10e}  "
                f"{row.error:>8.1e}  {row.where}{mark}"
            )
        lines += [f"problem: {problem}" for problem in self.problems]
        if self.moved:
            lines.append(f"the point was at a kink and was moved {self.moved} times")
        return "\n".join(lines)


class GradientError(AssertionError):
    """Analytic and numeric gradients differ."""


def assert_gradients(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_gradients` as a test: raises :class:`GradientError` with its table."""
    check = check_gradients(*arguments, **options)
    if not check.passed:
        raise GradientError(str(check))
    return check


def check_gradients(
    subject: Any,
    x: Array | tuple[int, ...],
    targets: Array | None = None,
    *,
    loss: Callable[..., Any] | None = None,
    rng: np.random.Generator | int = 0,
    directions: int = 3,
    elementwise: bool = False,
    training: bool = True,
    tolerance: float = 1e-7,
    attempts: int = 10,
    device: str | Device = "cpu",
) -> GradientCheck:
    """Compare the analytic gradients of ``subject`` with numeric ones, in float64.

    Parameters
    ----------
    subject : a :class:`~minidl.layers.Layer` (built here where it is not yet),
        an :class:`~minidl.activations.Activation`, a :class:`~minidl.network.Network`
        of dtype float64, or a loss
    x : the input (for a loss: the logits) as float64, or its shape, to be drawn
    targets : for a loss, or for a network with ``loss``
    loss : checks the network with its loss; otherwise the upstream is random
    rng : of the upstream, the directions and whatever else is drawn
    directions : how many random directions for each variable
    elementwise : every entry of every variable in turn instead: for small cases,
        and to see *which* entry is wrong
    training : as in ``forward``; what a layer draws there (dropout) is drawn the
        same each time
    tolerance : the largest relative error that passes
    attempts : how often the point may be moved away from a kink
    device : where ``x`` is drawn if it is a shape, and a layer is built that is not yet

    Raises
    ------
    TypeError, ValueError
        for input that is not float64 or not finite, or targets that are missing.
    """
    rng, device = checks.generator("check_gradients", rng), get_device(device)
    checks.whole("check_gradients", "directions", directions)
    checks.whole("check_gradients", "attempts", attempts, least=0)
    checks.positive("check_gradients", "tolerance", tolerance)
    if isinstance(subject, type) or not (hasattr(subject, "forward") or callable(subject)):
        raise TypeError(
            "check_gradients: expected a layer, an activation function, a network or a loss, "
            f"got {checks.shown(subject)}"
        )
    if isinstance(loss, type) or not (loss is None or callable(loss)):
        raise TypeError(f"check_gradients: expected a loss, got {checks.shown(loss)}")
    if isinstance(x, tuple):
        x = tuple(checks.whole("check_gradients", "each size of x", n) for n in x)
    point: Array = device.asarray(rng.standard_normal(x)) if isinstance(x, tuple) else x
    if isinstance(subject, Activation):
        subject = Activate(subject)
    if isinstance(subject, Layer) and not subject.is_built:
        subject.build(rng, np.float64, device)
    for attempt in range(attempts + 1):
        function = _function(subject, point, targets, loss, training, rng)
        result = GradientCheck(
            repr(subject) if loss is None else f"{subject!r} with {_name(loss)}",
            tolerance,
            moved=attempt,
        )
        analytic = function.backward(result.problems)
        settled = True
        for name, variable in function.variables.items():
            gradient = to_numpy(analytic[name])
            if not np.isfinite(gradient).all():
                result.problems.append(f"the gradient of {name} is not written, or not finite")
            settled &= _check_variable(
                function, name, variable, gradient, rng, directions, elementwise, result
            )
        if settled:
            break
        point = point + namespace(point).asarray(_MOVE * rng.standard_normal(point.shape))
    else:
        result.problems.append(
            f"the numeric derivative did not settle at {attempts + 1} points: "
            "is the function discontinuous, or random in each forward?"
        )
    return result


def _check_variable(
    function: _Function,
    name: str,
    variable: Array,
    gradient: np.ndarray,
    rng: np.random.Generator,
    directions: int,
    elementwise: bool,
    result: GradientCheck,
) -> bool:
    """Add the worst direction of one variable to ``result``; False where nothing settles."""
    settled = True
    worst: CheckedGradient | None = None
    # The typical size of ⟨g, u⟩ for a random u of length 1: a projection that happens to be
    # much smaller is not to be judged by its own size.
    typical = float(np.sqrt(np.mean(np.square(gradient)))) if not elementwise else 0.0
    for where, u in _directions(gradient.shape, rng, directions, elementwise):
        analytic = float(np.sum(gradient * u))
        numeric, doubt, rounding = _directional_derivative(function, variable, u)
        # What rounding alone explains must pass: the scale is at least rounding / tolerance.
        scale = max(abs(analytic), abs(numeric), typical, rounding / result.tolerance)
        difference = abs(analytic - numeric)
        error = difference / scale if scale != 0 else 0.0
        if not math.isfinite(error):
            error = math.inf
        settled &= not doubt > 0.5 * result.tolerance * scale  # NaN is no kink
        if math.inf > error > result.tolerance:
            settled &= _jump(function, variable, u) < difference
        if worst is None or error > worst.error:
            worst = CheckedGradient(name, analytic, numeric, error, where)
    assert worst is not None
    result.rows.append(worst)
    return settled


def _directions(
    shape: tuple[int, ...], rng: np.random.Generator, directions: int, elementwise: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Directions u of length 1, with their names."""
    if elementwise:
        for index in np.ndindex(shape):
            u = np.zeros(shape)
            u[index] = 1
            yield str(list(index)), u
    else:
        for number in range(1, directions + 1):
            u = rng.standard_normal(shape)
            yield f"direction {number}", u / np.linalg.norm(u)


def _directional_derivative(
    function: _Function, variable: Array, u: np.ndarray
) -> tuple[float, float, float]:
    """d/dt φ(v + t u) at 0, the doubt in it, and what rounding alone may contribute.

    Large steps first: they drown the rounding where φ is smooth.  Smaller ones
    follow where the estimate does not settle, which near a kink it does only
    once the steps stay on one side of it.
    """
    from scipy.differentiate import derivative

    phi_at = _along(function, variable, u)
    smallest = math.inf

    def phi(t: np.ndarray) -> np.ndarray:
        nonlocal smallest
        values = np.empty(t.size)
        for i, step in enumerate(t.ravel()):
            values[i] = phi_at(float(step))
            if step != 0:
                smallest = min(smallest, abs(float(step)))
        return values.reshape(t.shape)

    best = (math.nan, math.inf, 0.0)
    try:
        for step in _STEPS:
            smallest = math.inf
            found = derivative(
                phi, 0.0, initial_step=step, maxiter=5, tolerances={"rtol": 1e-10, "atol": 0.0}
            )
            if found.error < best[1]:
                rounding = _EPS * function.magnitude / smallest
                best = (float(found.df), float(found.error), rounding)
            if found.success:
                break
    finally:
        phi_at(0.0)  # leaves the variable and the state of the point itself
    return best


def _along(function: _Function, variable: Array, u: np.ndarray) -> Callable[[float], float]:
    """t ↦ φ(v + t u); ``variable`` keeps the last v + t u."""
    kept = variable.copy()
    u = namespace(variable).asarray(u)

    def phi_at(t: float) -> float:
        variable[...] = kept + t * u
        return function.value()

    return phi_at


def _jump(function: _Function, variable: Array, u: np.ndarray) -> float:
    """By how much the slopes of φ from the left and from the right differ.

    At the kink itself a central difference settles, on the mean of the two.
    """
    phi_at = _along(function, variable, u)
    h = 1e-5
    # 0 last: it leaves the state of the point itself
    phi = {i: phi_at(i * h) for i in (-2, -1, 1, 2, 0)}
    left = (3 * phi[0] - 4 * phi[-1] + phi[-2]) / (2 * h)
    right = (-3 * phi[0] + 4 * phi[1] - phi[2]) / (2 * h)
    return abs(right - left)


# -- one view of everything that can be checked ------------------------------------------


class _Function:
    """φ of named variables, which are changed in place; and ∂φ/∂ each, from the subject."""

    variables: dict[str, Array]
    magnitude: float = 0.0  # of the terms that φ sums, for its rounding

    def value(self) -> float:
        raise NotImplementedError

    def backward(self, problems: list[str]) -> dict[str, Array]:
        raise NotImplementedError


class _LossFunction(_Function):
    """φ = the loss itself."""

    def __init__(self, loss: Callable[..., Any], logits: Array, targets: Array) -> None:
        self.loss, self.logits, self.targets = loss, logits, targets
        self.variables = {"logits": logits}

    def value(self) -> float:
        value = float(self.loss(self.logits, self.targets)[0])
        self.magnitude = max(self.magnitude, abs(value))
        return value

    def backward(self, problems: list[str]) -> dict[str, Array]:
        return {"logits": self.loss(self.logits, self.targets)[1].copy()}


class _LayerFunction(_Function):
    """φ = ⟨dy, y⟩ for a layer or a network, or the loss of its output."""

    def __init__(
        self,
        layer: Any,
        x: Array,
        targets: Array | None,
        loss: Callable[..., Any] | None,
        training: bool,
        rng: np.random.Generator,
    ) -> None:
        self.layer, self.x, self.targets, self.loss = layer, x, targets, loss
        self.forward = layer if isinstance(layer, Layer) else layer.forward  # with its checks
        self.training = training
        parts = list(layer.walk())
        self.parameters: dict[str, tuple[Array, Array]] = {}
        for part in parts:
            prefix = "" if part is layer else f"{part.name}."
            gradients = part.gradients()
            for name, value in part.parameters().items():
                self.parameters[prefix + name] = (value, gradients[name])
        self.variables = {"x": x} | {name: value for name, (value, _) in self.parameters.items()}
        generators = [part.rng.bit_generator for part in parts if part.rng is not None]
        self.generators = [(generator, generator.state) for generator in generators]
        states = [array for part in parts for array in part.state().values()]
        self.states = [(array, array.copy()) for array in states]
        y = self._forward()
        self.dy = namespace(y).asarray(rng.standard_normal(y.shape))

    def _forward(self) -> Array:
        for generator, state in self.generators:
            generator.state = state
        y = self.forward(self.x, self.training)
        for state, kept in self.states:
            state[...] = kept
        return y

    def value(self) -> float:
        y = self._forward()
        if self.loss is not None:
            value = float(self.loss(y, self.targets)[0])
            self.magnitude = max(self.magnitude, abs(value))
            return value
        terms = y * self.dy
        self.magnitude = max(self.magnitude, float(abs(terms).sum()))
        return float(terms.sum())

    def backward(self, problems: list[str]) -> dict[str, Array]:
        """All gradients; the layer contract is checked on the way."""
        y = self._forward()
        dy = self.dy if self.loss is None else self.loss(y, self.targets)[1]
        before = dy.copy()
        first = self._backward(dy)
        if not bool((dy == before).all()):
            problems.append("backward changed dy, which belongs to the caller")
            dy[...] = before
        second = self._backward(dy)
        dy[...] = before
        for name, gradient in first.items():
            if not np.array_equal(to_numpy(gradient), to_numpy(second[name]), equal_nan=True):
                problems.append(f"a second backward gave another gradient of {name}")
        return first

    def _backward(self, dy: Array) -> dict[str, Array]:
        for _, gradient in self.parameters.values():
            gradient[...] = math.nan  # so that an entry that is not written shows
        dx = self.layer.backward(dy, input_gradient=True)
        gradients = {"x": dx.copy()}
        for name, (_, gradient) in self.parameters.items():
            gradients[name] = gradient.copy()
        return gradients


def _function(
    subject: Any,
    x: Array,
    targets: Array | None,
    loss: Callable[..., Any] | None,
    training: bool,
    rng: np.random.Generator,
) -> _Function:
    """The view of ``subject``, with every array that will be changed checked and copied."""
    if getattr(x, "dtype", None) != np.float64:
        raise TypeError(
            f"check_gradients: expected x as a float64 array or a shape, got "
            f"{getattr(x, 'dtype', type(x).__name__)}; float32 has too few digits for a "
            "numeric derivative"
        )
    x = x.copy()
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError("check_gradients: expected a finite x, got NaN or infinity in it")
    if hasattr(subject, "forward"):
        if loss is not None and targets is None:
            raise ValueError("check_gradients: expected targets for the loss, got none")
        return _LayerFunction(subject, x, targets, loss, training, rng)
    if targets is None:
        raise ValueError(f"check_gradients: expected targets for {_name(subject)}, got none")
    return _LossFunction(subject, x, targets)


def _name(loss: Any) -> str:
    return repr(loss)
