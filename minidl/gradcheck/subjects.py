"""A layer, a network, a loss or a function as φ of named variables, with its own gradients.

A piece may be right the first time and wrong in the next step of training, because it keeps
something from call to call, or assumes something of its input.  So there are ``call_variants``,
other ways to get the same gradients: a second call; another memory layout; after other batch
sizes and other parameters; without the gradient of the input.  And ``elsewhere`` is the same piece
with many examples and other parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minidl.backend import Array, Device, checks, is_array, namespace, to_numpy
from minidl.layers import Layer, Sequential
from minidl.losses import Loss
from minidl.network import Network

Gradients = dict[str, np.ndarray]  # by the name of the variable
Variants = dict[str, Callable[[], Gradients]]  # calls that give the same gradients, by name
Layout = Callable[[Any], Any]  # the same values at other places in memory
Vjp = Callable[[list[Any], list[Array]], Any]  # x, dy: the gradients of x

MOVE = 0.02  # how far an input is moved, relative to its size
NEARBY = 1e-15  # the same for a neighbour that differs by rounding only
FACTORS = ((-1.5, 1.5), (0.5, 1.5))  # by which a parameter is multiplied
STEPS = 3  # forward passes in training that move the state
MANY = 129, 10_000  # examples elsewhere, and their entries, at most


def copied(a: Any) -> Any:
    return a.copy()


class BrokenRule(Exception):
    """Gradients cannot be computed, since a rule of the contract is broken."""


class Subject:
    """φ of named variables, which are changed in place, and the gradients to be checked.

    φ = Σ ⟨dy_k, y_k⟩ over the outputs y_k; for a loss, φ is its value.
    """

    variables: dict[str, Array]
    rng: np.random.Generator
    mode: str = ""  # ", inference" if it is checked in training, too
    examples: int = 0
    problems: list[str]  # broken rules of the contract
    y: np.ndarray  # all outputs of the last ``gradients``, in a row
    near: Gradients  # those of a neighbour
    near_outputs: list[np.ndarray]  # its outputs
    returned: Sequence[tuple[str, Any, Any]] = ()  # what the first call returned, and copies of it

    def outputs(self) -> list[Array]:
        """y_1, y_2, … at the current values of the variables."""
        raise NotImplementedError

    def upstream(self, y: list[Array]) -> list[Any]:
        """dy_1, dy_2, …, the same in every call."""
        raise NotImplementedError

    def terms(self) -> Array:
        """What φ sums."""
        y = self.outputs()
        terms = [(one * dy).ravel() for one, dy in zip(y, self.upstream(y), strict=True)]
        return terms[0] if len(terms) == 1 else namespace(terms[0]).concatenate(terms)

    def gradients(self, layout: Layout = copied) -> Gradients:
        """∂φ/∂v for each variable v, after a forward pass; floats are given in that layout."""
        raise NotImplementedError

    def call_variants(self) -> Variants:
        """Other ways to compute the same gradients, with their names."""
        ndim = max((one.ndim for one in self.inputs()), default=0)
        return {
            f"a call with arrays that are {name}": partial(self.gradients, layout=layout)
            for name, (least, layout) in LAYOUTS.items()
            if ndim >= least
        }

    def inputs(self) -> list[Array]:
        """The arrays of floats that have a layout."""
        return [v for v in self.variables.values() if v.ndim]

    def use_otherwise(self) -> None:
        """A call with other values in arrays of the same shapes."""
        raise NotImplementedError

    def nearby(self) -> tuple[list[np.ndarray], Gradients]:
        """Outputs and gradients with every variable moved a little, relative to its value."""
        kept = {name: variable.copy() for name, variable in self.variables.items()}
        try:
            for variable in self.variables.values():
                noise = 1 + NEARBY * self.rng.standard_normal(variable.shape)
                variable *= namespace(variable).asarray(noise)
            return [to_numpy(y) for y in self.outputs()], self.gradients()
        finally:
            for name, variable in self.variables.items():
                variable[...] = kept[name]
            self.outputs()  # restores what the subject keeps of a forward pass at the point itself

    def elsewhere(self) -> Subject | None:
        """The same with many examples, if there are examples."""
        return None

    def expect_unchanged(self, who: str, name: str, given: Array, original: Array) -> None:
        if not bool((given == original).all()):
            self.problems.append(f"{who} changed {name}, which belongs to the caller")

    def fitting(self, found: dict[str, Any]) -> Gradients:
        """Copies of the gradients that have the shape and the type of their variable.

        NumPy would silently broadcast another shape.
        """
        gradients = {}
        for name, gradient in found.items():
            variable = self.variables[name]
            if not is_array(gradient):
                got = checks.describe(gradient)
            elif (gradient.shape, gradient.dtype) != (variable.shape, variable.dtype):
                got = f"{gradient.dtype} {gradient.shape}"
            else:
                gradients[name] = to_numpy(gradient).copy()
                continue
            layer, dot, short = name.rpartition(".")
            self.problems.append(
                f"expected {layer}{dot}d{short} as {variable.dtype} {variable.shape} like {name}, "
                f"got {got}"
            )
        return gradients


@dataclass(eq=False)
class LayerSubject(Subject):
    """φ = ⟨dy, y⟩ for a layer or a network, or the loss of its output."""

    layer: Any
    x: Array
    targets: Array | None
    loss: Callable[..., Any] | None
    training: bool
    modes: Sequence[bool]  # the values of ``training`` with which it is checked
    rng: np.random.Generator
    seed: int  # of dy, the same in all modes
    perturb: bool = True

    def __post_init__(self) -> None:
        layer, x = self.layer, self.x
        self.examples = len(x) if x.ndim else 0
        self.mode = ", inference" if len(self.modes) > 1 and not self.training else ""
        self.parameters = parameters(layer)
        self.variables = {name: value for name, (value, _) in self.parameters.items()}
        if x.dtype.kind == "f":  # tokens cannot be moved a little
            self.variables = {"x": x} | self.variables
        self.generators = [(bits, bits.state) for bits in generators(layer)]
        states = [array for part in layer.walk() for array in part.state().values()]
        self.states = [(array, array.copy()) for array in states]
        self.dy: Array | None = None  # its gradient
        self.problems = []

    # -- φ ----------------------------------------------------------------------------

    def forward(self) -> Array:
        """y, with the same random draws each time and without changing the state."""
        return self._run(self.x, self.training)

    def outputs(self) -> list[Array]:
        y = self.forward()
        return [y] if self.loss is None else [namespace(y).asarray(self.loss(y, self.targets)[0])]

    def upstream(self, y: list[Array]) -> list[Any]:
        if self.loss is not None:
            return [1.0]
        return [self._drawn(y[0]) if self.dy is None else self.dy]

    def _run(
        self, x: Array, training: bool, layout: Layout = copied, contract: bool = False
    ) -> Array:
        for bits, state in self.generators:
            bits.state = state
        given = layout(x)
        y = checked_forward(self.layer)(given, training)
        if contract:
            self.expect_unchanged("forward", "x", given, x)
            if not training and any(bool((array != kept).any()) for array, kept in self.states):
                self.problems.append("forward changed the state in inference")
            self.problems += broken_promises(self.layer, x, y)
        for array, kept in self.states:
            array[...] = kept
        return y

    # -- its gradients ----------------------------------------------------------------

    def inputs(self) -> list[Array]:
        return [self.x] if self.x.ndim else []

    def gradients(self, layout: Layout = copied) -> Gradients:
        y = self._run(self.x, self.training, layout, contract=True)
        self.y = to_numpy(y).ravel().copy()
        loss = self.loss
        self.dy = self._drawn(y) if loss is None else loss(y, self.targets)[1].copy()
        found = self.backward(layout=layout)
        self.returned = [*self.returned, ("y", y, y.copy())]
        return found

    def _drawn(self, y: Array) -> Array:
        draws = np.random.default_rng(self.seed)
        return namespace(y).asarray(draws.standard_normal(y.shape))

    def backward(self, input_gradient: bool | None = True, layout: Layout = copied) -> Gradients:
        """The gradients of the last forward pass; ``None`` uses the layer's default."""
        assert self.dy is not None
        given = layout(self.dy)
        for _, gradient in self.parameters.values():
            gradient[...] = math.nan  # so that an entry that is not written shows up
        options = {} if input_gradient is None else {"input_gradient": input_gradient}
        dx = self.layer.backward(given, **options)
        self.expect_unchanged("backward", "dy", given, self.dy)
        found = {name: gradient for name, (_, gradient) in self.parameters.items()}
        asked = input_gradient or (input_gradient is None and not isinstance(self.layer, Network))
        if asked and "x" in self.variables:  # the default of a network is the other one
            found = {"x": dx} | found
        fit = self.fitting(found)
        self.returned = [("dx", dx, dx.copy())] if "x" in fit else []
        return fit

    def call_variants(self) -> Variants:
        N = self.examples
        ways: Variants = {"a second backward": partial(self.backward, input_gradient=None)}
        ways |= super().call_variants()
        if N:
            ways["backward after a larger batch"] = partial(self._after, 2 * N)
        if N > 2:  # BatchNorm takes no batch of one
            ways["backward after a smaller batch"] = partial(self._after, N - 1)
        # After a larger batch, of which nothing may be left.
        without = partial(self._after, 2 * N) if N else self.backward
        ways["backward(dy, input_gradient=False)"] = partial(without, input_gradient=False)
        return ways

    def use_otherwise(self) -> None:
        self._use(self.x)

    def _after(self, N: int, input_gradient: bool = True) -> Gradients:
        """The gradients after a step with N examples and other parameters."""
        self._use(repeated(self.x, N))
        self.forward()
        return self.backward(input_gradient)

    def _use(self, x: Array) -> None:
        x = jittered(x, self.rng)
        with restored(self.layer):
            self._change_parameters()
            for training in self.modes:
                if training != self.training:
                    self._run(x, training)
            y = self._run(x, self.training)
            self.layer.backward(namespace(y).asarray(self.rng.standard_normal(y.shape)))

    def elsewhere(self) -> Subject | None:
        if not self.examples:
            return None
        self._change_parameters()
        return self._at(jittered(repeated(self.x, many(self.x)), self.rng))

    def with_equal_examples(self) -> LayerSubject | None:
        """The same where x is one example many times, as ``broadcast`` gives it."""
        if self.examples < 2:
            return None
        return self._at(broadcast(self.x).copy())

    def _at(self, x: Array) -> LayerSubject:
        return replace(self, x=x, targets=None, loss=None, seed=self.seed + 1, perturb=True)

    def _change_parameters(self) -> None:
        if self.perturb:
            for value, _ in self.parameters.values():
                value *= namespace(value).asarray(self.rng.uniform(0.8, 1.25, value.shape))


