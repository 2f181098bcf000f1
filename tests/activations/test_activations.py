"""Activation functions against published values, 50-digit mpmath, and the laws they obey."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mpmath import mpf

from minidl import ACTIVATIONS, get_activation
from minidl.activations import CELU, ELU, Activation, LeakyReLU, RandomizedLeakyReLU
from minidl.backend import to_numpy

STUDIES = Path(__file__).parents[2] / "experiments" / "studies"
PUBLISHED = json.loads((STUDIES / "activation_gallery" / "published.json").read_text("utf-8"))
LAMBDA = mpf("1.0507009873554804934193349852946")  # Klambauer et al., equation 14
ALPHA = mpf("1.6732632423543772848170429916717")


def elementwise() -> list[Activation]:
    """One of each element-wise function, plus some with another α."""
    made = [cls() for cls in ACTIVATIONS.values() if cls.elementwise]
    return [*made, LeakyReLU(0.3), LeakyReLU(0), ELU(0.5), ELU(2.0), CELU(2.0)]


each = pytest.mark.parametrize("f", elementwise(), ids=repr)
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
reals = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-50, 50))
rows = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=1, max_dims=2, min_side=2), elements=st.floats(-50, 50)
)


# -- published values -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sigmoid", "relu", "tanh", "softmax"])
def test_published_values(name):
    y = get_activation(name)(np.array(PUBLISHED["input"]))
    np.testing.assert_allclose(y, PUBLISHED[name], rtol=0, atol=0.6e-8)


def softmax_exactly(z: list[float]) -> list[float]:
    with mpmath.workdps(50):
        e = [mpmath.exp(mpf(v)) for v in z]
        return [float(v / mpmath.fsum(e)) for v in e]


def test_second_published_softmax_example():
    example = PUBLISHED["softmax_examples"][1]
    y = get_activation("softmax")(np.array(example["input"]))
    np.testing.assert_allclose(y, example["published"], rtol=0, atol=0.6e-8)


def test_first_published_softmax_example_is_misrounded_and_ours_is_not():
    example = PUBLISHED["softmax_examples"][0]
    y = get_activation("softmax")(np.array(example["input"]))
    np.testing.assert_allclose(y, softmax_exactly(example["input"]), rtol=1e-15)
    assert np.abs(y - example["published"]).max() == pytest.approx(0.0046, abs=1e-4)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_published_bounds_of_the_derivatives(name):
    f = get_activation(name)
    assert f.max_slope == PUBLISHED["derivative_bounds"][name] == f.derivative(np.zeros(1))


# -- against mpmath ---------------------------------------------------------------------------


def _normal(z: mpf) -> tuple[mpf, mpf]:
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2, mpmath.npdf(z)


def _sigma(z: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-z))


def _u(z: mpf) -> tuple[mpf, mpf]:
    """u of the tanh form of GELU, and u'."""
    c, a = mpmath.sqrt(2 / mpmath.pi), mpf("0.044715")
    return c * (z + a * z**3), c * (1 + 3 * a * z**2)


def _gelu_tanh_slope(z: mpf) -> mpf:
    u, du = _u(z)
    return _sigma(2 * u) + 2 * z * du * _sigma(2 * u) * _sigma(-2 * u)


def _softplus(z: mpf) -> mpf:
    return mpmath.log1p(mpmath.exp(z))


def _elu(alpha: mpf, scale: mpf):
    return (
        lambda z: scale * (z if z > 0 else alpha * mpmath.expm1(z)),
        lambda z: scale * (1 if z > 0 else alpha * mpmath.exp(z)),
    )


def _clipped(z: mpf) -> mpf:
    return min(max(z / 6 + mpf(1) / 2, mpf(0)), mpf(1))


