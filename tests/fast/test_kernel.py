"""Each marked function is one text: its twins and the generated kernels give the same results."""

from __future__ import annotations

import inspect
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import host_kernels
import numpy as np
import pytest

import minidl
from minidl import BatchNorm, fast
from minidl._rule_text import parsed
from minidl.activations import ReLU, Swish
from minidl.backend import IN_CACHE, to_numpy
from minidl.backend.threads import using_threads
from minidl.fast import pool
from minidl.fast.pool import one_pool
from minidl.gpu.kernels import kernel_of
from minidl.kernel import CHUNK, SHARED, chunks, in_chunks, kernel, register
from minidl.optimizers.sgd import sgd

ROOT = Path(minidl.__file__).parents[1]
RULES = host_kernels.LOOPS
compiled = pytest.mark.skipif(
    fast.engine() == "numpy", reason="Numba is not installed, or switched off"
)
RULE = r"^@kernel\ndef (\w+)\(.*\):\n    for i in chunks"
each = pytest.mark.parametrize("text", RULES.values(), ids=RULES)
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def arguments(text, size, dtype, seed=0):
    """Arrays for what the text reads at i, scalars for the rest; all above 0, for the roots."""
    rng = np.random.default_rng(seed)
    arrays = set(re.findall(r"(\w+)\[i\]", inspect.getsource(text)))
    names = text.__code__.co_varnames[: text.__code__.co_argcount]
    assert arrays < set(names)
    return [rng.random(size).astype(dtype) if n in arrays else float(rng.random()) for n in names]


def after(run, given):
    """The arrays after ``run(*given)``, which gets copies of them."""
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
    run(*copies)
    return [a for a in copies if isinstance(a, np.ndarray)]


@contextmanager
def in_numpy() -> Iterator[None]:
    """Marked functions run as they are written, whether or not Numba is installed."""
    register("numpy", lambda text, is_long: None)
    try:
        yield
    finally:
        register("numpy", fast.find, fast.engine, pool.full_speed)


def assert_same_bits(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# -- rules in NumPy ---------------------------------------------------------------------------


def test_chunks_cover_everything_once_and_fit_the_cache():
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7):
        slices = list(chunks(size))
        assert [i for s in slices for i in range(s.start, s.stop)] == list(range(size))
        assert all(0 < s.stop - s.start <= CHUNK for s in slices)


@each
def test_chunks_give_the_bits_of_the_whole_vector(text, monkeypatch):
    given = arguments(text, 1003, "float32")
    whole = after(text, given)
    assert any((a != b).any() for a, b in zip(whole, after(lambda *_: None, given), strict=True))
    for size in (64, 333, 1003):
        monkeypatch.setattr("minidl.kernel.CHUNK", size)
        with in_numpy():
            assert_same_bits(after(kernel(text), given), whole)


@both_types
def test_numbers_have_the_type_of_the_arrays(dtype):
    """Of Python's numbers, a compiler would make float64, and round at the end only."""
    theta, g = np.random.default_rng(0).random((2, 1003)).astype(dtype)
    expected = theta - np.dtype(dtype).type(0.1) * g
    for eta in (0.1, np.dtype(dtype).type(0.1)):
        found = theta.copy()
        sgd(found, g, eta)
        assert_same_bits([found], [expected])


def test_a_rule_without_a_source_file_runs_as_it_is():
    """As one that is typed in: nobody knows what a compiler would make of it."""
    names = {"kernel": kernel, "chunks": chunks}
    exec(
        "@kernel\ndef rule(x, g):\n    for i in chunks(x.size):\n        x[i] = 2 * x[i] + 1", names
    )
    x = np.arange(3.0)
    names["rule"](x, x)
    assert x.tolist() == [1, 3, 5]


# -- what a rule may contain ------------------------------------------------------------------

two = 2.0


def documented(x, g, a):
    """A docstring is none of its lines."""
    for i in chunks(x.size):
        x[i] = -a * (x[i] + g[i]) / sqrt(g[i])  # noqa: F821
        x[i] *= g[i] - a


def power(x, a):
    for i in chunks(x.size):
        x[i] = x[i] ** a


