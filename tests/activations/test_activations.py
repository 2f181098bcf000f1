"""Activation functions against published values, 50-digit mpmath, and the laws they obey."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from exact_activations import ALPHA, EXACTLY, LAMBDA
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mpmath import mpf

from minidl import ACTIVATIONS, get_activation
from minidl.activations import CELU, ELU, Activation, LeakyReLU, RandomizedLeakyReLU
from minidl.backend import to_numpy

STUDIES = Path(__file__).parents[2] / "experiments" / "studies"
PUBLISHED = json.loads((STUDIES / "activation_gallery" / "published.json").read_text("utf-8"))


def elementwise() -> list[Activation]:
    """One of each element-wise function, plus some with another α."""
    made = [cls() for cls in ACTIVATIONS.values() if cls.elementwise]
    return [*made, LeakyReLU(0.3), LeakyReLU(0), ELU(0.5), ELU(2.0), CELU(2.0)]


reals = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-50, 50))
rows = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=1, max_dims=2, min_side=2), elements=st.floats(-50, 50)
)


# -- published values -------------------------------------------------------------------------


def softmax_exactly(z: list[float]) -> list[float]:
    with mpmath.workdps(50):
        e = [mpmath.exp(mpf(v)) for v in z]
        return [float(v / mpmath.fsum(e)) for v in e]


def test_published_values():
    for name in ("sigmoid", "relu", "tanh", "softmax"):
        y = get_activation(name)(np.array(PUBLISHED["input"]))
        np.testing.assert_allclose(y, PUBLISHED[name], rtol=0, atol=0.6e-8, err_msg=name)
    for name in ("sigmoid", "tanh"):
        f = get_activation(name)
        assert f.max_slope == PUBLISHED["derivative_bounds"][name] == f.derivative(np.zeros(1))


def test_the_first_published_softmax_example_is_misrounded_and_ours_is_not():
    f, (first, second) = get_activation("softmax"), PUBLISHED["softmax_examples"]
    y = f(np.array(first["input"]))
    np.testing.assert_allclose(y, softmax_exactly(first["input"]), rtol=1e-15)
    assert np.abs(y - first["published"]).max() == pytest.approx(0.0046, abs=1e-4)
    y = f(np.array(second["input"]))
    np.testing.assert_allclose(y, second["published"], rtol=0, atol=0.6e-8)


# -- against mpmath ---------------------------------------------------------------------------


# the largest |z| for which f and f' are both normal numbers in float64
LARGEST = {
    **dict.fromkeys(("sigmoid", "swish", "elu", "selu", "softplus", "mish", "celu"), 700),
    **dict.fromkeys(("tanh", "penalized_tanh"), 350),
    **dict.fromkeys(("squared_relu", "square", "softsign"), 1e150),
    **dict.fromkeys(("linear", "relu", "leaky_relu", "relu6", "hard_sigmoid", "hard_swish"), 1e300),
    "gelu": 36,
    "gelu_tanh": 16,
    "binary_step": 1e300,
    "randomized_leaky_relu": 1e300,
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
    tails = np.geomspace(smallest, limit, 60)
    return np.concatenate([-tails, tails, np.linspace(-6, 6, 49)])


@pytest.mark.parametrize("name", [n for n, cls in ACTIVATIONS.items() if cls.elementwise])
def test_float64_agrees_with_50_digits_in_both_tails(name):
    f = get_activation(name)
    exact_f, exact_df = EXACTLY[name]
    z = points(SMALLEST.get(name, 1e-300), LARGEST[name])
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
    z = -np.linspace(2, limit, 150).astype(dtype)
    f = get_activation("gelu")
    exact_f, exact_df = EXACTLY["gelu"]
    with mpmath.workdps(50):
        for ours, exact, share in ((f(z), exact_f, 1), (f.derivative(z), exact_df, 1 / 4)):
            off = [
                float(abs(mpf(float(a)) / exact(mpf(float(v))) - 1))
                for a, v in zip(ours, z, strict=True)
            ]
            bound = (8 + 2 * share * z.astype(float) ** 2) * np.finfo(dtype).eps
            assert (np.array(off) <= bound).all()


IN_FLOAT32 = {  # the largest |z|, and the relative error there
    **dict.fromkeys(("sigmoid", "softplus", "softsign", "elu"), (80, 1e-6)),
    **dict.fromkeys(("swish", "mish"), (80, 1e-5)),
    **dict.fromkeys(("tanh", "penalized_tanh"), (40, 1e-5)),
    "gelu": (12, 2e-5),
}


@pytest.mark.parametrize("name", IN_FLOAT32)
def test_float32_keeps_relative_precision_in_both_tails(name):
    """The textbook y (1 − y) of sigmoid's slope is 0 from z = 17."""
    limit, rtol = IN_FLOAT32[name]
    f = get_activation(name)
    exact_f, exact_df = EXACTLY[name]
    z = np.concatenate([np.linspace(-limit, limit, 161), np.geomspace(1e-30, limit, 50)])
    z = z.astype(np.float32)
    if name in TURNING:
        z = z[np.abs(z - TURNING[name][0]) > 0.3]
    with mpmath.workdps(50):
        y = np.array([float(exact_f(mpf(float(v)))) for v in z])
        d = np.array([float(exact_df(mpf(float(v)))) for v in z])
    np.testing.assert_allclose(f(z).astype(np.float64), y, rtol=rtol, atol=0)
    np.testing.assert_allclose(f.derivative(z).astype(np.float64), d, rtol=rtol, atol=0)


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