# name: f, f', and the largest |z| for which both are normal numbers in float64
EXACTLY = {
    "sigmoid": (_sigma, lambda z: _sigma(z) * _sigma(-z), 700),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2, 350),
    "gelu": (
        lambda z: z * _normal(z)[0],
        lambda z: _normal(z)[0] + z * _normal(z)[1],
        36,
    ),
    "swish": (lambda z: z * _sigma(z), lambda z: _sigma(z) * (1 + z * _sigma(-z)), 700),
    "elu": (*_elu(mpf(1), mpf(1)), 700),
    "selu": (*_elu(ALPHA, LAMBDA), 700),
    "penalized_tanh": (
        lambda z: (1 if z > 0 else mpf(1) / 4) * mpmath.tanh(z),
        lambda z: (1 if z > 0 else mpf(1) / 4) * mpmath.sech(z) ** 2,
        350,
    ),
    "squared_relu": (lambda z: max(z, mpf(0)) ** 2, lambda z: 2 * max(z, mpf(0)), 1e150),
    "square": (lambda z: z**2, lambda z: 2 * z, 1e150),
    "gelu_tanh": (lambda z: z * _sigma(2 * _u(z)[0]), _gelu_tanh_slope, 16),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), _sigma, 700),
    "mish": (
        lambda z: z * mpmath.tanh(mpmath.log1p(mpmath.exp(z))),
        lambda z: (
            mpmath.tanh(mpmath.log1p(mpmath.exp(z)))
            + z * _sigma(z) * mpmath.sech(mpmath.log1p(mpmath.exp(z))) ** 2
        ),
        700,
    ),
    "celu": (*_elu(mpf(1), mpf(1)), 700),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2, 1e150),
    "hard_sigmoid": (lambda z: _clipped(z), lambda z: mpf(-3 < z <= 3) / 6, 1e300),
    "hard_swish": (
        lambda z: z * _clipped(z),
        lambda z: mpf(1) if z > 3 else z / 3 + mpf(1) / 2 if z > -3 else mpf(0),
        1e300,
    ),
}
SMALLEST = {
    "squared_relu": 1e-150,
    "square": 1e-150,
}  # the smallest |z| for which f(z) is a normal number, too
# Near a zero of f', it is the difference of numbers of this size.
TURNING = {
    "gelu": (-0.75179, 0.05, 0.3),
    "gelu_tanh": (-0.75246, 0.05, 0.3),
    "swish": (-1.27846, 0.05, 0.3),
    "mish": (-1.19243, 0.05, 0.3),
    "hard_swish": (-1.5, 0.05, 0.3),
}


def points(smallest: float, limit: float) -> np.ndarray:
    """Both tails, down to tiny values, and the range between."""
    tails = np.geomspace(smallest, limit, 120)
    return np.concatenate([-tails, tails, np.linspace(-6, 6, 97)])


@pytest.mark.parametrize("name", EXACTLY)
def test_float64_agrees_with_50_digits_in_both_tails(name):
    f = get_activation(name)
    exact_f, exact_df, limit = EXACTLY[name]
    z = points(SMALLEST.get(name, 1e-300), limit)
    with mpmath.workdps(50):
        y = np.array([float(exact_f(mpf(v))) for v in z])
        d = np.array([float(exact_df(mpf(v))) for v in z])
    np.testing.assert_allclose(f(z), y, rtol=1e-12, atol=0)
    turn, width, size = TURNING.get(name, (math.nan, 0, 0))
    near = np.abs(z - turn) < width
    np.testing.assert_allclose(f.derivative(z)[~near], d[~near], rtol=1e-12, atol=0)
    np.testing.assert_allclose(f.derivative(z)[near], d[near], rtol=0, atol=1e-15 * max(size, 1))


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 12.5), (np.float64, 36)])
def test_gelu_in_its_left_tail_loses_only_the_rounding_of_its_argument(dtype, limit):
    """erfc magnifies the rounding of −z/√2 by z²; nothing else is lost."""
    z = -np.linspace(2, limit, 500).astype(dtype)
    f = get_activation("gelu")
    exact_f, exact_df, _ = EXACTLY["gelu"]
    with mpmath.workdps(50):
        for ours, exact, share in ((f(z), exact_f, 1), (f.derivative(z), exact_df, 1 / 4)):
            off = [
                float(abs(mpf(float(a)) / exact(mpf(float(v))) - 1))
                for a, v in zip(ours, z, strict=True)
            ]
            bound = (8 + 2 * share * z.astype(float) ** 2) * np.finfo(dtype).eps
            assert (np.array(off) <= bound).all()


