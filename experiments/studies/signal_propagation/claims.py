"""The papers' claims about signal propagation, each with the criterion that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from minidl.propagation import batch_norm_factor
from minidl.study.claims import BEYOND, Evidence, NotJudged, Statement, known
from minidl.study.estimates import Estimate, exactly, share
from studies.signal_propagation import dead
from studies.signal_propagation.measure import Beside, exponent, factor
from studies.signal_propagation.training import Cell, Drift, agreement

EACH_LAYER = "Each layer multiplies the squared gradient by χ (Schoenholz et al., section 4)"
TRAINABLE = "Networks train up to a depth of about 6 ξ_c (Schoenholz et al., figure 5)"
CLOSE = 0.03  # the largest |log(measured / predicted)| that counts as right
EXPONENT = 0.4  # tolerance of the exponent of the width
POWER = 3.0  # the largest |power| of the depth; 60 layers that halve a gradient: power −10
SETTLED = 2  # index of the first layer whose variance has settled


@dataclass(frozen=True)
class Findings:
    """What one run measured."""

    layers: Mapping[tuple[str, str], Sequence[Beside]] = field(default_factory=dict)  # f, start
    powers: Mapping[str, Estimate] = field(default_factory=dict)  # by function, where critical
    deviations: Mapping[int, Estimate] = field(default_factory=dict)  # by width
    dead: Mapping[tuple[int, int], Estimate] = field(default_factory=dict)  # width, layers
    cells: Sequence[Cell] = ()
    chance: float = 0.1  # accuracy of guessing
    drifts: Sequence[Drift] = ()
    batch_norm: Mapping[str, Estimate] = field(default_factory=dict)  # growth by function


def factors(run: Findings) -> Evidence:
    """The squared gradient falls by χ in each layer, for every function and start."""
    found = {key: factor(rows) for key, rows in known(run.layers).items()}
    worst = max(found, key=lambda key: abs(found[key].off.value))
    f, start = worst
    return Evidence(
        f"furthest off: {f} with {start}, {found[worst].measured:.4f} "
        f"(predicted {found[worst].predicted:.4f})",
        _close({" ".join(key): one.off for key, one in found.items()}),
    )


def sigmoid_and_relu(run: Findings) -> Evidence:
    """With Glorot weights, a sigmoid layer passes on 5.6% of dz², a ReLU layer 50%."""
    if any((f, "glorot_uniform") not in run.layers for f in ("sigmoid", "relu")):
        raise NotJudged
    rows = [run.layers[f, "glorot_uniform"] for f in ("sigmoid", "relu")]
    found = [factor(one, begin=SETTLED) for one in rows]
    return Evidence(
        " and ".join(f"{100 * one.measured:.1f}%" for one in found),
        _close(
            {
                name: one.off + math.log(one.predicted / said)
                for name, one, said in zip(("sigmoid", "relu"), found, (0.0557, 0.5), strict=True)
            }
        ),
    )


def critical_keeps(run: Findings) -> Evidence:
    """At the critical point, the gradient changes as a small power of the depth, if at all."""
    said = ", ".join(f"{f} L^{p.value:+.2f}" for f, p in known(run.powers).items())
    return Evidence(said, _close(run.powers, POWER))


def one_over_n(run: Findings) -> Evidence:
    """The mean squared error of the theory falls as 1/n."""
    if len(run.deviations) < 2:
        raise NotJudged
    found = exponent(list(run.deviations), list(run.deviations.values()))
    return Evidence(f"as n^{found.value:.2f}", _close({"exponent": found + 1}, EXPONENT))


def born_dead(run: Findings) -> Evidence:
    """The share of networks that are born dead lies between the bounds."""
    numbers, outside = {}, []
    for (width, depth), found in known(run.dead).items():
        low, high = dead.bounds(width, depth)
        numbers[f"below the upper, {width} x {depth}"] = high - found
        numbers[f"above the lower, {width} x {depth}"] = found - low
        if found.interval()[1] < low or found.interval()[0] > high:
            outside.append(f"{width} x {depth}")
    width, depth = max(run.dead, key=lambda key: run.dead[key].value)
    said = f"{100 * run.dead[width, depth].value:.0f}% for {depth} layers of {width} units"
    # Near a bound, chance decides the side; only an interval entirely beyond it refutes the claim.
    at_worst = {name: max(n.interval(len(numbers))[1], 0.0) for name, n in numbers.items()}
    return Evidence(
        said + (f"; outside the bounds: {', '.join(outside)}" if outside else ""),
        {name: exactly(high > 0) for name, high in at_worst.items()},
    )


def trainable_depth(run: Findings) -> Evidence:
    """Networks train if they are less than 6 ξ_c deep, and do not if they are deeper."""
    right, judged = agreement(list(known(run.cells)), run.chance)
    if not judged:
        raise NotJudged
    return Evidence(
        f"{right} of {judged} networks as predicted",
        {"their share − 80%": share(right / judged, judged) - 0.8},
    )


def holds_at_first_only(run: Findings) -> Evidence:
    """Predictions from the sizes of the weights stop holding as these become dependent."""
    if len(run.drifts) < 3:
        raise NotJudged
    off = [abs(math.log(one.measured / one.predicted)) for one in run.drifts]
    return Evidence(
        f"off by {100 * math.expm1(off[0]):.0f}% at the start and "
        f"{100 * math.expm1(off[-1]):.0f}% after {run.drifts[-1].epoch} epochs",
        {"increase of |log error|": Estimate(off[-1] - off[0], CLOSE, len(off) - 1)},
    )


def batch_norm_explodes(run: Findings) -> Evidence:
    """With BatchNorm and without shortcuts the gradient grows by E f'² / Var f in each layer."""
    off = {
        f: Estimate(
            math.log(growth.value / batch_norm_factor(f)),
            growth.error / growth.value,
            growth.freedom,
        )
        for f, growth in known(run.batch_norm).items()
    }
    said = ", ".join(
        f"{f} {growth.value:.3f} (predicted {batch_norm_factor(f):.3f})"
        for f, growth in known(run.batch_norm).items()
    )
    return Evidence(said, _close(off))


