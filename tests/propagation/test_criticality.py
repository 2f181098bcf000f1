"""Critical initializations: published values, their defining properties, networks that use them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from minidl import ACTIVATIONS, Dense, Network
from minidl.propagation import MeanField, critical, critical_point, critical_points, edge_of_chaos

# Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022, section 5.3.
PUBLISHED = {  # σ_b², σ_w², q
    "gelu": (0.17292239, 1.98305826, None),
    "swish": (0.55514317, 1.98800468, 14.32017362),
    "relu": (0, 2, 1),
    "tanh": (0, 1, 0),
    "linear": (0, 1, 1),
}
WITHOUT = ["sigmoid", "softplus", "squared_relu", "square", "binary_step", "hard_sigmoid"]
FUNCTIONS = [name for name, cls in ACTIVATIONS.items() if cls.elementwise]


def test_published_values():
    for name, (sigma_b2, sigma_w2, q) in PUBLISHED.items():
        point = critical_point(name)
        assert point.sigma_b2 == pytest.approx(sigma_b2, abs=1e-8), name
        assert point.sigma_w2 == pytest.approx(sigma_w2, abs=1e-8), name
        assert q is None or point.q == pytest.approx(q, abs=1e-6), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signal_and_gradient_keep_their_size_at_each_of_them(name):
    found = critical_points(name)
    assert bool(found) == (name not in WITHOUT)
    for point in found:
        field = MeanField(name, point.sigma_w2, point.sigma_b2)
        for q in (point.q, 3 * point.q) if point.every else (point.q,):
            assert field.variance(q) == pytest.approx(q, rel=1e-10, abs=1e-12)
            assert field.chi(q) == pytest.approx(1, abs=1e-9)
            assert field.chi_parallel(q) == pytest.approx(1, abs=1e-9)


def test_the_table_of_the_page_has_every_function():
    page = (Path(__file__).parents[2] / "docs/propagation.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    listed = {row[0]: [cell.strip(" |") for cell in row[1:]] for row in rows[1:]}
    assert list(listed) == FUNCTIONS
    for name, (chi, *where) in listed.items():
        assert float(chi) == pytest.approx(MeanField(name).chi(1.0), abs=6e-5)
        points = critical_points(name)
        if not points:
            assert where[0] == "none"
            continue
        sigma_w2, sigma_b2, q = where
        assert float(sigma_w2) == pytest.approx(points[0].sigma_w2, abs=6e-6)
        assert float(sigma_b2) == pytest.approx(points[0].sigma_b2, abs=6e-6)
        assert (q == "every") == points[0].every
        assert q == "every" or float(q) == pytest.approx(points[0].q, abs=6e-5)


def test_small_variances_return_to_0_if_that_is_the_critical_point():
    """As for tanh and ELU; for GELU, at σ_w² = 4, they would grow, so 0 is not critical."""
    for name in ("tanh", "elu", "softsign", "selu"):
        point = critical_point(name)
        assert point.q == 0
        assert MeanField(name, point.sigma_w2).variance(1e-3) < 1e-3
    assert MeanField("gelu", 4.0).variance(1e-3) > 1e-3
    assert all(point.q > 1 for point in critical_points("gelu"))


def test_custom_functions():
    """sin behaves like tanh (Roberts et al., section 5.3.3); z + 1 has no critical point."""
    assert critical_point((np.sin, np.cos)).sigma_w2 == pytest.approx(1, rel=1e-12)
    shifted = (lambda z: z + 1, np.ones_like)  # σ_b² would be −1
    assert critical_points(shifted) == []


def test_a_function_without_a_critical_point_is_an_error():
    for name in WITHOUT:
        with pytest.raises(ValueError, match=f"got {name}, which has none: no σ_w² > 0"):
            critical_point(name)
    with pytest.raises(ValueError, match="critical_point: expected a function with a critical"):
        critical("sigmoid")


def test_the_line_between_order_and_chaos():
    """tanh with σ_b² = 0.05: σ_w² = 1.76, Schoenholz et al."""
    assert edge_of_chaos("tanh", 0.05) == pytest.approx(1.76, abs=5e-3)
    for sigma_b2 in (1e-12, 1e-4, 0.05, 0.3):
        field = MeanField("tanh", edge_of_chaos("tanh", sigma_b2), sigma_b2)
        (point,) = field.fixed_points()
        assert point.chi == pytest.approx(1, abs=1e-9)
    assert edge_of_chaos("tanh", 0) == pytest.approx(1, rel=1e-12)
    assert edge_of_chaos("relu", 0) == pytest.approx(2, rel=1e-12)
    with pytest.raises(ValueError, match=r"got 0.1 for relu, which has none"):
        edge_of_chaos("relu", 0.1)
    with pytest.raises(ValueError, match="expected sigma_b2 of at least 0, got -1"):
        edge_of_chaos("tanh", -1)


def test_the_initializer_draws_with_the_critical_variances():
    layer = Dense(400, 500, "gelu", *critical("gelu")).build()
    point = critical_point("gelu")
    for array, variance in ((layer.W, point.sigma_w2 / 400), (layer.b, point.sigma_b2)):
        assert array.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / array.size))
    assert not Dense(3, 4, "relu", *critical("relu")).build().b.any()


@pytest.mark.parametrize("name", ["gelu", pytest.param("relu", marks=pytest.mark.slow)])
def test_a_deep_network_that_starts_there_keeps_signal_and_gradient(name):
    """Thirty layers; with Glorot weights GELU's signal falls by 1e-9 and more."""
    point = critical_point(name)

    def shares(*start):
        layers = [Dense(256, 256, name, *start) for _ in range(30)]
        network = Network(layers, 256, rng=3)
        rng = np.random.default_rng(0)
        first = math.sqrt(point.q / point.sigma_w2)  # so that the first z has the variance q
        x = rng.normal(0, first, (64, 256)).astype(np.float32)
        network.forward(x)
        network.backward(rng.standard_normal((64, 256)).astype(np.float32))
        return [
            float((getattr(a, v) ** 2).mean() / (getattr(b, v) ** 2).mean())
            for v, a, b in (("z", layers[-1], layers[0]), ("dz", layers[0], layers[-1]))
        ]

    assert all(0.3 < share < 3 for share in shares(*critical(name)))
    assert all(share < 1e-6 for share in shares("glorot_normal"))