@pytest.mark.parametrize(
    ("name", "limit", "rtol"),
    [
        ("sigmoid", 80, 1e-6),
        ("tanh", 40, 1e-5),
        ("swish", 80, 1e-5),
        ("softplus", 80, 1e-6),
        ("mish", 80, 1e-5),
        ("softsign", 80, 1e-6),
        ("gelu", 12, 2e-5),
        ("elu", 80, 1e-6),
        ("penalized_tanh", 40, 1e-5),
    ],
)
def test_float32_keeps_relative_precision_in_both_tails(name, limit, rtol):
    f = get_activation(name)
    exact_f, exact_df, _ = EXACTLY[name]
    z = np.concatenate([np.linspace(-limit, limit, 641), np.geomspace(1e-30, limit, 50)])
    z = z.astype(np.float32)
    if name in TURNING:
        z = z[np.abs(z - TURNING[name][0]) > 0.3]
    with mpmath.workdps(50):
        y = np.array([float(exact_f(mpf(float(v)))) for v in z])
        d = np.array([float(exact_df(mpf(float(v)))) for v in z])
    np.testing.assert_allclose(f(z).astype(np.float64), y, rtol=rtol, atol=0)
    np.testing.assert_allclose(f.derivative(z).astype(np.float64), d, rtol=rtol, atol=0)


def test_sigmoid_derivative_is_not_the_textbook_form():
    z = np.float32([17, 30, 80])
    y = get_activation("sigmoid")(z)
    assert (y * (1 - y) == 0).all()
    assert (get_activation("sigmoid").derivative(z) > 0).all()


# -- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "z", "y", "d"),
    [
        ("linear", [-2, 0, 3], [-2, 0, 3], [1, 1, 1]),
        ("relu", [-2, 0, 3], [0, 0, 3], [0, 0, 1]),
        ("leaky_relu", [-2, 0, 3], [-0.02, 0, 3], [0.01, 0.01, 1]),
        (LeakyReLU(0.25), [-2, 0, 3], [-0.5, 0, 3], [0.25, 0.25, 1]),
        ("sigmoid", [0, math.log(3)], [0.5, 0.75], [0.25, 0.1875]),
        ("tanh", [0, math.log(2)], [0, 0.6], [1, 0.64]),
        ("penalized_tanh", [-math.log(2), 0, math.log(2)], [-0.15, 0, 0.6], [0.16, 0.25, 0.64]),
        ("squared_relu", [-2, 0, 0.5, 3], [0, 0, 0.25, 9], [0, 0, 1, 6]),
        ("elu", [-math.log(2), 0, 3], [-0.5, 0, 3], [0.5, 1, 1]),
        (ELU(2), [-math.log(2), 0, 3], [-1, 0, 3], [1, 2, 1]),
        ("square", [-2, 0, 0.5, 3], [4, 0, 0.25, 9], [-4, 0, 1, 6]),
        ("mish", [0, math.log(2)], [0, 0.8 * math.log(2)], [0.6, 0.8 + 0.24 * math.log(2)]),
        ("gelu_tanh", [0], [0], [0.5]),
        ("swish", [0, math.log(3)], [0, 0.75 * math.log(3)], [0.5, 0.75 + 0.1875 * math.log(3)]),
        ("gelu", [0], [0], [0.5]),
        ("selu", [0, 1], [0, float(LAMBDA)], [float(LAMBDA * ALPHA), float(LAMBDA)]),
        ("softplus", [0, math.log(3)], [math.log(2), math.log(4)], [0.5, 0.75]),
        # tanh(log(1 + e^z)) is ((1 + e^z)² − 1) / ((1 + e^z)² + 1)
        (CELU(2), [-2 * math.log(2), 0, 3], [-1, 0, 3], [0.5, 1, 1]),
        ("softsign", [-3, 0, 1], [-0.75, 0, 0.5], [0.0625, 1, 0.25]),
        ("binary_step", [-2, 0, 1e-9, 3], [0, 0, 1, 1], [0, 0, 0, 0]),
        ("relu6", [-1, 0, 2, 6, 7], [0, 0, 2, 6, 6], [0, 0, 1, 1, 0]),
        ("hard_sigmoid", [-4, -3, 0, 3, 4], [0, 0, 0.5, 1, 1], [0, 0, 1 / 6, 1 / 6, 0]),
        ("hard_swish", [-4, -3, -1.5, 3, 4], [0, 0, -0.375, 3, 4], [0, 0, 0, 1.5, 1]),
        (RandomizedLeakyReLU(0.25, 0.75), [-2, 0, 3], [-1, 0, 3], [0.5, 0.5, 1]),
    ],
    ids=str,
)
def test_values_by_hand_with_the_kink(f, z, y, d):
    f = get_activation(f)
    np.testing.assert_allclose(f(z), y, rtol=1e-15, atol=1e-16)
    np.testing.assert_allclose(f.derivative(z), d, rtol=1e-15, atol=0)


