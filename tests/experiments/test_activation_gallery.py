"""The gallery of activation functions: every function, its figures, and the published values."""

import dataclasses
import math
import re

import numpy as np
import pytest
import small_studies
import study_runs
from studies.activation_gallery import claims, study
from studies.activation_gallery.claims import behaviour_claims, value_claims
from studies.activation_gallery.entries import gallery
from studies.activation_gallery.theory import theory_of, theory_table

from minidl import ACTIVATIONS
from minidl.activations import LeakyReLU
from minidl.propagation import MeanField, critical_points
from minidl.study.claims import read_published

ENTRIES = {entry.name: entry for entry in gallery()}
PUBLISHED = read_published(claims.__file__)
GRID = np.linspace(-6, 6, 1201)


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def test_every_function_of_the_engine_has_its_derivative_range_and_steepest_slope():
    assert list(ENTRIES) == [*ACTIVATIONS, "prelu", "apl", "glu", "swiglu"]
    for name, entry in ENTRIES.items():
        assert entry.numeric_difference() < 1e-6, name
        y, slope = entry.at(GRID)
        assert (entry.range[0] <= y).all() and (y <= entry.range[1]).all(), name
        assert np.abs(slope).max() <= entry.max_slope, name


def test_a_wrong_derivative_is_seen():
    entry = ENTRIES["swish"]

    def at(z):
        y, slope = entry.at(z)
        return y, slope + 1e-4 * np.sin(z)

    assert dataclasses.replace(entry, at=at).numeric_difference() > 5e-5


@pytest.mark.parametrize(
    ("name", "z", "y", "slope"),
    [
        # max(0, z) − 0.5 max(0, 1 − z) + 0.75 max(0, −1 − z)
        ("apl", -4.0, 0 - 2.5 + 2.25, -0.25),
        ("apl", -0.5, 0 - 0.75 + 0, 0.5),
        ("apl", 0.5, 0.5 - 0.25 + 0, 1.5),
        ("apl", 3.0, 3.0, 1.0),
        ("prelu", -2.0, -0.5, 0.25),
        ("softmax", 1.2, math.exp(1.2) / (math.exp(1.2) + 2), None),
        ("glu", 2.0, 2 * sigmoid(2), sigmoid(2) + 2 * sigmoid(2) * sigmoid(-2)),
        ("swiglu", -1.0, sigmoid(-1), None),
        ("leaky_relu", -4.0, -0.04, 0.01),
    ],
)
def test_values_by_hand(name, z, y, slope):
    found, steep = ENTRIES[name].at(np.array([z]))
    assert found[0] == pytest.approx(y, abs=1e-15)
    if slope is not None:
        assert steep[0] == pytest.approx(slope, abs=1e-15)


def test_theory_is_that_of_minidl_propagation():
    """By way of the values that are shown, and so of learned functions, too."""
    for name in ("relu", "sigmoid", "tanh", "gelu", "prelu"):
        found, f = theory_of(ENTRIES[name]), LeakyReLU(0.25) if name == "prelu" else name
        assert found["chi"] == pytest.approx(MeanField(f).chi(1.0), rel=1e-12)
        expected = [(p.sigma_w2, p.sigma_b2) for p in critical_points(f)]
        assert [(p["sigma_w2"], p["sigma_b2"]) for p in found["critical"]] == [
            pytest.approx(point, rel=1e-9) for point in expected
        ]
    for name in ("softmax", "glu", "swiglu"):
        assert theory_of(ENTRIES[name]) is None
    z = np.random.default_rng(0).standard_normal(400_000)
    drawn = np.square(ENTRIES["apl"].at(z)[1]).mean()
    assert theory_of(ENTRIES["apl"])["chi"] == pytest.approx(drawn, rel=0.01)


def test_a_row_for_each_function_and_none_for_summaries_without_theory():
    functions = {name: {"theory": theory_of(ENTRIES[name])} for name in ("relu", "sigmoid", "gelu")}
    table, _ = theory_table(functions)
    assert table.rows == [
        ["relu", "0.5000", "2.000000", "0.000000", "every"],
        ["sigmoid", "0.0448", "none", "", ""],
        ["gelu", "0.4559", "1.983058", "0.172922", "3.5616"],
    ]
    assert theory_table({"relu": {}}) == []


def test_published_values():
    assert value_claims(PUBLISHED)[4].measured == "0.5771, 0.2346, 0.1883"
    study = PUBLISHED | {
        "softmax_examples": [
            PUBLISHED["softmax_examples"][0] | {"published": [0.58, 0.24, 0.19]},
            *PUBLISHED["softmax_examples"][1:],
        ]
    }
    assert value_claims(study)[4].holds is False  # off in its last digit


def test_statements():
    *judged, cheaper = behaviour_claims()
    assert [claim.holds for claim in judged] == [True, True, True, False, True, True, False]
    assert "0.5" in judged[0].measured
    assert cheaper.verdict == "not judged"
    assert re.fullmatch(
        r"relu .* µs, tanh .* µs, .*; not judged: another machine.*", cheaper.measured
    )


def test_what_is_kept_and_reported_of_a_function(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "gallery", lambda: [ENTRIES["sigmoid"], ENTRIES["apl"]])
    folder = small_studies.run("activation_gallery", tmp_path)
    report = (folder / "report.md").read_text("utf-8")
    assert "| sigmoid | 1 / (1 + e^(−z)) | σ(z) σ(−z) | 0 to 1 | none | 0.25 |" in report
    assert "of apl" in report
    assert "| sigmoid | 0.0448 | none |" in report
    found = study_runs.summary(folder)
    at = found["z"].index(-0.7)
    assert found["functions"]["sigmoid"]["values"][at] == pytest.approx(PUBLISHED["sigmoid"][1])
    assert found["functions"]["apl"]["range"] == [-1, None]  # JSON has no infinity
