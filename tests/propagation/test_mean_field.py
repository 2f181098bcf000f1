"""The maps of one layer: against 30-digit mpmath, closed forms, and their own laws."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from exact_activations import EXACTLY
from mpmath import mpf
from scipy import special

from minidl import ACTIVATIONS, get_activation
from minidl.activations import Activation, LeakyReLU
from minidl.propagation import MeanField, depth_scale

FUNCTIONS = [name for name, cls in ACTIVATIONS.items() if cls.elementwise]
ODD = ["linear", "tanh", "softsign"]
SCALE_FREE = ["linear", "relu", "leaky_relu", "randomized_leaky_relu"]


def erf():
    """A custom function whose means have closed forms (Williams, 1997)."""
    return special.erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-z * z)


# -- integrals --------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0.3, 25.0])
@pytest.mark.parametrize(
    "name", ["tanh", "relu", "gelu", "mish", "elu", "relu6", "hard_swish", "binary_step"]
)
def test_the_integrals_have_ten_digits(name, q):
    field, (f, slope) = MeanField(name), EXACTLY[name]
    with mpmath.workdps(30):
        root = mpmath.sqrt(mpf(q))
        ends = sorted({mpf(0), *map(mpf, field.f.kinks), *(root * k for k in (-14, -4, 4, 14))})

        def mean(g):
            # Each side of a kink separately; the kink itself belongs to neither.
            parts = pairwise(ends)
            return mpmath.fsum(
                mpmath.quad(lambda z: g(z) * mpmath.npdf(z, 0, root), part) for part in parts
            )

        exact = [mean(lambda z: f(z) ** 2), mean(lambda z: slope(z) ** 2)]
        exact.append(mean(lambda z: z * f(z) * slope(z)) / q)
    ours = [field.variance(q), field.chi(q), field.chi_parallel(q)]
    np.testing.assert_allclose(ours, [float(e) for e in exact], rtol=1e-10, atol=1e-300)


CORRELATIONS = [-1, -0.999999, -0.5, 0, 0.3, 0.9, 0.999999, 1]


@pytest.mark.parametrize("c", CORRELATIONS)
def test_relu_has_the_arc_cosine_kernels(c):
    """Cho and Saul, NIPS 2009: E f f = q J₁(θ) / 2π, E f' f' = (π − θ) / 2π."""
    field, theta = MeanField("relu", 2.0), math.acos(c)
    kernel = (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / math.pi
    assert field.correlation(c, 3.0) == pytest.approx(kernel, abs=1e-10)
    assert field.chi_at(c, 3.0) == pytest.approx(1 - theta / math.pi, abs=1e-10)


@pytest.mark.parametrize("q", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("c", [-1, -0.5, 0.3, 0.999999, 1])
def test_a_custom_function_agrees_with_its_closed_form(c, q):
    """Williams: E erf(z₁) erf(z₂) = (2/π) asin(2 q c / (1 + 2 q))."""
    field = MeanField(erf())

    def exact(c):
        return 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))

    assert field.variance(q) == pytest.approx(exact(1), rel=1e-10)
    assert field.correlation(c, q) == pytest.approx(exact(c) / exact(1), abs=1e-10)
    squares = 4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)
    assert field.chi_at(c, q) == pytest.approx(squares, rel=1e-10)
    assert field.chi_parallel(q) == pytest.approx(
        4 / math.pi / (1 + 2 * q) / math.sqrt(1 + 4 * q), rel=1e-10
    )


@pytest.mark.parametrize("c", [-0.7, 0.99])
def test_two_kinks_in_two_variables(c):
    """E f' f' of relu6 is the probability of a rectangle, here with 30 digits along one side."""
    q = 16.0
    with mpmath.workdps(30):
        r, aside = mpf(c), mpmath.sqrt(1 - mpf(c) ** 2)
        top = mpf(6) / 4

        def along(u):
            return mpmath.npdf(u) * (
                mpmath.ncdf((top - r * u) / aside) - mpmath.ncdf(-r * u / aside)
            )

        exact = mpmath.quad(along, [0, top / 4, top / 2, top])
    assert MeanField("relu6").chi_at(c, q) == pytest.approx(float(exact), rel=1e-10)


def test_a_steep_function_and_one_with_a_kink_elsewhere():
    steep = (
        lambda z: special.erf(30 * z),
        lambda z: 60 / math.sqrt(math.pi) * np.exp(-900 * z * z),
    )
    exact = 2 / math.pi * math.asin(1800 / 1801)
    assert MeanField(steep).variance(1.0) == pytest.approx(exact, rel=1e-10)

    class Shifted(Activation):
        name, kinks = "shifted", (1.0,)

        def f(self, z):
            return np.maximum(z - 1, 0)

        def slope(self, z, y):
            return z > 1

    assert MeanField(Shifted()).chi(1.0) == pytest.approx(special.ndtr(-1), rel=1e-12)


# -- laws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALE_FREE)
def test_chi_of_a_scale_free_function_does_not_depend_on_q(name):
    field = MeanField(name, 1.5)
    found = [g(q) for q in (0.0, 1e-6, 1.0, 1e6) for g in (field.chi, field.chi_parallel)]
    np.testing.assert_allclose(found, found[0], rtol=1e-12)
    slopes = field.f.derivative(np.array([-1.0, 1.0]))
    assert found[0] == pytest.approx(1.5 * (slopes**2).mean(), rel=1e-12)
    assert field.correlation(0.4, 1e-3) == pytest.approx(field.correlation(0.4, 1e3), abs=1e-12)


@pytest.mark.parametrize("name", ODD)
def test_the_correlation_map_of_an_odd_function_is_odd(name):
    field = MeanField(name, 1.7)
    assert field.correlation(0.0, 0.8) == pytest.approx(0, abs=1e-14)
    assert field.correlation(-0.6, 0.8) == pytest.approx(-field.correlation(0.6, 0.8), abs=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_holds_for_every_function(name):
    field, q = MeanField(name, 1.3, 0.1), 0.7
    assert field.correlation(1.0, q) == pytest.approx(1, abs=1e-12)
    assert field.chi_at(1.0, q) == pytest.approx(field.chi(q), rel=1e-12)
    if name == "binary_step":
        return  # f' does not include its jump: see below
    h = 1e-4
    slope = (field.variance(q + h) - field.variance(q - h)) / (2 * h)
    assert field.chi_parallel(q) == pytest.approx(slope, rel=1e-6)
    # Price's theorem: dE f f / dc = q E f' f'.
    rise = (field.correlation(0.3 + h, q) - field.correlation(0.3 - h, q)) / (2 * h)
    assert rise * field.variance(q) == pytest.approx(q * field.chi_at(0.3, q), rel=1e-6)
    # A non-negative combination of powers of c: convex from 0 to 1.
    values = [field.correlation(c, q) for c in (0.0, 0.5, 1.0)]
    assert 2 * values[1] <= values[0] + values[2] + 1e-12


def test_the_binary_step_lets_a_signal_through_and_no_gradient():
    """E f f is ¼ + asin(c)/2π: inputs stay different, but no gradient gets back."""
    field = MeanField("binary_step")
    assert field.chi(1.0) == field.chi_at(0.5, 1.0) == 0
    for c in (-0.5, 0.2, 0.9):
        exact = 1 / 4 + math.asin(c) / (2 * math.pi)
        assert field.correlation(c, 1.0) == pytest.approx(exact / 0.5, abs=1e-10)


# -- fixed points and depth scales ------------------------------------------------------------


def test_relu_at_its_critical_point_and_near_it():
    assert [(p.q, p.every, p.stable) for p in MeanField("relu", 2.0).fixed_points()] == [
        (1.0, True, None)
    ]
    assert MeanField("relu", 2.0, 0.1).fixed_points() == []
    (low,) = MeanField("relu", 1.0, 0.1).fixed_points()
    assert low.q == pytest.approx(0.2, rel=1e-10)  # q = q/2 + 0.1
    assert low.stable
    (nothing,) = MeanField("relu", 2.5).fixed_points()
    assert (nothing.q, nothing.stable) == (0.0, False)
    assert MeanField("relu", 2.0).depth_scales(1.0) == (math.inf, math.inf)
    # J₁ touches the diagonal at 1: correlations end there, more slowly than any exponential.
    assert MeanField("relu", 2.0).correlation_limit(1.0) == 1


def test_iteration_ends_at_a_fixed_point_of_the_variance():
    for name, sigma_w2, sigma_b2 in (("tanh", 1.7, 0.05), ("sigmoid", 1.0, 0.0), ("erf", 2.0, 0.1)):
        field = MeanField(erf() if name == "erf" else name, sigma_w2, sigma_b2)
        (point,) = field.fixed_points()
        q = 3.0
        for _ in range(200):
            q = field.variance(q)
        assert q == pytest.approx(point.q, rel=1e-9)
        assert point.stable


def test_an_oscillating_function_and_one_that_is_zero():
    """E sin² is (1 − e^(−2q)) / 2, even if the waves are far shorter than √q."""
    (low, high) = MeanField((np.sin, np.cos), 2.0).fixed_points()
    assert low.q == 0
    assert high.q == pytest.approx(1 - math.exp(-2 * high.q), rel=1e-10)
    nothing = MeanField((np.zeros_like, np.zeros_like))
    assert [p.q for p in nothing.fixed_points()] == [0]
    assert nothing.depth_scales(0.0) == (0, 0)
    with pytest.raises(ValueError, match="expected z that vary, got a variance of 0"):
        nothing.correlation(0.5, 1.0)


def test_both_fixed_points_of_gelu_at_its_critical_point():
    """V touches the diagonal at 3.56 and crosses it at 3.03: smaller variances end there."""
    field = MeanField("gelu", 1.983058257437547, 0.1729223907560673)
    points = field.fixed_points()
    assert [p.q for p in points] == pytest.approx([3.0350, 3.5616], abs=1e-3)
    assert [p.stable for p in points] == [True, None]
    assert points[1].chi == pytest.approx(1, abs=1e-6)


def test_correlations_converge_to_the_fixed_point_of_the_map():
    ordered, chaotic = MeanField("tanh", 1.0, 0.05), MeanField("tanh", 6.25, 0.05)
    for field in (ordered, chaotic):
        (point,) = field.fixed_points()
        c = 0.5
        for _ in range(40):
            c = field.correlation(c, point.q)
        assert field.correlation_limit(point.q) == pytest.approx(c, abs=1e-3)
    assert ordered.correlation_limit(ordered.fixed_points()[0].q) == 1
    odd = MeanField("tanh", 4.0)
    assert odd.correlation_limit(odd.fixed_points()[1].q) == 0


def test_differences_fall_to_1_over_e_in_a_depth_scale():
    field = MeanField("tanh", 2.5, 0.05)
    (point,) = field.fixed_points()
    xi_q, xi_c = field.depth_scales(point.q)
    c = field.correlation_limit(point.q)
    near = field.correlation(c + 1e-5, point.q) - c
    assert math.log(1e-5 / near) == pytest.approx(1 / xi_c, rel=1e-3)
    near = field.variance(point.q * (1 + 1e-5)) - point.q
    assert math.log(1e-5 * point.q / near) == pytest.approx(1 / xi_q, rel=1e-3)


def test_depth_scale_by_hand():
    assert depth_scale(math.exp(-0.25)) == pytest.approx(4)
    assert [depth_scale(rate) for rate in (0, 1, 2)] == [0, math.inf, math.inf]


# -- what is refused --------------------------------------------------------------------------


SHIFTED = (lambda z: np.maximum(z - 1.1, 0), lambda z: (z > 1.1) * 1.0)


def nothing(z):
    return np.where(z > 2, np.nan, z)


REFUSED = [
    (lambda: MeanField("rleu"), "activation: expected one of linear, .*, got 'rleu'"),
    (lambda: MeanField("softmax"), "expected a function of one number, got softmax"),
    (lambda: MeanField((np.sin, np.sin)), "f' of sin to be the derivative of f, got .* slope"),
    (lambda: MeanField((nothing, np.ones_like)), "finite f of nothing, got nan at z = 2.0"),
    (lambda: MeanField((np.sin, nothing)), "finite f' of sin, got nan"),
    (lambda: MeanField((np.sin,)), "or an instance, got"),
    (lambda: MeanField("tanh", 0), "MeanField: expected sigma_w2 above 0, got 0"),
    (lambda: MeanField("tanh", 1, -1), "MeanField: expected sigma_b2 of at least 0, got -1"),
    (lambda: MeanField("tanh").variance(-1), "MeanField.variance: expected q of at least 0"),
    (lambda: MeanField("tanh").correlation(1.1, 1.0), "expected c from -1 to 1, got 1.1"),
    (lambda: MeanField((np.exp, np.exp)).variance(99.0), "q = 99, got one that grows beyond"),
    (lambda: MeanField(SHIFTED).chi(1.0), "name the kinks of f"),
]


def test_what_is_refused():
    for make, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            make()


def test_a_slightly_wrong_derivative_is_noticed():
    for f in map(get_activation, FUNCTIONS):
        wrong = (f, lambda z, f=f: f.derivative(z) + 1e-3 * (z > 1))
        with pytest.raises(ValueError, match="to be the derivative of f"):
            MeanField(wrong)
        right = MeanField((f, f.derivative)).chi(1.0)
        assert right == pytest.approx(MeanField(f).chi(1.0), rel=1e-3), f


def test_repr_and_a_function_with_a_parameter():
    assert (
        repr(MeanField(LeakyReLU(0.3), 2)) == "MeanField(leaky_relu(0.3), sigma_w2=2, sigma_b2=0)"
    )
    assert MeanField(LeakyReLU(0.3), 2).chi(1.0) == pytest.approx(1.09, rel=1e-12)
