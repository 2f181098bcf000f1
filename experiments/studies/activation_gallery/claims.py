"""The statements of the published description, each of them checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import get_activation
from minidl.activations import Activation
from minidl.study import Claim, Evidence, NotJudged, Statement, judge
from minidl.study.claims import FAILS, HOLDS, read_published
from minidl.study.estimates import exactly
from minidl.study.pairs import MACHINE
from minidl.study.tables import counted

BETWEEN = np.linspace(-10, 10, 20001)
ROUNDS = 200
Get = Callable[[str], Activation]  # from a name to its function


def claims() -> list[Claim]:
    return [*value_claims(read_published(__file__)), *behaviour_claims()]


def value_claims(study: dict[str, Any]) -> list[Claim]:
    """Each list of published values, compared with what the engine computes."""
    names = ("sigmoid", "relu", "tanh", "softmax")
    given = [(name, study["input"], study[name]) for name in names]
    given += [("softmax", e["input"], e["published"]) for e in study["softmax_examples"]]
    return [_values(name, z, theirs) for name, z, theirs in given]


def _values(name: str, z: list[float], theirs: list[float]) -> Claim:
    ours = get_activation(name)(np.array(z))
    digits = max(len(repr(v).partition(".")[2]) for v in theirs)
    agrees = bool((np.abs(ours - theirs) <= 0.5 * 10.0**-digits).all())
    return Claim(
        f"{name} of ({_row(z)})",
        f"within half a unit of the last decimal place given ({counted(digits, 'place')})",
        _row(theirs),
        ", ".join(f"{v:.{max(digits, 4)}f}" for v in ours),
        HOLDS if agrees else FAILS,
    )


def _row(values: list[float]) -> str:
    return ", ".join(f"{v:g}" if len(str(v)) < 6 else str(v) for v in values)


def behaviour_claims() -> list[Claim]:
    """The statements that come without a figure, each tested with one."""

    def not_reported(name: str) -> Activation:
        raise NotJudged

    return judge(BEHAVIOUR, not_reported, [get_activation])


def _steepest_sigmoid(get: Get) -> Evidence:
    f = get("sigmoid")
    slopes = f.derivative(BETWEEN)
    at = float(f(BETWEEN)[slopes.argmax()])
    so = bool(slopes.max() <= 0.25) and abs(at - 0.5) < 1e-12
    return _exact(f"largest {slopes.max():g}, where σ(z) = {at:g}", so)


def _slopes_of_tanh(get: Get) -> Evidence:
    slopes = get("tanh").derivative(BETWEEN)
    so = bool(slopes.min() > 0 and slopes.max() <= 1)
    return _exact(f"{slopes.min():.1e} to {slopes.max():g}", so)


def _vanishing(get: Get) -> Evidence:
    z = np.array([10.0])
    slopes = {n: float(get(n).derivative(z)[0]) for n in ("sigmoid", "tanh", "relu")}
    small = all(slopes[n] < 0.01 * get(n).max_slope for n in ("sigmoid", "tanh"))
    figures = ", ".join(f"{n} {s:.1e}" for n, s in slopes.items())
    return _exact(figures, small and slopes["relu"] == 1)


def _slopes_of_relu(get: Get) -> Evidence:
    slopes = get("relu").derivative(np.array([-1.0, 0.0, 1.0])).tolist()
    return _exact(", ".join(f"{s:g}" for s in slopes), slopes == [0, 1, 1])


def _means(get: Get) -> Evidence:
    from scipy.stats import norm

    z = norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    means = {name: float(get(name)(z).mean()) for name in ("tanh", "sigmoid", "relu")}
    figures = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return _exact(figures.replace("-0.000", "0.000"), abs(means["tanh"]) < 0.01)


def _sums(get: Get) -> Evidence:
    study = read_published(__file__)
    inputs = [study["input"], *(example["input"] for example in study["softmax_examples"])]
    off = max(abs(float(get("softmax")(np.array(z)).sum()) - 1) for z in inputs)
    return _exact(f"off by at most {off:.1e}", off < 1e-15)


def _largest(get: Get) -> Evidence:
    z = np.array(read_published(__file__)["softmax_examples"][0]["input"])
    largest = float(get("softmax")(z).max())
    return _exact(f"{largest:.4f}", largest > 0.99)


def _times(get: Get) -> Evidence:
    """The functions take turns, so that other load on the machine affects them all alike."""
    z = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in ("relu", "tanh", "sigmoid")}
    for _ in range(ROUNDS):
        for name, rounds in seconds.items():
            f = get(name)
            start = time.perf_counter()
            f(z)
            rounds.append(time.perf_counter() - start)
    micro = {name: 1e6 * np.array(rounds) for name, rounds in seconds.items()}
    figures = ", ".join(f"{name} {np.median(t):.1f} µs" for name, t in micro.items())
    raise NotJudged(MACHINE, figures)


def _exact(figures: str, so: bool) -> Evidence:
    return Evidence(figures, {"so": exactly(so)})


BEHAVIOUR: list[Statement[Get]] = [
    Statement(
        "Sigmoid's derivative is at most 0.25, largest where σ(z) = 0.5",
        "the same, on 20,001 points from −10 to 10",
        _steepest_sigmoid,
    ),
    Statement(
        "Tanh's derivative is above 0 and at most 1",
        "the same, on these points",
        _slopes_of_tanh,
    ),
    Statement(
        "Sigmoid's and tanh's gradients vanish far from 0, ReLU's does not for z > 0",
        "f'(10) below 1% of the steepest slope; ReLU's is 1",
        _vanishing,
        "This is why σ' must keep its relative precision there: in float32, y (1 − y) is exactly "
        "0 from z = 17 on.",
    ),
    Statement(
        "ReLU's derivative is 0 for z < 0 and 1 for z ≥ 0",
        "f' is 0, 1, 1 at −1, 0, 1",
        _slopes_of_relu,
        "At 0, ReLU has a kink and no derivative. The engine uses the value from the left, 0, as "
        "PyTorch does; either choice is a subgradient.",
    ),
    Statement(
        "Tanh centres its output: the mean is close to 0",
        "|mean| below 0.01 for standard normal z (quantiles)",
        _means,
        "This is so for inputs that are themselves centred.",
    ),
    Statement("Softmax's outputs sum to 1", "to 1e-15, for all published inputs", _sums),
    Statement(
        "Softmax returns 1 for the largest input and 0 for the others",
        "the largest output of the first example is above 0.99",
        _largest,
        "That would be argmax. Softmax gives the largest input the largest share.",
    ),
    Statement(
        "ReLU is cheaper to compute than tanh and sigmoid",
        f"median time for 10,000 float32 numbers, over {ROUNDS} interleaved rounds",
        _times,
    ),
]
# Remarks on the claims.
REASONS = {one.claim: one.why for one in BEHAVIOUR if one.why} | {
    "softmax of (1.8, 0.9, 0.68)": "To four places these are 0.5771, 0.2346, 0.1883; rounded to "
    "two, they are the published values."
}