def test_the_derivative_jumps_at_the_kink_and_nowhere_else():
    for f in elementwise():
        for z in {*f.kinks, -3.0, 0.0, 6.0}:
            near = abs(z) * 1e-15 or 1e-300
            around = np.array([z - near, z, z + near])
            (left, at, right), y = f.derivative(around), f(around)
            assert at == pytest.approx(left, rel=1e-12), f
            assert (max(abs(right - left), abs(y[2] - y[0])) > 1e-6) == (z in f.kinks), f
            jump = float(f.name == "binary_step" and z == 0)
            assert y[2] - y[0] == pytest.approx(jump, abs=1e-12), f


# -- laws -------------------------------------------------------------------------------------


@given(reals, st.floats(0, 1e3))
def test_laws(z, factor):
    sigmoid, tanh, relu, linear = map(get_activation, ("sigmoid", "tanh", "relu", "linear"))
    np.testing.assert_allclose(sigmoid(-z), 1 - sigmoid(z), rtol=0, atol=3e-16)
    np.testing.assert_allclose(sigmoid.derivative(-z), sigmoid.derivative(z), rtol=1e-15)
    np.testing.assert_array_equal(tanh(-z), -tanh(z))
    np.testing.assert_array_equal(tanh.derivative(-z), tanh.derivative(z))
    for f in map(get_activation, ("swish", "gelu", "gelu_tanh")):
        np.testing.assert_allclose(f(z) - f(-z), z, rtol=1e-14, atol=1e-300)
    for f in (relu, LeakyReLU(0.3)):  # positively homogeneous
        np.testing.assert_allclose(f(factor * z), factor * f(z), rtol=1e-14, atol=1e-300)
    for f, g in ((LeakyReLU(1), linear), (LeakyReLU(0), relu)):
        np.testing.assert_array_equal(f(z), g(z))
        np.testing.assert_array_equal(f.derivative(z), g.derivative(z))


@given(reals)
def test_the_range_is_never_left_and_the_steepest_slope_never_passed(z):
    """|f(z + h) − f(z)| ≤ max_slope · h: continuous, kinks included."""
    h = 1e-3
    for f in elementwise():
        low, high = f.range
        y = f(np.concatenate([z.ravel(), [-1e3, 1e3]]))
        assert (y >= low - 1e-15).all() and (y <= high).all(), f
        if f.name != "binary_step":  # it jumps
            assert (np.abs(f(z + h) - f(z)) <= f.max_slope * h * (1 + 1e-9)).all(), f


def test_the_ends_of_the_range_and_the_steepest_slope_are_reached():
    z = np.concatenate([np.linspace(-10, 10, 20_001), [-1e3, 1e-9, 1e3]])
    for f in elementwise():
        y, slope = f(z), np.abs(f.derivative(z))
        for end, reached in zip(f.range, (y.min(), y.max()), strict=True):
            if math.isinf(end):
                assert abs(reached) >= 1e3 * min(1, getattr(f, "alpha", 1)), f
            else:
                assert reached == pytest.approx(end, abs=1e-3 if f.name == "softsign" else 1e-7), f
        if math.isinf(f.max_slope):
            assert slope.max() > 1e3, f
        else:
            assert slope.max() == pytest.approx(f.max_slope, rel=1e-7), f
            assert slope.max() <= f.max_slope * (1 + 1e-12), f


