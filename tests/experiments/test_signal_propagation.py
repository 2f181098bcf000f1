"""The measuring side of signal propagation: small networks, known answers, verdicts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import small_studies
import study_runs
from published_figures import as_predicted, layers
from studies.signal_propagation import STUDY, dead, parts
from studies.signal_propagation.claims import CLAIMS, Findings
from studies.signal_propagation.measure import (
    STARTS,
    batch_norm_growth,
    beside,
    build,
    deviation,
    exponent,
    factor,
    power,
    start_of,
)
from studies.signal_propagation.training import (
    Cell,
    Drift,
    agreement,
    drift,
    reach,
    train_once,
    trained,
)

from minidl import Examples
from minidl.data.standin import generate
from minidl.propagation import batch_norm_factor, edge_of_chaos
from minidl.study.claims import FAILS, OPEN, UNJUDGED, judge
from minidl.study.estimates import Estimate

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 1, 6, 6), dtype=np.uint8)
EXAMPLES = Examples(PICTURES, np.arange(12) % 4)


def test_what_is_built():
    for start in STARTS:
        network = build("tanh", start_of("tanh", start), 20, 3, EXAMPLES, seed=1)
        assert [layer.W.shape for layer in network.layers[1:]] == [
            *((36, 20), (20, 20), (20, 20)),
            (20, 4),
        ]
    with pytest.raises(ValueError, match="got sigmoid, which has none"):
        start_of("sigmoid", "critical")


@pytest.mark.parametrize(("f", "start"), [("sigmoid", "glorot_uniform"), ("relu", "critical")])
def test_theory_beside_networks(f, start):
    rows = beside(f, start, 128, 4, EXAMPLES, range(4))
    assert [row.layer for row in rows] == [f"dense_{i}" for i in range(1, 6)]
    for row in rows[:-1]:
        for name in ("z2", "dz2", "mean_abs_dW"):
            off = getattr(row, name)
            assert abs(off.value) < 0.08 + 4 * off.error
            assert off.freedom == 3
    found = factor(rows)
    expected = 0.0557 if f == "sigmoid" else 1
    assert found.predicted == pytest.approx(expected, rel=0.05)
    assert found.measured == pytest.approx(expected, rel=0.1)


def test_a_factor_needs_two_hidden_layers():
    with pytest.raises(ValueError, match="expected 2 hidden layers or more, got 1"):
        factor(beside("relu", "he_normal", 8, 1, EXAMPLES, range(2)))


def test_a_critical_start_gives_a_small_power_and_another_one_a_large():
    found = {start: power("relu", start, 64, 30, EXAMPLES, range(3)) for start in STARTS[:2]}
    assert found["glorot_uniform"].value == pytest.approx(
        30 * math.log(0.5) / math.log(30), rel=0.2
    )
    assert abs(found["he_normal"].value) < 1.5


@pytest.mark.slow
def test_the_deviation_falls_with_the_width():
    widths = (16, 64, 256)
    found = [deviation("tanh", "lecun_normal", n, 3, EXAMPLES, range(12)) for n in widths]
    assert -1.5 < exponent(widths, found).value < -0.5


def test_the_exponent_by_hand():
    widths = (16, 64, 256)
    exact = [Estimate(5 / n, 0.5 / n, 9) for n in widths]
    assert exponent(widths, exact).value == pytest.approx(-1, rel=1e-12)
    # Two equal errors of 10% at the ends of ln 16: 0.1 √2 / ln 16.
    error = exponent(widths, exact).error
    assert error == pytest.approx(0.1 * math.sqrt(2) / math.log(16), rel=1e-12)


def test_batch_norm_explodes_and_a_shallow_network_is_refused():
    found = batch_norm_growth("relu", 96, 96, 7, range(3))
    assert found.value == pytest.approx(batch_norm_factor("relu"), rel=0.06)
    with pytest.raises(ValueError, match="expected a depth of at least 5, got 4"):
        batch_norm_growth("relu", 8, 8, 4, range(2))


# -- born dead --------------------------------------------------------------------------------


def test_the_bounds_by_hand():
    """Two layers are never dead.  With three: all of the first on one side, or both die.

    2x · x + (1 − 2x) x² with x = ½^width, the lower bound; and 1 − (1 − x)² is the upper.
    """
    for width in (1, 2, 5):
        x = 0.5**width
        assert dead.bounds(width, 2)[0] == 0
        low, high = dead.bounds(width, 3)
        assert low == pytest.approx(2 * x * x + (1 - 2 * x) * x * x, abs=1e-15)
        assert high == pytest.approx(1 - (1 - x) ** 2, rel=1e-12)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_the_share_of_dead_networks_lies_between_them(width):
    found = dead.dead_share(width, 12, 4000, seed=1)
    assert [low <= high for low, high in (dead.bounds(width, L) for L in range(2, 13))]
    for L, estimate in enumerate(found, 2):
        low, high = dead.bounds(width, L)
        below, above = estimate.interval(together=20)
        assert below <= high
        assert above >= low
    values = [estimate.value for estimate in found]
    assert values == sorted(values)
    third = dead.bounds(width, 3)[0]  # which is the probability itself
    assert abs(found[1].value - third) < 4 * found[1].standard_error()


def test_dead_networks_are_dead_to_the_engine():
    """The same draws through minidl: none of them changes with its input."""
    counts = dead.dead_by_depth(2, 6, 200, seed=3)
    whole = dead.dead_by_depth(2, 6, 200, seed=3)
    np.testing.assert_array_equal(counts, whole)
    constant = 0
    for seed in range(200):
        line = Examples(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]))
        network = build("relu", ("he_normal", "zeros"), 2, 5, line, seed)
        y = network.forward(line.inputs)
        constant += bool((y == 0).all())
    assert abs(constant - counts[-1]) < 5 * math.sqrt(2 * 200 * 0.25)


# -- training ---------------------------------------------------------------------------------


def test_the_predicted_depth_is_largest_on_the_line():
    line = edge_of_chaos("tanh", 0.05)
    depths = [reach(w) for w in (1.0, 0.97 * line, 1.03 * line, 4.0)]
    assert depths[0] < 30 < 100 < depths[1]
    assert depths[3] < 60 < 100 < depths[2]
    assert math.isnan(reach(2.5, 0.1, "relu"))


DATA = generate(seed=0, train=640, test=200)


@pytest.mark.slow
def test_a_shallow_network_trains_and_a_deep_one_in_order_does_not():
    rate = {"width": 64, "learning_rate": 0.05, "batch_size": 16}
    shallow = train_once(3, 1.7, DATA.train, DATA.test, **rate)
    deep = train_once(60, 0.5, DATA.train, DATA.test, **rate)
    assert trained(shallow, shallow.accuracy, 0.01)
    assert not trained(deep, shallow.accuracy, 0.01)
    gone = train_once(3, 1.7, DATA.train, DATA.test, width=16, learning_rate=1e30, f="relu")
    assert math.isnan(gone.accuracy)
    assert not trained(gone, 0.5, 0.1)


@pytest.mark.slow
def test_the_prediction_is_followed_through_training():
    found = list(drift("tanh", ("lecun_normal", "zeros"), 64, 4, DATA.train, epochs=2, probed=12))
    assert [one.epoch for one in found] == [0, 1, 2]
    assert found[0].measured == pytest.approx(found[0].predicted, rel=0.15)
    assert math.isnan(found[0].accuracy)
    assert all(one.accuracy > 0 for one in found[1:])


def test_agreement_counts_what_is_far_from_the_line():
    near, shallow, deep = (round(reach(1.0) * k) for k in (1, 0.3, 4))
    cells = [Cell(near, 1.0, 0.9), Cell(shallow, 1.0, 0.9), Cell(deep, 1.0, 0.1)]
    assert agreement(cells, 0.1) == (2, 2)
    assert agreement([*cells, Cell(deep, 1.0, math.nan), Cell(deep, 1.0, 0.8)], 0.1) == (3, 4)


# -- verdicts ---------------------------------------------------------------------------------


def verdicts(run: Findings) -> list[str]:
    return [claim.verdict for claim in judge(CLAIMS, Findings(), [run])]


def test_without_figures_nothing_is_judged():
    assert verdicts(Findings()) == [UNJUDGED] * len(CLAIMS)


WRONG = {  # what was measured, in place of what theory predicts, and the claim that it turns
    "a gradient too large": (lambda: {"layers": layers(0.2)}, 0),
    "a gradient too small": (lambda: {"layers": layers(-0.2)}, 1),
    "a start like another": (
        lambda: {
            "layers": layers(0.0) | {("relu", "glorot_uniform"): layers(0.0)["relu", "critical"]}
        },
        1,
    ),
    "a power": (lambda: {"powers": {"relu": Estimate(-10.0, 0.1, 9)}}, 2),
    "deviations": (
        lambda: {"deviations": {n: Estimate(3 / n**2, 0.1 / n**2, 19) for n in (64, 256, 1024)}},
        3,
    ),
    "dead networks": (lambda: {"dead": {(3, 10): Estimate(0.05, 0.01)}}, 4),
    "training": (lambda: {"cells": [Cell(round(reach(1.0) * 4), 1.0, 0.9)] * 30}, 5),
    "a drift": (
        lambda: {"drifts": [Drift(i, 1.0, 2.0 - 0.2 * i, 0.5) for i in range(4)]},
        6,
    ),
}


@pytest.mark.parametrize(("changed", "number"), WRONG.values(), ids=WRONG)
def test_what_is_not_fails(changed, number):
    assert verdicts(dataclasses.replace(as_predicted(), **changed()))[number] == FAILS


# -- the study --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_studies.run("signal_propagation", tmp_path_factory.mktemp("run"))


@pytest.mark.slow
def test_the_summary_has_everything_that_was_measured(folder):
    summary = study_runs.summary(folder)
    assert [(one["function"], one["start"]) for one in summary["layers"]] == [
        *(("sigmoid", start) for start in STARTS[:3]),
        *(("relu", start) for start in STARTS),
    ]
    assert all(len(one["rows"]) == 5 for one in summary["layers"])
    assert [one["width"] for one in summary["widths"]] == [12, 48]
    assert len(summary["map"]) == 4
    assert [one["epoch"] for one in summary["drift"]] == [0, 1, 2]
    assert len(summary["claims"]) == len(CLAIMS)
    assert all(one["lower"] <= one["upper"] for one in summary["dead"])


@pytest.mark.slow
def test_the_report_has_a_part_for_each_of_them(folder):
    text = (folder / "report.md").read_text("utf-8")
    assert text.startswith("# Predicting the gradient")
    for words in (
        "a sigmoid layer multiplies",
        "## With BatchNorm",
        "bounds of Lu et al.",
        "6 ξ_c",
    ):
        assert words in text
    assert STUDY.report_of(folder).markdown() == text


@pytest.mark.slow
def test_the_map_is_drawn():
    cells = [Cell(depth, w, 0.1 * depth) for depth in (2, 8) for w in (0.8, 1.76, 3.0)]
    (ax, _) = parts.heat_map(cells).axes
    assert [line.get_label() for line in ax.get_lines()] == ["6 ξ_c, predicted"]
    np.testing.assert_allclose(ax.collections[0].get_array().ravel(), [0.2] * 3 + [0.8] * 3)


def test_equal_widths_are_refused(capsys):
    with pytest.raises(SystemExit):
        STUDY.options(["--widths", "64", "64"])
    assert "--widths: expected two or more different widths" in capsys.readouterr().err


def test_what_chance_may_have_either_way_is_open():
    found = verdicts(dataclasses.replace(as_predicted(), layers=layers(0.01, error=0.5)))
    assert found[:2] == [OPEN, OPEN]