@dataclass(eq=False)
class FunctionSubject(Subject):
    """φ = Σ ⟨dy_k, y_k⟩ of the outputs y_k = f(x_1, x_2, …), with random dy_k."""

    owner: str
    f: Callable[..., Any]
    vjp: Vjp
    arguments: list[Any]
    names: list[str]
    rng: np.random.Generator
    seed: int
    dy_noise = 0.0

    def __post_init__(self) -> None:
        named = zip(self.names, self.arguments, strict=True)
        self.variables = {name: x for name, x in named if is_differentiable(x)}
        self.problems = []

    def outputs(self) -> list[Array]:
        return self._outputs(self._given(copied))

    def _outputs(self, given: list[Any]) -> list[Array]:
        y = self.f(*given)
        outputs = [as_array(one) for one in (y if isinstance(y, tuple | list) else (y,))]
        for one in outputs:
            if getattr(one, "dtype", None) != np.float64:
                raise TypeError(
                    f"{self.owner}: expected float64 from the function, got "
                    f"{getattr(one, 'dtype', type(one).__name__)}; a numeric derivative needs all "
                    "its digits, so compute in float64 throughout"
                )
        return outputs

    def upstream(self, y: list[Array]) -> list[Any]:
        draws, noise = np.random.default_rng(self.seed), np.random.default_rng(self.seed + 1)
        dy = [draws.standard_normal(one.shape) for one in y]
        dy = [one * (1 + self.dy_noise * noise.standard_normal(one.shape)) for one in dy]
        return [namespace(one).asarray(d) for one, d in zip(y, dy, strict=True)]

    def gradients(self, layout: Layout = copied) -> Gradients:
        given = self._given(layout)
        y = self._outputs(given)
        self._expect_inputs_unchanged("f", given)
        self.dy = self.upstream(y)
        self.y = np.concatenate([to_numpy(one).ravel() for one in y])
        return self.backward(layout)

    def nearby(self) -> tuple[list[np.ndarray], Gradients]:
        """Move dy as well: a linear function has the same gradients at every point."""
        self.dy_noise = NEARBY
        try:
            return super().nearby()
        finally:
            self.dy_noise = 0.0

    def call_variants(self) -> Variants:
        others: Variants = {"a call after other inputs": self._after_others}
        return {"a second call": self.backward} | super().call_variants() | others

    def _after_others(self) -> Gradients:
        self.use_otherwise()
        return self.gradients()

    def use_otherwise(self) -> None:
        others = self.others()
        self.vjp(others, self.upstream(self._outputs(others)))

    def others(self) -> list[Any]:
        """Other inputs, unless they are outside the domain of f."""
        others = jittered(self.arguments, self.rng)
        try:
            with np.errstate(all="ignore"):
                y = self._outputs([one.copy() if is_array(one) else one for one in others])
            inside = all(bool(namespace(one).isfinite(one).all()) for one in y)
        except Exception:  # noqa: BLE001  a ValueError of math, a LinAlgError
            inside = False
        return others if inside else self._given(copied)

    def elsewhere(self) -> Subject | None:
        return replace(self, arguments=self.others(), seed=self.seed + 1)

    def backward(self, layout: Layout = copied) -> Gradients:
        """The gradients with respect to the inputs of the last ``f``."""
        given, dy = self._given(layout), [layout(dy) for dy in self.dy]
        try:
            found = self.vjp(given, dy)
        except BrokenRule as error:
            self.problems.append(str(error))
            return {}
        self._expect_inputs_unchanged("the backward pass", given)
        for one, original in zip(dy, self.dy, strict=True):
            self.expect_unchanged("the backward pass", "dy", one, original)
        if not isinstance(found, tuple | list) and len(self.variables) == 1:
            named = dict.fromkeys(self.variables, as_array(found))
        elif not isinstance(found, tuple | list) or len(found) != len(self.arguments):
            got = f"{len(found)} of them" if isinstance(found, tuple | list) else "one alone"
            self.problems.append(
                f"expected gradients of all {len(self.arguments)} inputs "
                f"({', '.join(self.names)}), None for one that has none, got {got}"
            )
            return {}
        else:
            every = dict(zip(self.names, map(as_array, found), strict=True))
            named = {name: every[name] for name in self.variables}
        fit = self.fitting(named)
        self.returned = [(f"gradient of {name}", named[name], named[name].copy()) for name in fit]
        return fit

    def _given(self, layout: Layout) -> list[Any]:
        return [layout(one) if is_array(one) else one for one in self.arguments]

    def _expect_inputs_unchanged(self, who: str, given: list[Any]) -> None:
        for name, one, original in zip(self.names, given, self.arguments, strict=True):
            if is_array(original):
                self.expect_unchanged(who, name, one, original)


