"""Update rules on the two flat vectors: θ ← θ − step(∇θ).

A rule is a loop of a few lines over the vectors (see :mod:`minidl.kernel`), and a class that
holds its hyperparameters.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
from numpy import sqrt

from minidl.backend import Array, address, checks, is_array, namespace
from minidl.kernel import chunks, kernel

Rate: TypeAlias = float | Callable[[int], float]  # a number, or a function of the steps done


def rate_identity(rate: Rate) -> str:
    """What tells one learning rate from another, for the record of a training run.

    That is the number, or the ``repr`` of a schedule of minidl; of any other function, its name
    and its values after 0, 1, 2, 4, 8, … steps.
    """
    if not callable(rate) or hasattr(rate, "counts"):
        return repr(rate)
    values: list[float] = []
    with suppress(Exception):  # it may be a table that ends
        values += (float(rate(t)) for t in (0, *(2**k for k in range(21))))
    return f"{getattr(rate, '__qualname__', type(rate).__qualname__)}{values}"


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
        if is_first:
            checks.floats(name, "theta", theta)
            checks.floats(name, "dtheta", dtheta)
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


@kernel
def sgd(theta, g, eta):
    for i in chunks(theta.size):
        theta[i] -= eta * g[i]


@kernel
def momentum(theta, g, v, eta, mu):
    for i in chunks(theta.size):
        v[i] = mu * v[i] + g[i]
        theta[i] -= eta * v[i]


@kernel
def nesterov_momentum(theta, g, v, eta, mu):
    for i in chunks(theta.size):
        v[i] = mu * v[i] + g[i]
        theta[i] -= eta * (mu * v[i] + g[i])


class SGD(Optimizer):
    """v ← μ v + g,  θ ← θ − η v;  with Nesterov's momentum θ ← θ − η (g + μ v).

    Source: Sutskever et al., ICML 2013, in PyTorch's form, where η is not part of
    the velocity v.
    """

    v: Array  # (P,) velocity, if there is momentum

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        self.momentum = checks.fraction_below_one("SGD", "momentum", momentum)
        self.slots = ("v",) if momentum else ()  # without momentum v is g
        self.nesterov = checks.boolean("SGD", "nesterov", nesterov)
        if nesterov and momentum == 0:
            raise ValueError("SGD: expected a momentum above 0 with nesterov=True, got 0")

    def coefficients(self, t: int) -> tuple[float, ...]:
        return (self.rate(t), self.momentum) if self.momentum else (self.rate(t),)

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        if not self.momentum:
            sgd(theta, g, *coefficients)
        elif self.nesterov:
            nesterov_momentum(theta, g, self.v, *coefficients)
        else:
            momentum(theta, g, self.v, *coefficients)


@kernel
def rmsprop(theta, g, s, eta, rho, one_minus_rho, epsilon):
    for i in chunks(theta.size):
        s[i] = rho * s[i] + one_minus_rho * (g[i] * g[i])
        theta[i] -= eta * (g[i] / (sqrt(s[i]) + epsilon))


class RMSprop(Optimizer):
    """s ← ρ s + (1 − ρ) g²,  θ ← θ − η g / (√s + ε).

    Source: Tieleman and Hinton, Coursera lecture 6.5, 2012; the defaults are
    PyTorch's (Keras: ρ = 0.9, and ε = 1e-7 inside the root).
    """

    slots = ("s",)
    s: Array  # (P,)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        rho: float = 0.99,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        self.rho = checks.fraction_below_one("RMSprop", "rho", rho)
        self.epsilon = checks.positive("RMSprop", "epsilon", epsilon)

    def coefficients(self, t: int) -> tuple[float, ...]:
        return self.rate(t), self.rho, 1 - self.rho, self.epsilon

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        rmsprop(theta, g, self.s, *coefficients)


@kernel
def adam(theta, g, m, v, eta, epsilon, beta1, beta2):
    for i in chunks(theta.size):
        m[i] = beta1 * m[i] + g[i]
        v[i] = beta2 * v[i] + g[i] * g[i]
        theta[i] -= eta * (m[i] / (sqrt(v[i]) + epsilon))


class Adam(Optimizer):
    """Adaptive moments::

        m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
        θ ← θ − η m̂ / (√v̂ + ε)

    Source: Kingma and Ba, ICLR 2015, algorithm 1.  ε is 1e-8 here and in PyTorch.
    With ``epsilon_hat`` it is added to √v instead of √v̂, as at the end of the
    paper's section 2 and in Keras (where it is 1e-7): for gradients as
    small as ε, the first steps are then shorter.

    The vectors ``m`` and ``v`` hold m / (1 − β₁) and v / (1 − β₂), which saves two of
    twelve passes over them.  With c = √((1 − β₂ᵗ) / (1 − β₂)), the same step reads::

        m ← β₁ m + g,   v ← β₂ v + g²,   θ ← θ − η c (1 − β₁) / (1 − β₁ᵗ) · m / (√v + ε c)
    """

    slots = ("m", "v")
    m: Array  # (P,)
    v: Array  # (P,)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
    ) -> None:
        super().__init__(learning_rate, l2, clip_norm)
        name = type(self).__name__
        self.beta1 = checks.fraction_below_one(name, "beta1", beta1)
        self.beta2 = checks.fraction_below_one(name, "beta2", beta2)
        self.epsilon = checks.positive(name, "epsilon", epsilon)
        self.epsilon_hat = checks.boolean(name, "epsilon_hat", epsilon_hat)

    def coefficients(self, t: int) -> tuple[float, ...]:
        c = math.sqrt((1 - self.beta2**t) / (1 - self.beta2))
        eta_t = self.rate(t) * c * (1 - self.beta1) / (1 - self.beta1**t)
        epsilon_t = self.epsilon * (1 / math.sqrt(1 - self.beta2) if self.epsilon_hat else c)
        return eta_t, epsilon_t, self.beta1, self.beta2

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        adam(theta, g, self.m, self.v, *coefficients)


def is_matrix(name: str, value: Array) -> bool:
    """Whether a parameter has two axes or more: W of Dense, Conv2D and Embedding, not b, γ, β."""
    return value.ndim >= 2


class AdamW(Adam):
    """Adam after θ ← θ − η λ θ: weight decay separate from the adaptive step, not through it.

    A penalty on large weights keeps a function smooth.  A bias shifts the function without making
    it steeper, and the next layer can undo γ and β of a normalization, so BERT is trained with
    ``decays=is_matrix``, embeddings included.

    Source: Loshchilov and Hutter, ICLR 2019, algorithm 2, with the decay scaled
    by η as in PyTorch and Keras; Devlin et al., in the code published with BERT.

    Parameters
    ----------
    weight_decay : λ, a number, or a vector ``(P,)`` with one for each entry of θ
    decays : which parameters decay, by default all: a function of the name, such as
        ``"dense_1.W"``, and the array, for example :func:`is_matrix`
    learning_rate, beta1, beta2, epsilon, clip_norm, epsilon_hat : as in Adam
    """

    _parts: Sequence[slice] | None = None  # of θ that decay

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float | Array = 0.01,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
        decays: Callable[[str, Array], bool] | None = None,
    ) -> None:
        super().__init__(
            learning_rate, beta1, beta2, epsilon, clip_norm=clip_norm, epsilon_hat=epsilon_hat
        )
        if is_array(weight_decay):
            _expect_decays(weight_decay)
        else:
            weight_decay = checks.not_negative("AdamW", "weight_decay", weight_decay)
        self.weight_decay = weight_decay
        self.decays = decays
        if decays is None:
            self._parts = [slice(None)]
        else:
            checks.function("AdamW", "decays", decays, "name", "value")

    def expect_network(self, network: Any) -> None:
        """Raise ``ValueError`` if the rule cannot train it; find out which parameters decay."""
        super().expect_network(network)
        if is_array(self.weight_decay) and self.weight_decay.shape != network.theta.shape:
            raise ValueError(
                f"AdamW: expected weight_decay {network.theta.shape} like θ, or a number, got "
                f"{self.weight_decay.shape}"
            )
        if self.decays is None:
            return
        parts = _parts(network, self.decays)
        if self.t and self._parts != parts:  # a copy
            raise ValueError(
                "AdamW: expected the network of the first step, or a copy of that, got one of "
                "which other parameters decay; make a new optimizer for each network"
            )
        self._parts = parts

    def coefficients(self, t: int) -> tuple[float, ...]:
        eta = self.rate(t)
        is_number = isinstance(self.weight_decay, float)
        return *super().coefficients(t), 1 - eta * self.weight_decay if is_number else eta

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        *numbers, decay = coefficients
        if self._parts is None:
            raise ValueError(
                "AdamW: expected to know which parameters decay; train and fit tell it, and so "
                "does optimizer.expect_network(network) before the first step"
            )
        for part in self._parts:
            if isinstance(self.weight_decay, float):
                theta[part] *= decay  # 1 − η λ
            else:
                theta[part] *= 1 - decay * self.weight_decay[part]
        super().update(theta, g, *numbers)


def _parts(network: Any, decays: Callable[[str, Array], bool]) -> list[slice]:
    """The parts of θ that decay; neighbours are one."""
    found: list[slice] = []
    start = 0
    for layer, name, value, _ in network.parameters():
        stop = start + value.size
        if decays(f"{layer.name}.{name}", value):
            first = found.pop().start if found and found[-1].stop == start else start
            found.append(slice(first, stop))
        start = stop
    return found


def _expect_decays(vector: Array) -> None:
    """Raise ``ValueError`` unless these are finite numbers of at least 0."""
    checks.floats("AdamW", "weight_decay", vector)
    if not ((vector >= 0) & (vector < np.inf)).all():
        raise ValueError("AdamW: expected weight_decay of at least 0 everywhere, and finite")


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
