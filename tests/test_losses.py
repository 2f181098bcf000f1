"""Losses against PyTorch, against 50-digit mpmath at extreme logits, and by hand."""

from __future__ import annotations

import math
import re

import mpmath
import numpy as np
import pretended_cupy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from minidl import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy, get_device
from minidl.backend import to_numpy
from minidl.losses import Loss

LOSSES = [SoftmaxCrossEntropy, MeanSquaredError, BinaryCrossEntropy]


def problem(loss_class, N=6, shape=(5,), seed=0):
    """Logits with matching targets."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((N, *shape))
    if loss_class is SoftmaxCrossEntropy:
        return logits, rng.integers(0, shape[0], N)
    return logits, rng.random((N, *shape))


# -- PyTorch ----------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss_class", LOSSES)
def test_value_and_gradient_agree_with_pytorch(loss_class, reduction):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    shape = (100,) if loss_class is SoftmaxCrossEntropy else (3, 4)
    logits, targets = problem(loss_class, shape=shape)
    z = torch.tensor(logits, requires_grad=True)
    t = torch.tensor(targets)
    F = torch.nn.functional
    if loss_class is SoftmaxCrossEntropy:
        theirs = F.cross_entropy(z, t, reduction="sum")
    elif loss_class is MeanSquaredError:
        theirs = F.mse_loss(z, t, reduction="sum") / math.prod(shape)
    else:
        theirs = F.binary_cross_entropy_with_logits(z, t, reduction="sum") / math.prod(shape)
    if reduction == "mean":
        theirs = theirs / len(logits)
    theirs.backward()
    value, dlogits = loss_class()(logits, targets, reduction)
    assert float(value) == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(dlogits, z.grad.numpy(), rtol=1e-12, atol=1e-15)


# -- by hand ----------------------------------------------------------------------------------

LOG2, LOG3 = math.log(2), math.log(3)
BY_HAND = {  # loss, logits, targets, values of the examples, their gradients
    "two classes alike": (SoftmaxCrossEntropy, [[7, 7]], [0], [LOG2], [[-0.5, 0.5]]),
    "odds of 1 : 3": (
        SoftmaxCrossEntropy,
        [[0, LOG3], [0, LOG3]],
        [0, 1],
        [2 * LOG2, 2 * LOG2 - LOG3],
        [[-0.75, 0.75], [0.25, -0.25]],
    ),
    "100 classes alike": (
        SoftmaxCrossEntropy,
        [[0] * 100],
        [99],
        [math.log(100)],
        [[0.01] * 99 + [-0.99]],
    ),
    "squares": (
        MeanSquaredError,
        [[1, 2], [0, 5]],
        [[0.0, 4.0], [0, 2]],
        [2.5, 4.5],
        [[1, -2], [0, 3]],
    ),
    "one number each": (MeanSquaredError, [1, 2], [3.0, 2.0], [4, 0], [-4, 0]),
    "a coin": (BinaryCrossEntropy, [[0]], [[1.0]], [LOG2], [[-0.5]]),
    "σ = ¾": (
        BinaryCrossEntropy,
        [[LOG3, LOG3, LOG3]],
        [[1.0, 0.0, 0.5]],
        [(2 * LOG2 - LOG3 + 2 * LOG2 + 2 * LOG2 - LOG3 / 2) / 3],
        [[-0.25 / 3, 0.75 / 3, 0.25 / 3]],
    ),
}


@pytest.mark.parametrize(
    ("loss_class", "logits", "targets", "values", "gradients"), BY_HAND.values(), ids=BY_HAND
)
def test_by_hand(loss_class, logits, targets, values, gradients, device):
    logits = device.asarray(np.array(logits, float))
    targets = device.asarray(np.array(targets))
    loss = loss_class()
    for reduction, divisor in (("sum", 1), ("mean", len(logits))):
        value, dlogits = loss(logits, targets, reduction)
        assert float(value) == pytest.approx(sum(values) / divisor, rel=1e-14)
        expected = np.array(gradients) / divisor
        np.testing.assert_allclose(to_numpy(dlogits), expected, rtol=1e-14, atol=1e-16)
    assert float(loss(logits, targets)[0]) == float(value)  # the mean is the default


@pytest.mark.parametrize("loss_class", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_kept_and_arguments_unchanged(loss_class, dtype, device):
    logits, targets = problem(loss_class)
    logits = logits.astype(dtype)
    targets = targets if loss_class is SoftmaxCrossEntropy else targets.astype(dtype)
    z, t = device.asarray(logits.copy()), device.asarray(targets.copy())
    value, dlogits = loss_class()(z, t)
    assert value.dtype == dlogits.dtype == dtype
    assert type(dlogits) is type(z)
    np.testing.assert_array_equal(to_numpy(z), logits)
    np.testing.assert_array_equal(to_numpy(t), targets)


def test_a_returned_gradient_is_not_changed_by_the_next_batch():
    for loss_class in LOSSES:
        loss, kept = loss_class(), []
        for N in (5, 2, 5, 1):
            value, dlogits = loss(*problem(loss_class, N))
            kept.append((N, value, dlogits, dlogits.copy()))
        for N, value, dlogits, copy in kept:
            fresh_value, fresh = loss_class()(*problem(loss_class, N))
            assert value == fresh_value
            np.testing.assert_array_equal(dlogits, copy)
            np.testing.assert_array_equal(dlogits, fresh)


@given(st.floats(-1e3, 1e3), st.integers(0, 4))
def test_softmax_cross_entropy_ignores_a_shift_and_its_gradient_sums_to_zero(shift, label):
    logits, _ = problem(SoftmaxCrossEntropy, N=1)
    loss, t = SoftmaxCrossEntropy(), np.array([label])
    value, dlogits = loss(logits, t)
    before = dlogits.copy()
    shifted, dlogits = loss(logits + shift, t)
    assert shifted == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(dlogits, before, rtol=1e-10)
    assert abs(dlogits.sum()) < 1e-15
    assert dlogits[0, label] < 0


# -- extreme logits, against mpmath -----------------------------------------------------------


def exact_cross_entropy(z, t):
    """−log p_t and ∂/∂z_i = p_i − [i = t], in 50 digits."""
    with mpmath.workdps(50):
        e = [mpmath.exp(mpf(float(v))) for v in z]
        total = mpmath.fsum(e)
        others = mpmath.fsum(v for i, v in enumerate(e) if i != t)
        value = mpmath.log(total) - mpf(float(z[t]))
        gradient = [-others / total if i == t else v / total for i, v in enumerate(e)]
        return float(value), [float(g) for g in gradient]


EXTREME = [
    [80, -80, 0],
    [80, 79, 0],
    [-80, -80, -80],
    [20, 0, -20],
    [8, -8, 0.5],
    [1e4, -1e4, 0],
    [1e4, 1e4 - 10, -1e4],
    [-1e4, -1e4 + 17, 1e4],
]


DIGITS = {np.float32: 2e-6, np.float64: 1e-14}
both_types = pytest.mark.parametrize("dtype", DIGITS)


@both_types
def test_softmax_cross_entropy_at_extreme_logits(dtype):
    """All in one batch: the rows are of very different size."""
    logits = np.array(EXTREME, dtype)
    for target in range(3):
        t = np.full(len(logits), target)
        losses, dlogits = SoftmaxCrossEntropy().per_example(logits, t)
        for z, found, dz in zip(logits, losses, dlogits, strict=True):
            exact_value, exact = exact_cross_entropy(z, target)
            assert_close(found, exact_value, dtype, f"{z} {target}")
            assert_close(dz, exact, dtype, f"{z} {target}")


def assert_close(found, exact, dtype, where):
    """Relative to each entry, including p_t − 1; below the smallest normal number, 0 will do."""
    np.testing.assert_allclose(
        np.asarray(found, float),
        np.asarray(exact),
        rtol=DIGITS[dtype],
        atol=float(np.finfo(dtype).tiny),
        err_msg=where,
    )


@both_types
def test_the_loss_of_a_confident_row_keeps_its_digits(dtype, device):
    """In log(Σ e^(z_i − m)) the 1 of the right class would swallow the others: 6% at 16."""
    for classes in (2, 3, 100):
        for ahead in (-30, -1, -1e-4, 0, 1e-4, 1, 5, 12, 16, 30, 60, 80):
            z = np.random.default_rng(0).normal(3, 0.5, (1, classes)).astype(dtype)
            z[0, 1] = np.delete(z[0], 1).max() + dtype(ahead)
            t = device.asarray(np.array([1]))
            losses, dlogits = SoftmaxCrossEntropy().per_example(device.asarray(z), t)
            exact_value, exact = exact_cross_entropy(z[0], 1)
            where = f"{classes} classes, {ahead} ahead"
            rtol = {np.float32: 2e-6, np.float64: 5e-15}[dtype]
            assert float(losses[0]) == pytest.approx(exact_value, rel=rtol), where
            np.testing.assert_allclose(
                to_numpy(dlogits)[0], exact, rtol=3 * rtol, atol=0, err_msg=where
            )


@both_types
def test_binary_cross_entropy_at_extreme_logits(dtype):
    for z in (-1e4, -80, -20, -1e-3, 0, 5, 20, 80, 1e4):
        logits = np.array([[z]], dtype)
        with mpmath.workdps(5000):  # σ(1e4) differs from 1 in the 4343rd digit
            s, not_s = (1 / (1 + mpmath.exp(-sign * mpf(float(logits[0, 0])))) for sign in (1, -1))
            logs = mpmath.log(s), mpmath.log(not_s)
            for t in (0, 1, 0.25):
                value, dlogits = BinaryCrossEntropy()(logits, np.array([[t]], dtype))
                exact = float(-t * logs[0] - (1 - t) * logs[1])
                slope = float((1 - t) * s - t * not_s)
                assert_close([value, dlogits[0, 0]], [exact, slope], dtype, f"{z} {t}")


# -- hits -------------------------------------------------------------------------------------


def test_hits(device):
    z = device.asarray(np.array([[1.0, 3, 2], [5, 4, 3], [0, 0, 1]]))
    hits = SoftmaxCrossEntropy().correct(z, device.asarray(np.array([1, 1, 2])))
    assert (type(hits), hits.dtype) == (type(z), z.dtype)
    np.testing.assert_array_equal(to_numpy(hits), [1, 0, 1])
    t = device.asarray(np.array([[0.25, 1, 0.75], [1, 1, 0], [0, 0, 1]]))
    shares = BinaryCrossEntropy().correct(z, t)  # z > 0 predicts 1
    np.testing.assert_allclose(to_numpy(shares), [2 / 3, 2 / 3, 1])
    none = to_numpy(MeanSquaredError().correct(z, t))
    assert none.shape == (3,)
    assert np.isnan(none).all()


def test_no_constant_answer_has_a_lower_loss_than_of_one_answer():
    """The frequencies of labels and bits, the mean of numbers."""
    labels, bits = np.array([0, 0, 0, 1, 1, 2]), np.array([[0.0, 1], [1, 1], [0, 1], [0.5, 0]])
    share, p, mean = np.array([3, 2, 1]) / 6, bits.mean(axis=0), bits.mean(axis=0)
    rng = np.random.default_rng(0)
    for loss, targets, best in (
        (SoftmaxCrossEntropy(), labels, np.log(share)),
        (BinaryCrossEntropy(), bits, np.log(p / (1 - p))),
        (MeanSquaredError(), bits, mean),
    ):
        lowest = loss.constant_baseline(targets)
        for move in (0, *(0.1 * rng.standard_normal((9, *best.shape)))):
            answers = np.tile(best + move, (len(targets), 1))
            found = float(loss(answers, targets)[0])
            assert found > lowest if np.any(move) else found == pytest.approx(lowest, rel=1e-12)


# -- errors -----------------------------------------------------------------------------------

Z = np.zeros((4, 3))
T = np.zeros(4, int)
CE, SQUARES, BINARY = SoftmaxCrossEntropy, MeanSquaredError, BinaryCrossEntropy
ERRORS = [  # what was expected and what came, where docs/limits.md and refusals.md do not show it
    (CE, Z, T + 3, "labels from 0 to 2, got 3 to 3"),
    (CE, Z, T - 1, "labels from 0 to 2, got -1 to -1"),
    (CE, Z, T[:3], "integer labels (N,), got "),
    (CE, Z[:, 0], T, "logits (N, C)"),
    (SQUARES, Z, Z[:, :1], "targets (4, 3) like the logits, got"),
    (BINARY, Z, Z[:, 0], "got float64 (4,)"),
    (BINARY, Z, Z - 1, "targets from 0 to 1, got -1.0"),
    (BINARY, Z, Z * math.nan, "targets from 0 to 1, got nan"),
]
WAYS_OUT = [  # and how to mend it
    (CE, Z, np.eye(3)[T], "targets.argmax(axis=1)"),
    (CE, Z, T + 0.0, "targets.astype('int64')"),
    (CE, Z, T[:, None], "targets.ravel()"),
    (CE, Z, T[:, None] + 0.0, "targets.ravel().astype('int64')"),
    (CE, Z, T + 0.5, "MeanSquaredError"),
    (CE, Z[:, :1], T, "BinaryCrossEntropy"),
    (SQUARES, Z[:, :1], T + 0.5, "targets.reshape(-1, 1)"),
    (SQUARES, Z, Z.astype(int), "targets.astype('float32')"),
    (SQUARES, Z, T, "SoftmaxCrossEntropy"),
    (SQUARES, Z, T + 0.5, "return (N, 1)"),
    (BINARY, Z[:, :1], T, "targets.reshape(-1, 1).astype('float32')"),
    (BINARY, Z, T, "SoftmaxCrossEntropy"),
]


def test_errors_name_the_loss_what_came_and_the_way_out():
    for loss, z, targets, words in ERRORS + WAYS_OUT:
        with pytest.raises(ValueError, match=f"{loss.name}: expected .*{re.escape(words)}"):
            loss()(z, targets)
        if words.startswith("targets."):  # code: it works
            loss()(z, eval(words, {"targets": targets}))


def test_a_loss_without_a_formula_is_an_error():
    with pytest.raises(NotImplementedError):
        Loss()(Z, Z)
    assert repr(SoftmaxCrossEntropy()) == "SoftmaxCrossEntropy()"


def test_nonfinite_values_are_returned_without_a_warning():
    assert math.isnan(SoftmaxCrossEntropy()(Z * math.nan, T)[0])
    assert math.isinf(MeanSquaredError()(Z + 1e200, Z)[0])


def test_logits_and_targets_on_different_devices_are_refused(monkeypatch):
    pretended_cupy.install(monkeypatch)
    there = get_device("cuda").asarray(Z)
    message = "expected logits and targets on the same device, got cupy and numpy arrays; move them"
    with pytest.raises(TypeError, match=message):
        SoftmaxCrossEntropy()(there, T)