class LossSubject(FunctionSubject):
    """φ = the loss itself."""

    def __init__(
        self, loss: Callable[..., Any], logits: Array, targets: Any, rng: np.random.Generator
    ) -> None:
        inputs, names = [logits, targets], ["logits", "targets"]
        super().__init__("the loss", lambda z, t: loss(z, t)[0], self._vjp, inputs, names, rng, 0)
        self.loss, self.variables = loss, {"logits": logits}
        by_example = getattr(targets, "shape", ())[:1] == logits.shape[:1] != ()
        self.examples = len(logits) if by_example else 0

    def _vjp(self, inputs: list[Any], dy: list[Array]) -> Any:
        if isinstance(self.loss, Loss):
            shape = np.shape(self.loss.per_example(*inputs)[0])
            if shape != inputs[0].shape[:1]:
                self.problems.append(
                    "expected per_example(z, t) to return one loss per example "
                    f"{inputs[0].shape[:1]}, got {shape}: the mean over the batch is taken "
                    "afterwards, once more"
                )
        return [self.loss(*inputs)[1], None]

    def upstream(self, y: list[Array]) -> list[Any]:
        return [namespace(one).ones_like(one) for one in y]

    def others(self) -> list[Any]:
        """Other logits, twice as many if there are examples."""
        logits, targets = self.arguments
        if self.examples:
            targets = repeated(targets, 2 * self.examples)
            logits = repeated(logits, 2 * self.examples)
        return [jittered(logits, self.rng), targets]

    def elsewhere(self) -> Subject | None:
        if not self.examples:
            return None
        N = many(self.arguments[0])
        logits, targets = (repeated(one, N) for one in self.arguments)
        return LossSubject(self.loss, jittered(logits, self.rng), targets, self.rng)


