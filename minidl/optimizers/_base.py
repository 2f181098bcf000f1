"""What all update rules share: learning rate, L2 penalty, clipping, and the vectors of a rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np

from minidl.backend import Array, address, checks, is_array, namespace

Rate: TypeAlias = float | Callable[[int], float]  # a number, or a function of the steps done


class _Complete(type):
    """The metaclass of the rules: it marks a rule as complete when its constructor is done."""

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        made = super().__call__(*arguments, **options)
        made._is_complete = True
        return made


class Optimizer(metaclass=_Complete):
    """Base class of all rules: L2 penalty and clipping of the gradient's global norm.

    Parameters
    ----------
    learning_rate : η, a number, or a function of the number of steps done: step t = 1, 2, … uses
        ``learning_rate(t − 1)``, for example :class:`~minidl.LinearWarmUp`.  It may be set
        between steps
    l2 : λ of a penalty ½ λ ‖θ‖² on all parameters, biases included: the rule
        sees g = ∇θ + λ θ.  The reported loss does not contain it.
    clip_norm : where given, ∇θ is scaled down to this L2 norm if it is longer,
        before the penalty is added

    ``dtheta`` itself is never changed: after a step it still holds ∇θ.

    A rule belongs to the θ of its first step.  Attributes that its class does not have cannot be
    set: a rule of your own names the vectors that it keeps in ``slots``, so that a checkpoint has
    them, and sets everything else in ``__init__``.
    """

    slots: tuple[str, ...] = ()  # names of the vectors that a rule keeps, like θ in size
    _is_complete: bool = False  # whether the constructor is done
    _theta: Array | None = None  # that of its network; a copy of the rule has none yet

    def __init__(
        self, learning_rate: Rate, l2: float = 0.0, clip_norm: float | None = None
    ) -> None:
        name = type(self).__name__
        if not callable(learning_rate):
            checks.positive(name, "learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.l2 = checks.not_negative(name, "l2", l2)
        self.clip_norm = (
            None if clip_norm is None else checks.positive(name, "clip_norm", clip_norm)
        )
        self.t = 0  # steps done

    @property
    def learning_rate(self) -> Rate:
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:  # a schedule may end at 0
        name = type(self).__name__
        if not callable(value):
            self._learning_rate: Rate = checks.not_negative(name, "learning_rate", value)
            return
        if getattr(value, "counts", "steps") != "steps":
            raise ValueError(
                f"{name}: expected learning_rate to be a function of the steps done, "
                f"got {value!r}, which counts epochs; fit(…, schedule=…) takes it"
            )
        checks.not_negative(name, "learning_rate(0)", value(0))
        self._learning_rate = value

    def rate(self, t: int) -> float:
        """η of step ``t``, counting from 1."""
        rate = self._learning_rate
        if not callable(rate):
            return rate
        return checks.not_negative(type(self).__name__, f"learning_rate({t - 1})", rate(t - 1))

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_complete and not (name in self.slots or hasattr(self, name) or name[0] == "_"):
            public = [known for known in (*vars(self), "learning_rate") if known[0] != "_"]
            close = ["learning_rate"] if name == "lr" else get_close_matches(name, public, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            if not close and type(self).__module__ != __name__:
                hint = (
                    ", unless __init__ sets it or, of a vector that the rule keeps, slots names it"
                )
            raise AttributeError(
                f"{type(self).__name__}: has no {name}, so nothing would read it{hint}"
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """A copy goes on with the first θ that it gets, perhaps a copy, too."""
        return vars(self) | {"_theta": None}

    def __copy__(self) -> Optimizer:
        return copy.deepcopy(self)  # two rules never share a vector

    def step(self, theta: Array, dtheta: Array) -> None:
        """Update ``theta`` ``(P,)`` in place from the gradient ``dtheta`` ``(P,)``."""
        if self.t == 0 or theta is not self._theta or dtheta.shape != theta.shape:
            self._begin(theta, dtheta)
        self.t += 1
        self.update(theta, self._gradient(theta, dtheta), *self.coefficients(self.t))

    def _begin(self, theta: Array, dtheta: Array) -> None:
        """Check the vectors, which are those of the first step, or a copy's first ones."""
        name, is_first = type(self).__name__, self.t == 0
        self.expect_own(theta)
        for what, vector in (("theta", theta), ("dtheta", dtheta)):
            if getattr(getattr(vector, "dtype", None), "kind", "") != "f":
                checks.floats(name, what, vector)
        size = theta.size if is_first else self._size
        if not theta.shape == dtheta.shape == (size,):
            raise ValueError(
                f"{name}: expected theta and dtheta ({size},) as in the first step, "
                f"got {theta.shape} and {dtheta.shape}; make a new optimizer for each network"
            )
        if is_first:
            self.resume(theta, 0, {})
        elif self._theta is None:  # a copy
            self._theta = theta

    def resume(self, theta: Array, t: int, slots: Mapping[str, Array]) -> None:
        """Continue after ``t`` steps on ``theta`` ``(P,)``; vectors not in ``slots`` are zeros."""
        self._size = theta.size
        self._theta = theta
        self.t = t
        for name in self.slots:
            vector = namespace(theta).zeros_like(theta)
            if name in slots:
                vector[...] = namespace(theta).asarray(slots[name])
            setattr(self, name, vector)

    def expect_own(self, theta: Array) -> None:
        """Raise ``ValueError`` if the rule belongs to another θ."""
        if self._theta is not None and not _is_same(theta, self._theta):
            raise ValueError(
                f"{type(self).__name__}: has the moments of another network, that of its "
                "first step; make a new optimizer for each network"
            )

    def expect_network(self, network: Any) -> None:
        """Raise ``ValueError`` if the rule, or the one that it is a copy of, cannot train it."""
        self.expect_own(network.theta)

    def coefficients(self, t: int) -> tuple[float, ...]:
        """The numbers of the rule in step ``t``, counting from 1; a recorded step reads them."""
        return (self.rate(t),)

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        """Update ``theta`` and the slots, not ``g``, with the numbers of this step."""
        raise NotImplementedError

    def _gradient(self, theta: Array, dtheta: Array) -> Array:
        """g = c ∇θ + λ θ, c = min(1, clip_norm / ‖∇θ‖); ∇θ itself if neither is requested."""
        g = dtheta
        if self.clip_norm is not None:
            with np.errstate(divide="ignore"):  # a gradient of zeros is not clipped
                g = g * np.minimum(1, self.clip_norm / np.sqrt(dtheta @ dtheta))
        return g if self.l2 == 0.0 else g + self.l2 * theta


def _is_same(a: Any, b: Array) -> bool:
    return a is b or (is_array(a) and a.size == b.size and address(a) == address(b))