@each
def test_the_derivative_jumps_at_the_kink_and_nowhere_else(f):
    for z in {*f.kinks, -3.0, 0.0, 6.0}:
        near = abs(z) * 1e-15 or 1e-300
        places = np.array([z - near, z, z + near])
        (left, at, right), y = f.derivative(places), f(places)
        assert at == pytest.approx(left, rel=1e-12)
        assert (max(abs(right - left), abs(y[2] - y[0])) > 1e-6) == (z in f.kinks)
        jump = float(f.name == "binary_step" and z == 0)
        assert y[2] - y[0] == pytest.approx(jump, abs=1e-12)


# -- laws -------------------------------------------------------------------------------------


@given(reals)
def test_sigmoid_of_minus_z_is_one_minus_sigmoid(z):
    f = get_activation("sigmoid")
    np.testing.assert_allclose(f(-z), 1 - f(z), rtol=0, atol=3e-16)
    np.testing.assert_allclose(f.derivative(-z), f.derivative(z), rtol=1e-15)


@given(reals)
def test_tanh_is_odd_and_its_derivative_even(z):
    f = get_activation("tanh")
    np.testing.assert_array_equal(f(-z), -f(z))
    np.testing.assert_array_equal(f.derivative(-z), f.derivative(z))


@pytest.mark.parametrize("name", ["swish", "gelu", "gelu_tanh"])
@given(z=reals)
def test_f_of_z_less_f_of_minus_z_is_z(name, z):
    f = get_activation(name)
    np.testing.assert_allclose(f(z) - f(-z), z, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("f", [get_activation("relu"), LeakyReLU(0.3)], ids=repr)
@given(z=reals, factor=st.floats(0, 1e3))
def test_relu_and_leaky_relu_are_positively_homogeneous(f, z, factor):
    np.testing.assert_allclose(f(factor * z), factor * f(z), rtol=1e-14, atol=1e-300)


@given(reals)
def test_leaky_relu_with_alpha_1_is_linear_and_with_0_is_relu(z):
    for alpha, name in ((1, "linear"), (0, "relu")):
        np.testing.assert_array_equal(LeakyReLU(alpha)(z), get_activation(name)(z))
        f, g = LeakyReLU(alpha), get_activation(name)
        np.testing.assert_array_equal(f.derivative(z), g.derivative(z))


@each
@given(z=reals)
def test_f_changes_no_faster_than_its_steepest_slope(f, z):
    """|f(z + h) − f(z)| ≤ max_slope · h: continuous, kinks included."""
    if f.name == "binary_step":
        return  # it jumps
    h = 1e-3
    assert (np.abs(f(z + h) - f(z)) <= f.max_slope * h * (1 + 1e-9)).all()


@each
@given(z=reals)
def test_the_range_is_never_left(f, z):
    low, high = f.range
    y = f(np.concatenate([z.ravel(), [-1e3, 1e3]]))
    assert (y >= low - 1e-15).all()
    assert (y <= high).all()


@each
def test_the_ends_of_the_range_and_the_steepest_slope_are_reached(f):
    z = np.concatenate([np.linspace(-10, 10, 20_001), [-1e3, 1e-9, 1e3]])
    y, slope = f(z), np.abs(f.derivative(z))
    for end, reached in zip(f.range, (y.min(), y.max()), strict=True):
        if math.isinf(end):
            assert abs(reached) >= 1e3 * min(1, getattr(f, "alpha", 1))
        else:
            assert reached == pytest.approx(end, abs=1e-7 if f.name != "softsign" else 1e-3)
    if math.isinf(f.max_slope):
        assert slope.max() > 1e3
        return
    assert slope.max() == pytest.approx(f.max_slope, rel=1e-7)
    assert slope.max() <= f.max_slope * (1 + 1e-12)


@given(rows, st.floats(-1e3, 1e3))
def test_softmax_sums_to_one_and_ignores_a_shift(z, shift):
    f = get_activation("softmax")
    np.testing.assert_allclose(f(z).sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(f(z + shift), f(z), rtol=1e-11)
    assert ((f(z) >= 0) & (f(z) <= 1)).all()


@given(rows, st.randoms(use_true_random=False))
def test_softmax_commutes_with_a_permutation(z, random):
    order = list(range(z.shape[-1]))
    random.shuffle(order)
    f = get_activation("softmax")
    np.testing.assert_allclose(f(z[..., order]), f(z)[..., order], rtol=1e-14)


@given(rows)
def test_softmax_backward_is_its_jacobian_times_dy(z):
    f = get_activation("softmax")
    dy = np.random.default_rng(0).standard_normal(z.shape)
    y = f(z)
    jacobian = f.derivative(z)
    assert jacobian.shape == (*z.shape, z.shape[-1])
    # the definition, entry by entry, for the first row
    first = y.reshape(-1, z.shape[-1])[0]
    by_hand = [[a * ((i == j) - b) for j, b in enumerate(first)] for i, a in enumerate(first)]
    np.testing.assert_allclose(jacobian.reshape(-1, *jacobian.shape[-2:])[0], by_hand, atol=1e-16)
    product = np.einsum("...ij,...i->...j", jacobian, dy)
    np.testing.assert_allclose(f.backward(dy, z, y), product, rtol=0, atol=1e-14)


# -- what every function promises -------------------------------------------------------------

LIMITS = {  # name: f(−∞), f(∞), f'(−∞), f'(∞)
    "linear": (-math.inf, math.inf, 1, 1),
    "sigmoid": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "softplus": (0, math.inf, 0, 1),
    "mish": (0, math.inf, 0, 1),
    "celu": (-1, math.inf, 0, 1),
    "softsign": (-1, 1, 0, 0),
    "binary_step": (0, 1, 0, 0),
    "relu6": (0, 6, 0, 0),
    "hard_sigmoid": (0, 1, 0, 0),
    "hard_swish": (0, math.inf, 0, 1),
    "randomized_leaky_relu": (-math.inf, math.inf, 11 / 48, 1),
    "penalized_tanh": (-0.25, 1, 0, 0),
    "relu": (0, math.inf, 0, 1),
    "squared_relu": (0, math.inf, 0, math.inf),
    "leaky_relu": (-math.inf, math.inf, 0.01, 1),
    "elu": (-1, math.inf, 0, 1),
    "selu": (-float(LAMBDA * ALPHA), math.inf, 0, float(LAMBDA)),
    "gelu": (0, math.inf, 0, 1),
    "gelu_tanh": (0, math.inf, 0, 1),
    "square": (math.inf, math.inf, -math.inf, math.inf),
    "swish": (0, math.inf, 0, 1),
}


@both_types
@pytest.mark.parametrize("name", LIMITS)
def test_huge_and_infinite_values_give_the_limits_without_a_warning(name, dtype):
    f = get_activation(name)
    huge = np.finfo(dtype).max
    low, high, slope_low, slope_high = LIMITS[name]
    limits = [-huge if low == -math.inf else low, huge if high == math.inf else high]
    if name.endswith("leaky_relu"):
        limits[0] = dtype(f.alpha) * -huge
    if name == "selu":
        huge /= 2
        limits[1] = dtype(LAMBDA) * huge
    if name == "squared_relu":
        limits[1] = math.inf
    if name == "square":
        limits = [math.inf, math.inf]
    z = np.array([-huge, huge])
    np.testing.assert_allclose(f(z), np.array(limits, dtype), rtol=1e-6)
    np.testing.assert_allclose(f.derivative(z), [slope_low, slope_high], rtol=1e-6)
    if name in ("gelu", "gelu_tanh", "swish", "mish", "hard_swish", "softsign"):
        return  # ∞ · 0 and ∞/∞: see below
    z = np.array([-math.inf, math.inf], dtype)
    np.testing.assert_allclose(f(z), np.array([low, high], dtype), rtol=1e-6)
    np.testing.assert_allclose(f.derivative(z), [slope_low, slope_high], rtol=1e-6)


@each
@both_types
def test_nan_stays_nan(f, dtype):
    y = f(np.array([1, math.nan, -1], dtype))
    np.testing.assert_array_equal(np.isnan(y), [False, True, False])


def test_softmax_of_huge_values_and_of_nan():
    f = get_activation("softmax")
    np.testing.assert_array_equal(f(np.float32([3e38, -3e38, 0])), [1, 0, 0])
    np.testing.assert_array_equal(f(np.array([-math.inf, 0, 0])), [0, 0.5, 0.5])
    assert np.isnan(f(np.array([math.nan, 0, 0]))).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
@both_types
def test_type_is_kept_and_inputs_and_earlier_outputs_are_unchanged(name, dtype, device):
    f = get_activation(name)
    drawn = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(dtype)
    z, dy = device.asarray(drawn[0].copy()), device.asarray(drawn[1].copy())
    y = f(z)
    dz = f.backward(dy, z, y)
    for array in (y, dz, f.derivative(z)):
        assert array.dtype == dtype
        assert type(array) is type(z)
        assert array.shape[:2] == z.shape
    before = [to_numpy(array).copy() for array in (y, dz)]
    f.backward(z, dy, f(dy))
    for array, kept in zip((y, dz), before, strict=True):
        np.testing.assert_array_equal(to_numpy(array), kept)
    np.testing.assert_array_equal([to_numpy(z), to_numpy(dy)], drawn)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_lists_integers_and_noncontiguous_arrays_are_accepted(name):
    f = get_activation(name)
    expected = f(np.array([[-1.0, 2.0], [0.0, 3.0]]))
    for z in ([[-1, 2], [0, 3]], np.array([[-1, 2], [0, 3]]), np.array([[-1.0, 0], [2, 3]]).T):
        np.testing.assert_array_equal(f(z), expected)
        np.testing.assert_array_equal(f.derivative(z), f.derivative(np.array(z, float)))


@each
def test_numbers_and_arrays_may_alternate(f):
    """An instance keeps no state between calls."""
    vector, table = np.array([-1.0, 0.5]), np.array([[-1.0, 0.5, 2.0]] * 3)
    for z in (0.5, vector, table, table[:2], -1, vector[:1], [table], 0.5):
        fresh = type(f)(**({"alpha": f.alpha} if f.name in ("elu", "celu", "leaky_relu") else {}))
        np.testing.assert_array_equal(f(z), fresh(z))
        np.testing.assert_array_equal(f.derivative(z), fresh.derivative(z))


def test_get_activation_by_name_by_instance_and_by_a_wrong_name():
    assert type(get_activation("relu")) is ACTIVATIONS["relu"]
    assert get_activation("relu") is not get_activation("relu")
    f = ELU(0.5)
    assert get_activation(f) is f
    with pytest.raises(ValueError, match=r"expected one of linear, sigmoid, .*, got 'rleu'"):
        get_activation("rleu")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(-0.1), "leaky_relu: expected alpha from 0 to 1, got -0.1"),
        (lambda: LeakyReLU(1.1), "leaky_relu: expected alpha from 0 to 1, got 1.1"),
        (lambda: LeakyReLU(math.nan), "leaky_relu: expected alpha from 0 to 1, got nan"),
        (lambda: ELU(0), "elu: expected alpha above 0, got 0"),
        (lambda: ELU(math.inf), "elu: expected alpha above 0, got inf"),
        (lambda: CELU(-1), "celu: expected alpha above 0, got -1"),
        (lambda: RandomizedLeakyReLU(high=2), "randomized_leaky_relu: expected high from 0 to 1"),
        (lambda: RandomizedLeakyReLU(0.5, 0.2), "expected low up to high 0.2, got 0.5"),
    ],
)
def test_alpha_out_of_range_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_and_formulas():
    for name, cls in ACTIVATIONS.items():
        f = cls()
        assert f.name == name
        assert f.formula
        assert f.derivative_formula
    assert [repr(f) for f in (ELU(0.5), LeakyReLU(), get_activation("selu"))] == [
        "elu(0.5)",
        "leaky_relu(0.01)",
        "selu",
    ]


def test_a_function_without_formulas_is_an_error():
    with pytest.raises(NotImplementedError):
        Activation()(np.zeros(1))
    with pytest.raises(NotImplementedError):
        Activation().derivative(np.zeros(1), np.zeros(1))