# -- rules ------------------------------------------------------------------------------------


def broken_promises(layer: Any, x: Array, y: Any) -> list[str]:
    """What forward must keep and return besides the numbers; in a network, that of each layer."""
    found: list[str] = []
    if not isinstance(layer, Layer) or isinstance(layer, Sequential):
        for inner in layer.layers:
            if not hasattr(inner, "y"):  # backward will say so
                break
            if isinstance(inner, Sequential) or not inner.layers:
                found += [f"{inner.name}: {text}" for text in broken_promises(inner, x, inner.y)]
            x = inner.y
        return found
    kept = getattr(layer, "y", None)
    if getattr(kept, "shape", None) != y.shape or not bool((kept == y).all()):
        found.append("forward does not keep what it returns in self.y; a network needs it there")
    if y.dtype != np.float64:
        found.append(f"expected y as float64 like x, got {y.dtype}")
    with suppress(ValueError):  # of a shape that only the layer by itself accepts
        said = tuple(layer.output_shape(x.shape[1:])) if x.ndim else y.shape[1:]
        if said != y.shape[1:]:
            found.append(
                f"output_shape({x.shape[1:]}) says {said}, but forward returns {y.shape[1:]} per "
                "example; the next layer of a network is built for what it says"
            )
    return found


def in_float32(single: Layer, x: Array, training: bool, device: Device) -> list[str]:
    """What changes the type where a layer that was not built yet is used in float32."""
    try:
        single.build(0, np.float32, device)
        y = single.forward(x.astype(np.float32) if x.dtype.kind == "f" else x, training)
        dx = single.backward(y.copy())
    except Exception as error:  # noqa: BLE001  whatever a layer raises is a finding
        return [f"in a float32 network it raised {described(error)}"]
    return [
        f"in a float32 network, {name} is {array.dtype}: use the type of x"
        for name, array in (("y", y), ("dx", dx))
        if array is not None and array.dtype != np.float32
    ]