def _close(off: Mapping[str, Estimate], within: float = CLOSE) -> dict[str, Estimate]:
    """Numbers that are above 0 where each of ``off`` lies between −within and within.

    A small difference counts as none, even a significant one: 512 units are not infinitely many.
    """
    return {
        f"{name}, {side}": within - number * sign
        for name, number in off.items()
        for side, sign in (("margin to the upper limit", 1), ("margin to the lower limit", -1))
    }


CLAIMS: list[Statement[Findings]] = [
    Statement(
        EACH_LAYER,
        f"log(measured factor / predicted factor) lies between −{CLOSE:g} and {CLOSE:g}",
        factors,
    ),
    Statement(
        f"{BEYOND}: with Glorot weights, a sigmoid layer multiplies the squared gradient by 5.6%, "
        "a ReLU layer by 50%",
        f"log(measured factor / that factor) lies between −{CLOSE:g} and {CLOSE:g}",
        sigmoid_and_relu,
    ),
    Statement(
        "At the critical point, signal and gradient keep their size (Roberts et al., section 5.3)",
        f"E dz² ∝ L^p over the depth L, with p between −{POWER:g} and {POWER:g}",
        critical_keeps,
    ),
    Statement(
        "The error of the theory falls as 1/n with the width n (Roberts et al., chapter 4)",
        f"the exponent of the mean squared error is within {EXPONENT:g} of −1",
        one_over_n,
    ),
    Statement(
        "The share of ReLU networks that are born dead lies between two bounds (Lu et al.)",
        "no confidence interval of a share lies entirely outside them",
        born_dead,
    ),
    Statement(
        TRAINABLE,
        "of the networks whose depth is at least a factor of two from 6 ξ_c, more than 80% train, "
        "or do not train, as predicted",
        trainable_depth,
    ),
    Statement(
        f"{BEYOND}: predictions from the sizes of the weights stop holding during training",
        "they are further off after the last epoch than before the first",
        holds_at_first_only,
    ),
    Statement(
        "BatchNorm without shortcuts makes the gradient explode (Yang et al., ICLR 2019)",
        f"log(measured growth / predicted growth) lies between −{CLOSE:g} and {CLOSE:g}",
        batch_norm_explodes,
    ),
]
