"""A layer, a network or a loss as a function φ of named variables, with its own gradients.

A backward pass can be called in more than one way, and a layer may be right in one and
wrong in another.  So ``every_way`` calls it a second time; after a larger batch, whose
numbers may still be in the arrays that the layer keeps; and without the gradient of the
input, as training calls the first layer of a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.backend import Array, checks, is_array, namespace, to_numpy
from minidl.gradcheck.point import door, generators, larger_batch
from minidl.layers import Layer

Gradients = dict[str, np.ndarray]  # by the name of the variable
Problems = list[str]  # broken rules of the layer contract


class Subject:
    """φ of named variables, which are changed in place, and the gradients to be checked."""

    variables: dict[str, Array]
    magnitude: float = 0.0  # the largest of the terms that φ summed, since it was set to 0
    mode: str = ""  # ", inference" if it is checked in training, too

    def value(self) -> float:
        """φ of the current values of the variables."""
        raise NotImplementedError

    def gradients(self, problems: Problems) -> Gradients:
        """∂φ/∂v for each variable v, in the usual way."""
        raise NotImplementedError

    def other_ways(self) -> dict[str, Callable[[Problems], Gradients]]:
        """Other ways to compute the same gradients, with their names."""
        raise NotImplementedError

    def every_way(self, problems: Problems) -> dict[str, Gradients]:
        """``gradients`` under ``""``, and those of all other ways under their names."""
        found = {"": self.gradients(problems)}
        for way, call in self.other_ways().items():
            of_this_way: Problems = []
            try:
                found[way] = call(of_this_way)
            except Exception as error:  # noqa: BLE001  whatever a layer raises is a finding
                problems.append(f"{way} raised {described(error)}")
            problems += [f"{way}: {text}" for text in of_this_way if text not in problems]
        return found

    def nearby(self, rng: np.random.Generator) -> Gradients:
        """The gradients with every variable moved by a billionth of its value."""
        kept = {name: variable.copy() for name, variable in self.variables.items()}
        try:
            for variable in self.variables.values():
                noise = 1 + 1e-9 * rng.standard_normal(variable.shape)
                variable *= namespace(variable).asarray(noise)
            return self.gradients([])
        finally:
            for name, variable in self.variables.items():
                variable[...] = kept[name]
            self.value()  # restores what the subject keeps of a forward pass at the point itself


class LossSubject(Subject):
    """φ = the loss itself."""

    def __init__(
        self, loss: Callable[..., Any], logits: Array, targets: Any, rng: np.random.Generator
    ) -> None:
        self.loss, self.logits, self.targets, self.rng = loss, logits, targets, rng
        self.variables = {"logits": logits}

    def value(self) -> float:
        value = float(self.loss(self.logits, self.targets)[0])
        self.magnitude = max(self.magnitude, abs(value))
        return value

    def gradients(self, problems: Problems) -> Gradients:
        given = self.logits.copy()
        gradient = self.loss(given, self.targets)[1]
        expect_unchanged(problems, "the loss", "logits", given, self.logits)
        return fitting(problems, {"logits": gradient}, self.variables)

    def other_ways(self) -> dict[str, Callable[[Problems], Gradients]]:
        ways: dict[str, Callable[[Problems], Gradients]] = {"a second call": self.gradients}
        if getattr(self.targets, "shape", ())[:1] == self.logits.shape[:1] != ():
            ways["a call after a larger batch"] = self._after_a_larger_batch
        return ways

    def _after_a_larger_batch(self, problems: Problems) -> Gradients:
        targets = namespace(self.targets).concatenate([self.targets[::-1], self.targets])
        self.loss(larger_batch(self.logits, self.rng), targets)
        return self.gradients(problems)


class LayerSubject(Subject):
    """φ = ⟨dy, y⟩ for a layer or a network, or the loss of its output.

    ``modes`` are the values of ``training`` with which it is checked, including this one;
    ``seed`` is that of dy, the same for all of them.
    """

    def __init__(
        self,
        layer: Any,
        x: Array,
        targets: Array | None,
        loss: Callable[..., Any] | None,
        training: bool,
        modes: Sequence[bool],
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        self.layer, self.x, self.targets, self.loss = layer, x, targets, loss
        self.training, self.modes, self.rng, self.seed = training, modes, rng, seed
        self.mode = ", inference" if len(modes) > 1 and not training else ""
        parts = list(layer.walk())
        self.parameters: dict[str, tuple[Array, Array]] = {}
        for part in parts:
            prefix = "" if part is layer else f"{part.name}."
            gradients = part.gradients()
            for name, value in part.parameters().items():
                self.parameters[prefix + name] = (value, gradients[name])
        self.variables = {name: value for name, (value, _) in self.parameters.items()}
        if x.dtype.kind == "f":  # tokens cannot be moved a little
            self.variables = {"x": x} | self.variables
        self.generators = [(bits, bits.state) for bits in generators(layer)]
        states = [array for part in parts for array in part.state().values()]
        self.states = [(array, array.copy()) for array in states]
        self.y: np.ndarray | None = None  # of the last ``gradients``
        self.dy: Array | None = None  # its gradient

    # -- φ ----------------------------------------------------------------------------

    def forward(self) -> Array:
        """y, with the same random draws each time and without changing the state."""
        return self._run(self.x, self.training)

    def value(self) -> float:
        y = self.forward()
        if self.loss is not None:
            value = float(self.loss(y, self.targets)[0])
            self.magnitude = max(self.magnitude, abs(value))
            return value
        terms = y * (self._drawn(y) if self.dy is None else self.dy)
        self.magnitude = max(self.magnitude, float(abs(terms).sum()))
        return float(terms.sum())

    def _run(self, x: Array, training: bool, problems: Problems | None = None) -> Array:
        for bits, state in self.generators:
            bits.state = state
        given = x.copy()
        y = door(self.layer)(given, training)
        if problems is not None:
            expect_unchanged(problems, "forward", "x", given, x)
            if not training and any(bool((array != kept).any()) for array, kept in self.states):
                problems.append("forward changed the state in inference")
        for array, kept in self.states:
            array[...] = kept
        return y

    # -- its gradients ----------------------------------------------------------------

    def gradients(self, problems: Problems) -> Gradients:
        y = self._run(self.x, self.training, problems)
        self.y = to_numpy(y).copy()
        loss = self.loss
        self.dy = self._drawn(y) if loss is None else loss(y, self.targets)[1].copy()
        return self.backward(problems)

    def _drawn(self, y: Array) -> Array:
        draws = np.random.default_rng(self.seed)
        return namespace(y).asarray(draws.standard_normal(y.shape))

    def backward(self, problems: Problems, input_gradient: bool | None = True) -> Gradients:
        """The gradients of the last forward pass; ``None`` uses the layer's default."""
        assert self.dy is not None
        given = self.dy.copy()
        for _, gradient in self.parameters.values():
            gradient[...] = math.nan  # so that an entry that is not written shows up
        if input_gradient is None:
            dx = self.layer.backward(given)
        else:
            dx = self.layer.backward(given, input_gradient=input_gradient)
        expect_unchanged(problems, "backward", "dy", given, self.dy)
        found = {name: gradient for name, (_, gradient) in self.parameters.items()}
        asked = input_gradient or (input_gradient is None and isinstance(self.layer, Layer))
        if asked and "x" in self.variables:  # the default of a network is the other one
            found = {"x": dx} | found
        return fitting(problems, found, self.variables)

    def other_ways(self) -> dict[str, Callable[[Problems], Gradients]]:
        ways: dict[str, Callable[[Problems], Gradients]] = {
            "a second backward": lambda problems: self.backward(problems, input_gradient=None)
        }
        if self.x.ndim:
            ways["backward after a larger batch"] = self._after_a_larger_batch
        ways["backward(dy, input_gradient=False)"] = self._without_input_gradient
        return ways

    def _after_a_larger_batch(self, problems: Problems, input_gradient: bool = True) -> Gradients:
        x = larger_batch(self.x, self.rng)
        for training in self.modes:
            if training != self.training:
                self._run(x, training)
        y = self._run(x, self.training)
        self.layer.backward(namespace(y).asarray(self.rng.standard_normal(y.shape)))
        self.forward()
        return self.backward(problems, input_gradient)

    def _without_input_gradient(self, problems: Problems) -> Gradients:
        """The gradients after a larger batch, of which nothing may be left."""
        if self.x.ndim:
            return self._after_a_larger_batch(problems, input_gradient=False)
        return self.backward(problems, input_gradient=False)


def expect_unchanged(
    problems: Problems, who: str, name: str, given: Array, original: Array
) -> None:
    if not bool((given == original).all()):
        problems.append(f"{who} changed {name}, which belongs to the caller")


def fitting(problems: Problems, found: dict[str, Any], variables: dict[str, Array]) -> Gradients:
    """Copies of the gradients that have the shape and the type of their variable.

    NumPy would silently broadcast another shape.
    """
    gradients = {}
    for name, gradient in found.items():
        variable = variables[name]
        if not is_array(gradient):
            got = checks.shown(gradient)
        elif (gradient.shape, gradient.dtype) != (variable.shape, variable.dtype):
            got = f"{gradient.dtype} {gradient.shape}"
        else:
            gradients[name] = to_numpy(gradient).copy()
            continue
        layer, dot, short = name.rpartition(".")
        problems.append(
            f"expected {layer}{dot}d{short} as {variable.dtype} {variable.shape} like {name}, "
            f"got {got}"
        )
    return gradients


def described(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