def described(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


# -- layouts: the same values at other places in memory -----------------------------------------


def batch_last(a: Any) -> Any:
    """As the convolutions and pools of minidl hand on their images."""
    xp = namespace(a)
    return xp.moveaxis(xp.ascontiguousarray(xp.moveaxis(a, 0, -1)), -1, 0) if a.ndim else a.copy()


def transposed(a: Any) -> Any:
    return namespace(a).ascontiguousarray(a.T).T


def backwards(a: Any) -> Any:
    turned = (slice(None, None, -1),) * a.ndim
    return namespace(a).ascontiguousarray(a[turned])[turned]


def broadcast(a: Any) -> Any:
    """The first example as all of them, with a stride of 0."""
    return namespace(a).broadcast_to(a[:1], a.shape)


LAYOUTS: dict[str, tuple[int, Layout]] = {  # with the least number of axes at which they differ
    "batch last in memory": (2, batch_last),
    "transposed in memory": (3, transposed),
    "reversed in memory": (1, backwards),
}


# -- points: away from initial values, and restored afterwards --------------------------------


@contextmanager
def restored(layer: Any) -> Iterator[None]:
    """Restore parameters, state and generators of all inner layers at the end, in any case."""
    parts = list(layer.walk())
    arrays = [a for part in parts for a in (*part.parameters().values(), *part.state().values())]
    kept = [array.copy() for array in arrays]
    drawn = [(bits, bits.state) for bits in generators(layer)]
    try:
        yield
    finally:
        for array, values in zip(arrays, kept, strict=True):
            array[...] = values
        for bits, state in drawn:
            bits.state = state


def parameters(layer: Any) -> dict[str, tuple[Array, Array]]:
    """Values and gradients of all inner layers by name."""
    found = {}
    for part in layer.walk():
        prefix, gradients = "" if part is layer else f"{part.name}.", part.gradients()
        for name, value in part.parameters().items():
            found[prefix + name] = (value, gradients[name])
    return found


def checked_forward(layer: Any) -> Callable[[Array, bool], Array]:
    """The function that takes a batch and checks it first, once for everything that follows."""
    return layer if isinstance(layer, Layer) else layer.forward


def generators(layer: Any) -> list[np.random.BitGenerator]:
    """The generators of all inner layers that draw random numbers in a step."""
    return [part.rng.bit_generator for part in layer.walk() if part.rng is not None]


def perturb_parameters(layer: Any, x: Array, mode: bool, rng: np.random.Generator) -> None:
    """Move parameters and state from their initial values: b = 0, γ = 1, β = 0 hide errors.

    Every entry is multiplied by its own number from −1.5 to 1.5; from 0.5 to 1.5 if y would
    not be finite otherwise, as with a parameter that must be positive.  A zero becomes a number
    of the size of the parameter's root mean square, or of 1 if all entries are zero.  The state
    is updated with a few batches like ``x``, as in training.
    """
    values = [value for part in layer.walk() for value in part.parameters().values()]
    starts = [to_numpy(value).copy() for value in values]
    for low, high in FACTORS:
        for value, start in zip(values, starts, strict=True):
            factor = rng.uniform(low, high, start.shape)
            size = np.sqrt(np.mean(np.square(start))) or 1.0
            scattered = np.where(start == 0, size * (factor - (low + high) / 2), start * factor)
            value[...] = namespace(value).asarray(scattered)
        with np.errstate(all="ignore"):
            y = checked_forward(layer)(x, mode)
        if bool(namespace(y).isfinite(y).all()):
            break
    if any(part.state() for part in layer.walk()):
        for _ in range(STEPS):
            layer.forward(jittered(repeated(x, 2 * len(x)), rng), True)


def float_point(owner: str, name: str, x: Any, rng: np.random.Generator, device: Device) -> Array:
    """``x`` itself, if it is finite and float64, or drawn if it is a shape."""
    if isinstance(x, tuple):
        shape = tuple(checks.integer(owner, f"each size of {name}", n) for n in x)
        x = device.asarray(rng.standard_normal(shape))
    if getattr(x, "dtype", None) != np.float64 or not is_array(x):
        raise TypeError(
            f"{owner}: expected {name} to be a float64 array or a shape, got "
            f"{getattr(x, 'dtype', type(x).__name__)}; float32 has too few digits for a "
            "numeric derivative"
        )
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError(f"{owner}: expected a finite {name}, got NaN or infinity in it")
    return x


def jittered(x: Any, rng: np.random.Generator) -> Any:
    """``x``, an array or a list, with every float moved by about 2%; anything else unchanged.

    A zero is moved by 2% of the size of the array.
    """
    if isinstance(x, list):
        return [jittered(one, rng) for one in x]
    if not is_array(x) or x.dtype.kind != "f":  # integers: a neighbour would be something else
        return x
    xp, own = namespace(x), abs(x)
    common = float((own * own).mean()) ** 0.5 or 1.0
    size = xp.where(own == 0, common, own)
    return xp.asarray(x + size * xp.asarray(MOVE * rng.standard_normal(x.shape)))


def repeated(a: Any, N: int) -> Any:
    """N examples: those of ``a`` from the last one on, again and again."""
    rows = -1 - np.arange(N) % len(a)
    return a[namespace(a).asarray(rows)]


def many(x: Array) -> int:
    examples, entries = MANY
    return min(examples, max(len(x) + 1, entries * len(x) // x.size))


def is_differentiable(x: Any) -> bool:
    """Whether it is an array of floats, or the shape of one."""
    if is_array(x):
        return x.dtype.kind == "f"
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def as_array(value: Any) -> Any:
    """NumPy's and Python's numbers as arrays; anything else unchanged."""
    return np.asarray(value) if isinstance(value, float | np.generic) else value
