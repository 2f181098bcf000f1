"""Each GPU kernel against the equivalent lines in NumPy.

Without a GPU, the kernels' own text runs as C++ (see host_kernels.py). If CuPy is installed,
its compiler translates them for two generations of GPU, which does not take a GPU.
"""

from __future__ import annotations

import host_kernels
import numpy as np
import pytest

from minidl import ACTIVATIONS, SoftmaxCrossEntropy
from minidl.activations import ELU, LeakyReLU, ReLU
from minidl.backend import to_numpy
from minidl.gpu import kernels

FUNCTIONS = {name: f for name, f in ACTIVATIONS.items() if f.__name__ in kernels.FUNCTIONS}
FUNCTIONS |= {"leaky_relu(0.3)": lambda: LeakyReLU(0.3), "elu(2)": lambda: ELU(2)}
# Both tails, both sides of each kink, and the ends where e^z overflows.
Z = np.array([-800, -95, -80, -20, -5, -1, -1e-3, -0.0, 0, 1e-3, 0.5, 1, 5, 20, 80, 95, 800])


def assert_same(found, expected, dtype, name=""):
    # A kernel may fuse a product and a sum; exp and erfc differ in their last bits.
    rtol = {"float32": 3e-6, "float64": 1e-13}[dtype]
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(to_numpy(found), expected, rtol, tiny, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_functions(dtype, gpu):
    z = Z.astype(dtype).reshape(-1, 1) + np.zeros((1, 3), dtype)
    dy = np.random.default_rng(0).standard_normal(z.shape).astype(dtype)
    for name, make in FUNCTIONS.items():
        f = make()
        there = [gpu.asarray(array) for array in (z, dy)]
        y = f(z)
        assert_same(f(there[0]), y, dtype, name)
        assert_same(f.derivative(there[0]), f.derivative(z), dtype, name)
        found = f.backward(there[1], there[0], gpu.asarray(y))
        assert_same(found, f.backward(dy, z, y), dtype, name)
        nan = np.array([np.nan, 1.0], dtype)
        for y in (f(nan), to_numpy(f(gpu.asarray(nan)))):
            assert np.isnan(y).tolist() == [True, False], name


def test_every_elementwise_function_has_one():
    """A kernel, so that it is one launch; list a new function without one here."""
    without: set[str] = set()
    found = {name for name, f in ACTIVATIONS.items() if f.elementwise}
    assert found == set(FUNCTIONS) & set(ACTIVATIONS) | without


def test_a_custom_function_runs_its_own_lines(gpu):
    class Mine(ReLU):
        def f(self, z):
            return 3 * z

        def slope(self, z, y):
            return y / z

    z = gpu.asarray(np.array([-1.0, 2]))
    y = Mine()(z)
    np.testing.assert_array_equal(to_numpy(y), [-3, 6])
    np.testing.assert_array_equal(to_numpy(Mine().backward(y, z, y)), [-9, 18])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_cross_entropy(dtype, gpu):
    rng = np.random.default_rng(2)
    z = (rng.standard_normal((9, 7)) * 5).astype(dtype)
    z[0], z[1, 3], z[2, 0], z[3, 5] = 0, 500, -500, z[3].max() + 16
    for labels in ("uint8", "int32", "int64"):
        t = rng.integers(0, 7, 9).astype(labels)
        t[1], t[3] = 3, 5
        losses, dlogits = SoftmaxCrossEntropy().per_example(z, t)
        there = SoftmaxCrossEntropy().per_example(gpu.asarray(z), gpu.asarray(t))
        assert_same(there[0], losses, dtype)
        assert_same(there[1], dlogits, dtype)


def test_the_first_of_equal_maxima_is_chosen(gpu):
    z = np.array([[1.0, 3, 3], [2, 2, 2], [0, 1, 5]])
    for t, expected in (([1, 0, 2], [1, 1, 1]), ([2, 1, 0], [0, 0, 0])):
        hits = SoftmaxCrossEntropy().correct(gpu.asarray(z), gpu.asarray(np.array(t)))
        np.testing.assert_array_equal(to_numpy(hits), expected)


def test_the_tables_of_an_epoch(gpu):
    asarray = gpu.asarray
    for place in (0, 8, 16):
        at = asarray(np.array([place]))
        order, now = asarray(np.arange(100, 124)), asarray(np.zeros(8, np.int64))
        kernels.fetch(order, at, 1, 1, now)
        np.testing.assert_array_equal(to_numpy(now), np.arange(100 + place, 108 + place))
        table, now = asarray(np.arange(6.0)), asarray(np.zeros(2))
        kernels.fetch(table, at, 2, 8, now)
        np.testing.assert_array_equal(to_numpy(now), [place / 4, place / 4 + 1])
        losses, hits = asarray(np.zeros(24)), asarray(np.zeros(24))
        kernels.store(asarray(np.arange(1.0, 9)), asarray(np.ones(8)), at, losses, hits)
        np.testing.assert_array_equal(to_numpy(losses)[place : place + 8], np.arange(1, 9))
        assert to_numpy(losses).sum() == 36
        assert to_numpy(hits).sum() == to_numpy(hits)[place : place + 8].sum() == 8


@pytest.mark.peer
def test_the_cuda_compiler_accepts_every_kernel():
    nvrtc = pytest.importorskip("cupy", reason="needs CuPy, which has NVRTC").cuda.nvrtc
    text = host_kernels.all_sources().replace("#include <cmath>\nusing namespace std;", "")
    text = text.replace('extern "C" void', 'extern "C" __global__ void')
    for arch in ("compute_75", "compute_90"):
        program = nvrtc.createProgram(text, "kernels.cu", [], [])
        nvrtc.compileProgram(program, ["--std=c++17", f"-arch={arch}"])
        assert len(nvrtc.getPTX(program)) > 100_000