@given(rows, st.floats(-1e3, 1e3), st.randoms(use_true_random=False))
def test_softmax_and_its_jacobian(z, shift, random):
    f = get_activation("softmax")
    y = f(z)
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-14)
    assert ((y >= 0) & (y <= 1)).all()
    np.testing.assert_allclose(f(z + shift), y, rtol=1e-11)
    order = list(range(z.shape[-1]))
    random.shuffle(order)
    np.testing.assert_allclose(f(z[..., order]), y[..., order], rtol=1e-14)

    jacobian = f.derivative(z)
    assert jacobian.shape == (*z.shape, z.shape[-1])
    # the definition, entry by entry, for the first row
    first = y.reshape(-1, z.shape[-1])[0]
    by_hand = [[a * ((i == j) - b) for j, b in enumerate(first)] for i, a in enumerate(first)]
    np.testing.assert_allclose(jacobian.reshape(-1, *jacobian.shape[-2:])[0], by_hand, atol=1e-16)
    dy = np.random.default_rng(0).standard_normal(z.shape)
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_and_infinite_values_give_the_limits_without_a_warning(dtype):
    assert set(LIMITS) == {name for name, cls in ACTIVATIONS.items() if cls.elementwise}
    for name, (low, high, *slopes) in LIMITS.items():
        f, huge = get_activation(name), np.finfo(dtype).max
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
        np.testing.assert_allclose(f(z), np.array(limits, dtype), rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(f.derivative(z), slopes, rtol=1e-6, err_msg=name)
        if name in ("gelu", "gelu_tanh", "swish", "mish", "hard_swish", "softsign"):
            continue  # ∞ · 0 and ∞/∞
        z = np.array([-math.inf, math.inf], dtype)
        np.testing.assert_allclose(f(z), np.array([low, high], dtype), rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(f.derivative(z), slopes, rtol=1e-6, err_msg=name)


def test_nan_stays_nan_in_its_place_and_softmax_spreads_it():
    for f in elementwise():
        for dtype in (np.float32, np.float64):
            y = f(np.array([1, math.nan, -1], dtype))
            np.testing.assert_array_equal(np.isnan(y), [False, True, False], err_msg=repr(f))
    f = get_activation("softmax")
    np.testing.assert_array_equal(f(np.float32([3e38, -3e38, 0])), [1, 0, 0])
    np.testing.assert_array_equal(f(np.array([-math.inf, 0, 0])), [0, 0.5, 0.5])
    assert np.isnan(f(np.array([math.nan, 0, 0]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_is_kept_and_inputs_and_earlier_outputs_are_unchanged(dtype, device):
    drawn = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(dtype)
    for f in map(get_activation, ACTIVATIONS):
        z, dy = device.asarray(drawn[0].copy()), device.asarray(drawn[1].copy())
        y = f(z)
        dz = f.backward(dy, z, y)
        for array in (y, dz, f.derivative(z)):
            assert (array.dtype, type(array), array.shape[:2]) == (dtype, type(z), z.shape), f
        before = [to_numpy(array).copy() for array in (y, dz)]
        f.backward(z, dy, f(dy))
        for array, kept in zip((y, dz), before, strict=True):
            np.testing.assert_array_equal(to_numpy(array), kept, err_msg=repr(f))
        np.testing.assert_array_equal([to_numpy(z), to_numpy(dy)], drawn, err_msg=repr(f))


def test_lists_integers_numbers_and_noncontiguous_arrays_are_accepted_in_any_order():
    """An instance keeps no state between calls."""
    table = np.array([[-1.0, 2.0], [0.0, 3.0]])
    forms = (table.tolist(), table.astype(int), np.array([[-1.0, 0], [2, 3]]).T)
    for f in (*elementwise(), get_activation("softmax")):
        expected, slope = f(table), f.derivative(table)
        for z in (*forms, table[:1], *([0.5, -1] if f.elementwise else []), table):
            y, d = f(z), f.derivative(z)
        for z in forms:
            np.testing.assert_array_equal(f(z), expected, err_msg=repr(f))
            np.testing.assert_array_equal(f.derivative(z), slope, err_msg=repr(f))
        np.testing.assert_array_equal(y, expected, err_msg=repr(f))
        np.testing.assert_array_equal(d, slope, err_msg=repr(f))
        if f.elementwise:
            assert f(0.5) == f(np.array([[-1.0, 0.5]] * 3))[2, 1], f


def test_get_activation_by_name_by_instance_and_by_a_wrong_name():
    assert type(get_activation("relu")) is ACTIVATIONS["relu"]
    assert get_activation("relu") is not get_activation("relu")
    f = ELU(0.5)
    assert get_activation(f) is f
    with pytest.raises(ValueError, match=r"expected one of linear, sigmoid, .*, got 'rleu'"):
        get_activation("rleu")


OUT_OF_RANGE = [
    (lambda: LeakyReLU(-0.1), "leaky_relu: expected alpha from 0 to 1, got -0.1"),
    (lambda: LeakyReLU(1.1), "leaky_relu: expected alpha from 0 to 1, got 1.1"),
    (lambda: LeakyReLU(math.nan), "leaky_relu: expected alpha from 0 to 1, got nan"),
    (lambda: ELU(0), "elu: expected alpha above 0, got 0"),
    (lambda: ELU(math.inf), "elu: expected alpha above 0, got inf"),
    (lambda: CELU(-1), "celu: expected alpha above 0, got -1"),
    (lambda: RandomizedLeakyReLU(high=2), "randomized_leaky_relu: expected high from 0 to 1"),
    (lambda: RandomizedLeakyReLU(0.5, 0.2), "expected low up to high 0.2, got 0.5"),
]


def test_alpha_out_of_range_is_an_error():
    for make, message in OUT_OF_RANGE:
        with pytest.raises(ValueError, match=message):
            make()


def test_names_and_formulas():
    for name, cls in ACTIVATIONS.items():
        f = cls()
        assert f.name == name
        assert f.formula
        assert f.derivative_formula
    found = [repr(f) for f in (ELU(0.5), LeakyReLU(), get_activation("selu"))]
    assert found == ["elu(0.5)", "leaky_relu(0.01)", "selu"]
    with pytest.raises(NotImplementedError):
        Activation()(np.zeros(1))
    with pytest.raises(NotImplementedError):
        Activation().derivative(np.zeros(1), np.zeros(1))
