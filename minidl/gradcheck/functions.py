"""The check for code outside minidl: a function and its claimed derivative.

There are two forms: a pair of functions, f and its vector-Jacobian product, with any number of
inputs and outputs; and SciPy's ``fun`` and ``jac``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.backend import Array, Device, checks, get_device, is_array, namespace
from minidl.gradcheck.judge import Judge
from minidl.gradcheck.point import float_point, moved
from minidl.gradcheck.result import GradientCheck
from minidl.gradcheck.subjects import Gradients, Problems, Subject, expect_unchanged, fitting

Pull = Callable[[list[Any], list[Array], Problems], Any]  # x, dy, problems: the gradients of x
NONE = object()  # stands for gradients that cannot be computed, for a reason in problems


def assert_vjp(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_vjp` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True  # pytest then shows the line of the test and the table
    return check_vjp(*arguments, **options).asserted()


def assert_jac(*arguments: Any, **options: Any) -> GradientCheck:
    """:func:`check_jac` as a test: raises :class:`GradientError` with its table."""
    __tracebackhide__ = True
    return check_jac(*arguments, **options).asserted()


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

    def pull(inputs: list[Any], dy: list[Array], problems: Problems) -> Any:
        return vjp(*inputs, *dy)

    rng = checks.generator(owner, rng)
    judge = Judge(owner, rng, directions, elementwise, tolerance)
    return _checked(owner, f, pull, x, _names(f, len(x)), judge, attempts, get_device(device))


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

    def pull(inputs: list[Any], dy: list[Array], problems: Problems) -> Any:
        J = fun(*inputs, *args)[1] if jac is True else jac(*inputs, *args)  # type: ignore[operator]
        J = np.asarray(J.toarray() if hasattr(J, "toarray") else J)
        ((x,), (dy_,)) = inputs, dy
        shape = dy_.shape + x.shape
        if dy_.size == 1 and J.shape == x.shape:
            J = J.reshape(shape)
        if J.shape != shape:
            turned = ": the other way round?" if J.T.shape == shape else ""
            problems.append(f"expected jac {shape} for x {x.shape}, got {J.shape}{turned}")
            return NONE
        return np.tensordot(dy_, J, axes=dy_.ndim)

    f.__name__ = getattr(fun, "__name__", repr(fun))
    rng = checks.generator(owner, rng)
    judge = Judge(owner, rng, directions, elementwise, tolerance)
    return _checked(owner, f, pull, (x,), ["x"], judge, attempts, get_device("cpu"))


def _checked(
    owner: str,
    f: Callable[..., Any],
    pull: Pull,
    x: Sequence[Any],
    names: list[str],
    judge: Judge,
    attempts: int,
    device: Device,
) -> GradientCheck:
    checks.whole(owner, "attempts", attempts, least=0)
    rng = judge.rng
    point = [
        float_point(owner, name, one, rng, device) if _is_differentiable(one) else one
        for name, one in zip(names, x, strict=True)
    ]
    if not any(map(_is_differentiable, x)):
        raise ValueError(
            f"{owner}: expected an input that is a float64 array or a shape, got "
            f"{', '.join(map(checks.shown, x)) or 'none'}"
        )

    def subjects(point: list[Any]) -> list[Subject]:
        copies = [one.copy() if is_array(one) else one for one in point]
        return [FunctionSubject(owner, f, pull, copies, names, rng, int(rng.integers(2**32)))]

    name = getattr(f, "__name__", repr(f))
    return judge.at_a_smooth_point(name, subjects, point, attempts)


class FunctionSubject(Subject):
    """φ = Σ ⟨dy_k, y_k⟩ of the outputs y_k = f(x_1, x_2, …), with random dy_k."""

    def __init__(
        self,
        owner: str,
        f: Callable[..., Any],
        pull: Pull,
        inputs: list[Any],
        names: list[str],
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        self.owner, self.f, self.pull, self.rng, self.seed = owner, f, pull, rng, seed
        self.inputs, self.names = inputs, names
        named = zip(names, inputs, strict=True)
        self.variables = {name: x for name, x in named if _is_differentiable(x)}
        self.blur: np.random.Generator | None = None  # moves dy by a billionth

    def value(self) -> float:
        y = self._outputs(self._copies(self.inputs))
        terms = [one * dy for one, dy in zip(y, self._upstream(y), strict=True)]
        self.magnitude = max(self.magnitude, float(sum(abs(t).sum() for t in terms)))
        return float(sum(t.sum() for t in terms))

    def gradients(self, problems: Problems) -> Gradients:
        given = self._copies(self.inputs)
        y = self._outputs(given)
        self._expect_unchanged("f", given, problems)
        self.dy = self._upstream(y)
        return self._pulled(problems)

    def nearby(self, rng: np.random.Generator) -> Gradients:
        """Move dy as well: a linear function has the same gradients at every point."""
        self.blur = rng
        try:
            return super().nearby(rng)
        finally:
            self.blur = None

    def other_ways(self) -> dict[str, Callable[[Problems], Gradients]]:
        return {"a second call": self._pulled, "a call after other inputs": self._after_others}

    def _after_others(self, problems: Problems) -> Gradients:
        others = moved(self.inputs, self.rng)
        self._outputs(others)
        self.pull(others, [dy.copy() for dy in self.dy], [])
        return self.gradients(problems)

    def _pulled(self, problems: Problems) -> Gradients:
        """The gradients with respect to the inputs of the last ``f``."""
        given, dy = self._copies(self.inputs), [dy.copy() for dy in self.dy]
        found = self.pull(given, dy, problems)
        self._expect_unchanged("the backward pass", given, problems)
        for one, original in zip(dy, self.dy, strict=True):
            expect_unchanged(problems, "the backward pass", "dy", one, original)
        if found is NONE:
            return {}
        if not isinstance(found, tuple | list) and len(self.variables) == 1:
            return fitting(problems, dict.fromkeys(self.variables, _array(found)), self.variables)
        if not isinstance(found, tuple | list) or len(found) != len(self.inputs):
            got = f"{len(found)} of them" if isinstance(found, tuple | list) else "one alone"
            problems.append(
                f"expected gradients of all {len(self.inputs)} inputs ({', '.join(self.names)}), "
                f"None for one that has none, got {got}"
            )
            return {}
        named = dict(zip(self.names, map(_array, found), strict=True))
        return fitting(problems, {n: named[n] for n in self.variables}, self.variables)

    def _outputs(self, inputs: list[Any]) -> list[Array]:
        y = self.f(*inputs)
        outputs = [_array(one) for one in (y if isinstance(y, tuple | list) else (y,))]
        for one in outputs:
            if getattr(one, "dtype", None) != np.float64:
                raise TypeError(
                    f"{self.owner}: expected float64 from the function, got "
                    f"{getattr(one, 'dtype', type(one).__name__)}; a numeric derivative needs all "
                    "its digits, so compute in float64 throughout"
                )
        return outputs

    def _upstream(self, y: list[Array]) -> list[Array]:
        draws = np.random.default_rng(self.seed)
        dy = [draws.standard_normal(one.shape) for one in y]
        if self.blur is not None:
            dy = [one * (1 + 1e-9 * self.blur.standard_normal(one.shape)) for one in dy]
        return [namespace(one).asarray(d) for one, d in zip(y, dy, strict=True)]

    def _copies(self, inputs: list[Any]) -> list[Any]:
        return [one.copy() if is_array(one) else one for one in inputs]

    def _expect_unchanged(self, who: str, given: list[Any], problems: Problems) -> None:
        for name, one, original in zip(self.names, given, self.inputs, strict=True):
            if is_array(original):
                expect_unchanged(problems, who, name, one, original)


def _is_differentiable(x: Any) -> bool:
    """Whether it is an array of floats, or the shape of one."""
    if is_array(x):
        return x.dtype.kind == "f"
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def _array(value: Any) -> Any:
    """NumPy's and Python's numbers as arrays; anything else unchanged."""
    return np.asarray(value) if isinstance(value, float | np.generic) else value


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
        raise TypeError(f"{owner}: expected {name} to be a function, got {checks.shown(value)}")