def comparison(x, a):
    for i in chunks(x.size):
        x[i] = x[i] > a


def an_integer(x, a):
    for i in chunks(x.size):
        x[i] = 2 * x[i]


def a_float(x, a):
    for i in chunks(x.size):
        x[i] *= 0.5


def absolute(x, a):
    for i in chunks(x.size):
        x[i] = abs(x[i])


def neighbour(x, a):
    for i in chunks(x.size):
        x[i] = x[i + 1]


def first(x, a):
    for i in chunks(x.size):
        x[0] += x[i]


def a_global(x, a):
    for i in chunks(x.size):
        x[i] = two * x[i]


def a_local(x, a):
    for i in chunks(x.size):
        y = x[i]
        x[i] = y * y


def a_branch(x, a):
    for i in chunks(x.size):
        if a:
            x[i] = a


def floor(x, a):
    for i in chunks(x.size):
        x[i] //= a


def two_loops(x, a):
    for i in chunks(x.size):
        x[i] = a
    for i in chunks(x.size):
        x[i] = a


def another_name(x, a):
    for j in chunks(x.size):
        x[j] = a


def no_loop(x, a):
    x[next(chunks(x.size))] = a


REFUSED = {
    **{text: text.__name__ + ": line 'x" for text in (power, comparison, an_integer, a_float)},
    **{text: text.__name__ + ": line 'x" for text in (absolute, neighbour, first, a_global, floor)},
    a_local: "a_local: line 'y = x",
    a_branch: "a_branch: line 'if a:",
    **{text: text.__name__ + ": expected another" for text in (two_loops, another_name, no_loop)},
}
READERS = {"text": parsed, "GPU": kernel_of}
if fast.engine() != "numpy":
    READERS["Numba"] = partial(fast.find, is_long=False)


def test_what_a_rule_may_contain_is_accepted():
    rule = parsed(documented)
    assert (rule.parameters, rule.written) == (["x", "g", "a"], {"x"})
    assert len(rule.lines) == 2
    assert kernel_of(documented)[2] == "x = -a * (x + g) / sqrt(g); x *= g - a;"


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text.__name__)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_rule_that_engines_would_compute_differently_is_refused(read, text):
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])) as refusal:
        read(text)
    assert "a rule is one loop, for i in chunks(…)" in str(refusal.value)


# -- rules in Numba ---------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize(("name", "dtype"), [*((n, "float32") for n in RULES), ("adam", "float64")])
def test_numba_gives_the_bits_of_numpy(name, dtype):
    rule = kernel(RULES[name])
    for size in (1, 7, 64, CHUNK + 1):
        given = arguments(RULES[name], size, dtype, seed=size)
        found = after(rule, given)
        with in_numpy():
            assert_same_bits(found, after(rule, given))
        with using_threads(2), one_pool():
            assert_same_bits(found, after(rule, given))


@compiled
def test_short_loops_stay_on_one_thread(monkeypatch):
    """On a busy machine a thread may wait milliseconds: Adam on 100 parameters took 36 ms."""
    asked = []
    monkeypatch.setattr(pool, "threads", lambda: asked.append(True) or 1)
    for size in (100, SHARED - 1):
        sgd(np.ones(size), np.ones(size), 0.5)
        BatchNorm(1).build()(np.ones((1, 1, 1, size), np.float32), training=True)
    assert not asked
    sgd(np.ones(SHARED), np.ones(SHARED), 0.5)
    assert asked


@pytest.mark.parametrize("engine", [nullcontext, in_numpy], ids=["compiled", "NumPy"])
def test_a_sum_of_millions_keeps_its_digits(engine):
    """In one accumulator of float32, 3.2 million equal numbers are off by up to 6e-4."""
    norm = BatchNorm(1).build()
    x = np.full((2, 1, 1000, 1600), 0.1, np.float32)
    x[1] = -x[1]
    with engine():
        norm(x, training=True)
        assert float(norm.s[0]) == pytest.approx(math.sqrt(0.01 + 1e-5), rel=3e-6)
        norm.backward(np.full(x.shape, 0.1, np.float32))
        assert float(norm.dbeta[0]) == pytest.approx(320_000, rel=3e-6)
        norm.backward(x)
    dgamma = 0.1 * x.size * 0.1 / float(norm.s[0])
    assert float(norm.dgamma[0]) == pytest.approx(dgamma, rel=3e-6)


@compiled
def test_views_of_a_vector_and_read_only_gradients_are_accepted():
    vector, g = np.zeros(40, np.float32), np.ones(20, np.float32)
    g.flags.writeable = False
    sgd(vector[10:30], g, 0.5)
    np.testing.assert_array_equal(vector, [0] * 10 + [-0.5] * 20 + [0] * 10)


# -- the kernel -------------------------------------------------------------------------------


def test_the_kernel_is_the_text_itself():
    assert kernel_of(RULES["sgd"]) == ("T g, T eta", "T theta", "theta -= eta * g;")
    assert kernel_of(RULES["adam"]) == (
        "T g, T eta, T epsilon, T beta1, T beta2",
        "T theta, T m, T v",
        "m = beta1 * m + g; v = beta2 * v + g * g; theta -= eta * (m / (sqrt(v) + epsilon));",
    )


@both_types
@each
def test_the_kernel_as_cpp_gives_the_bits_of_numpy(text, dtype):
    if host_kernels.COMPILER is None:
        pytest.skip("no C++ compiler")
    given = arguments(text, 1003, dtype)
    reads, writes, _ = kernel_of(text)
    names = text.__code__.co_varnames[: text.__code__.co_argcount]
    in_order = [name for _, _, name in host_kernels.parameters(f"{reads}, {writes}")]

    def run(*arrays):
        by_name = dict(zip(names, arrays, strict=True))
        host_kernels.run(text.__name__, tuple(by_name[name] for name in in_order))

    assert_same_bits(after(run, given), after(text, given))


@both_types
@each
def test_a_rule_on_a_gpu_runs_as_its_kernel(text, dtype, device):
    given = arguments(text, 1003, dtype)
    expected = after(text, given)
    there = [device.asarray(a) if isinstance(a, np.ndarray) else a for a in given]
    as_arrays = [a if np.ndim(a) else device.asarray(np.array([a], dtype)) for a in there]
    # Scalars may be on the GPU: a replayed step reads them there.
    for numbers in (there, as_arrays) if device.is_cuda else (there,):
        copies = [a.copy() if np.shape(a) == (1003,) else a for a in numbers]
        kernel(text)(*copies)
        found = [to_numpy(a) for a in copies if np.shape(a) == (1003,)]
        for a, b in zip(found, expected, strict=True):  # a GPU may fuse a product and a sum
            np.testing.assert_allclose(a, b, rtol={"float32": 1e-5, "float64": 1e-13}[dtype])


def test_every_rule_is_tested_here():
    package = Path(minidl.__file__).parent
    found = [
        name
        for path in package.rglob("*.py")
        for name in re.findall(RULE, path.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(found) == sorted(RULES)


# -- which engine -----------------------------------------------------------------------------

RUN = (
    "import numpy as np; from minidl import fast;"
    "from minidl.optimizers.adam import adam; from minidl.optimizers.sgd import sgd;"
    "theta, g = np.zeros(3), np.ones(3); sgd(theta, g, 0.5); sgd(theta, g, 0.5);"
    "adam(theta, g, g.copy(), g.copy(), 0.0, 1.0, 0.9, 0.9);"
    "print(fast.engine().split()[0], theta.tolist())"
)


def process(code, **environment):
    """What the process prints on stdout and on stderr."""
    kept = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"}
    environment = kept | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    return done.stdout, done.stderr


def test_a_numba_that_cannot_be_imported_is_reported_once(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less')")
    assert process(RUN, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}") == (
        "numpy [-1.0, -1.0, -1.0]\n",
        "minidl: Numba cannot be used (Numba needs NumPy 2.2 or less); loops run in NumPy\n",
    )


@pytest.mark.slow
def test_without_numba_or_with_its_own_switch_loops_run_in_numpy_without_a_message():
    for code, environment in (
        ("import sys; sys.modules['numba'] = None;" + RUN, {}),
        (RUN, {"NUMBA_DISABLE_JIT": "1"}),
    ):
        assert process(code, **environment) == ("numpy [-1.0, -1.0, -1.0]\n", "")


@compiled
@pytest.mark.slow
def test_the_next_process_reads_compiled_loops_from_disk(tmp_path):
    code = RUN + (
        "; stats = [fast.compiled(f.__wrapped__).stats for f in (adam, sgd)];"
        "print([sum(s.cache_hits.values()) for s in stats])"
    )
    for hits in ("[0, 0]", "[1, 1]"):
        expected = f"numba [-1.0, -1.0, -1.0]\n{hits}\n", ""
        assert process(code, NUMBA_CACHE_DIR=str(tmp_path)) == expected


# -- formulas on arrays -----------------------------------------------------------------------


def gap(array):
    """The same values with gaps between them in memory."""
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


LAYOUTS = {  # and whether the values are contiguous in memory
    "as usual": (lambda a: a, True),
    "batch last": (
        lambda a: np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2),
        True,
    ),
    "backwards": (lambda a: a[::-1], False),
    "with gaps": (gap, False),
    "transposed": (lambda a: a.T, True),
}


@compiled
def test_a_compiled_activation_gives_the_bits_of_numpy():
    dy, z = np.random.default_rng(0).standard_normal((2, 300, 1000), np.float32)
    z[0, :9] = [0, -0.0, np.inf, -np.inf, np.nan, 1e-38, -1e-38, 1, -1]
    f = ReLU()
    formulas = (lambda: f(z), lambda: f.backward(dy, z, f(z)), lambda: f.derivative(z))
    found = [formula() for formula in formulas]
    with using_threads(2), one_pool():
        assert_same_bits([formula() for formula in formulas], found)
    with in_numpy():
        assert_same_bits(found, [formula() for formula in formulas])


def test_backward_uses_a_custom_slope():
    class Twice(ReLU):
        def slope(self, z, y):
            return 2 * super().slope(z, y)

    dy, z = np.random.default_rng(0).standard_normal((2, 300, 1000))
    np.testing.assert_array_equal(Twice().backward(dy, z, z), 2 * ReLU().backward(dy, z, z))


@both_types
def test_a_formula_in_chunks_equals_the_formula_on_the_whole_array(dtype):
    """In every memory layout, and whether or not it fits the cache."""
    sizes = []

    def formula(a, b):
        sizes.append(a.size)
        return a * np.exp(b)

    for batch in (1, 50):
        drawn = np.random.default_rng(0).standard_normal((2, batch, 8, 20, 20)).astype(dtype)
        for layout, (lay, is_row) in LAYOUTS.items():
            a, b = map(lay, drawn)
            sizes.clear()
            found = in_chunks(formula, a, b, size=IN_CACHE)
            assert found.dtype == a.dtype
            np.testing.assert_array_equal(found, a * np.exp(b), err_msg=layout)
            in_one = not is_row or a.size <= 2 * IN_CACHE
            assert (len(sizes) == 1) == in_one, layout
            assert sum(sizes) == a.size
            if is_row:
                assert found.strides == a.strides, layout


def test_arrays_with_different_layouts_are_not_split():
    a = np.arange(3 * 200 * 200.0).reshape(3, 200, 200)
    b = a.transpose(0, 2, 1).copy().transpose(0, 2, 1)
    np.testing.assert_array_equal(in_chunks(np.subtract, a, b, size=IN_CACHE), 0 * a)


def test_an_overflow_in_a_formula_is_silent():
    for size in (3, 3 * IN_CACHE):
        assert not Swish()(np.full(size, -1e4)).any()


def test_the_array_may_be_given_by_name():
    """By which the engine is found, as in ``layer.backward(dy=dy)``."""

    @kernel
    def double(a, factor=2):
        return a * factor

    np.testing.assert_array_equal(double(a=np.ones(2)), [2, 2])
    np.testing.assert_array_equal(double(factor=3, a=np.ones(2)), [3, 3])
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        double()
