"""Devices by name, errors that say how to fix them, random numbers, and fused functions."""

from __future__ import annotations

import sys

import numpy as np
import pretended_cupy
import pytest

import minidl
from minidl import DeviceError, get_device
from minidl.backend import (
    Random,
    namespace,
    set_precision,
    special,
    to_numpy,
)
from minidl.backend.cuda import _say_once
from minidl.gpu import kernels
from minidl.kernel import kernel


def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # "import cupy" raises ImportError


def test_cpu():
    device = get_device("cpu")
    assert (device.name, device.xp, device.is_cuda) == ("cpu", np, False)
    assert str(device) == "cpu"
    assert get_device(device) is device
    device.synchronize()


def test_other_names_are_an_error_that_lists_the_right_ones():
    for name in ("gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "", None, 0):
        with pytest.raises(ValueError, match=r"'auto', 'cpu', 'cuda' or 'cuda:<number>', got"):
            get_device(name)


def fails(message):
    def function(*arguments):
        raise RuntimeError(message)

    return function


def test_a_gpu_that_cannot_be_used_is_an_error_that_says_what_to_do(monkeypatch):
    with monkeypatch.context() as patch:
        no_cupy(patch)
        with pytest.raises(DeviceError, match=r"cuda:0: .*pip install 'minidl\[cuda12\]'.*'cpu'"):
            get_device("cuda")
    for count, name, there in (
        (0, "cuda", "there is no GPU"),
        (2, "cuda:2", "there is cuda:0, cuda:1"),
    ):
        cupy = pretended_cupy.install(monkeypatch, count)
        with pytest.raises(DeviceError, match=f"no such GPU; {there}, or choose device 'cpu'"):
            get_device(name)
    monkeypatch.setattr(cupy, "ones", fails("no kernel image is available"))
    with pytest.raises(DeviceError, match="no kernel image is available"):
        get_device("cuda")
    assert get_device("auto").name == "cpu"
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", fails("InsufficientDriver"))
    with pytest.raises(DeviceError, match=r"cuda:1: .*InsufficientDriver.*nvidia-smi"):
        get_device("cuda:1")


def test_auto_takes_the_gpu_or_the_cpu_and_says_once_why(monkeypatch, tmp_path, capsys):
    def said(name, reason):
        _say_once.cache_clear()
        for _ in range(3):
            device = get_device()
            assert (device.name, device.reason) == (name, reason)
        return capsys.readouterr().err

    pretended_cupy.install(monkeypatch)
    line = "minidl: device auto is cuda:0 (a GPU answers)\n"
    assert said("cuda:0", "a GPU answers") == line
    pretended_cupy.install(monkeypatch, count=0)
    line = "minidl: device auto is cpu (cuda:0: no such GPU)\n"
    assert said("cpu", "cuda:0: no such GPU") == line
    get_device("cpu")
    assert capsys.readouterr().err == ""
    (tmp_path / "cupy.py").write_text("raise ImportError('libcublas is missing')")
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.syspath_prepend(tmp_path)
    reason = "cuda:0: CuPy cannot be imported (libcublas is missing)"
    assert said("cpu", reason) == f"minidl: device auto is cpu ({reason})\n"


def test_auto_does_not_report_that_cupy_is_not_installed(monkeypatch, capsys):
    no_cupy(monkeypatch)
    _say_once.cache_clear()
    device = get_device("auto")
    assert device.name == "cpu"
    assert device.reason.startswith("cuda:0: CuPy cannot be imported (")
    assert capsys.readouterr().err == ""


def test_a_gpu_is_made_current_before_its_arrays_are_allocated(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch, count=2)
    device = get_device("cuda:1")
    assert (device.name, device.reason, str(device)) == ("cuda:1", "asked for", "cuda:1")
    cupy.cuda.Device.used.clear()
    array = device.asarray(np.arange(3), np.float32)
    assert cupy.cuda.Device.used == [1]
    assert type(array) is cupy.ndarray
    assert array.dtype == np.float32
    assert device.asarray(array) is array
    device.synchronize()
    stream = cupy.cuda.Stream()
    with stream:
        array += 1
        assert stream.pending
        device.synchronize()
        assert not stream.pending


def test_a_device_is_described(monkeypatch):
    pretended_cupy.install(monkeypatch)
    assert get_device("cpu").describe() == "cpu"
    assert get_device("cuda").describe() == "cuda:0 (Pretended GPU, 2048 GiB)"


def test_too_little_memory_is_an_error_that_says_how_much_there_is(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch, count=2)
    cupy.free = 5_000_000
    device = get_device("cuda:1")
    device.require_memory(5_000_000, "it")
    message = (
        "cuda:1: not enough memory: it needs 6 MB, 5 of 10 MB are free; use a smaller batch size, "
        r"fewer or smaller examples, another GPU \(cuda:1\), or device 'cpu'"
    )
    with pytest.raises(DeviceError, match=message):
        device.require_memory(6_000_000, "it")
    with (
        pytest.raises(DeviceError, match="cuda:1: not enough memory: Out of memory allocating 7"),
        device.enough_memory(),
    ):
        raise pretended_cupy.OutOfMemoryError("Out of memory allocating 7 bytes")
    cpu = get_device("cpu")
    cpu.require_memory(2**20, "it")
    monkeypatch.setattr("minidl.backend.device.memory_limit", lambda: 5_000_000)
    cpu.require_memory(5_000_000, "it")
    with pytest.raises(DeviceError, match="cpu: not enough memory: it needs 6 MB, 5 MB is all"):
        cpu.require_memory(6_000_000, "it")
    monkeypatch.setattr(
        "minidl.backend.device.memory_limit", lambda: None
    )  # a system that reports no limit
    cpu.require_memory(2**60, "it")
    with pytest.raises(MemoryError, match="of the CPU"), cpu.enough_memory():
        raise MemoryError("of the CPU")


def test_training_that_cannot_fit_is_refused_before_anything_is_copied(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch)
    network = minidl.Network([minidl.Dense(1000, 1000)], 1000, device="cuda")
    data = minidl.Examples(np.zeros((5000, 1000), np.uint8), np.zeros(5000, int))
    loss = minidl.SoftmaxCrossEntropy()
    # 5 MB of bytes, 40 kB of labels, three vectors of 4 MB with Adam's; for each of 64 examples
    # as floats x, y, dy.  θ and ∇θ are already allocated.
    needed = 5_000_000 + 40_000 + 3 * 4_004_000 + 64 * 3 * 1000 * 4
    cupy.free = needed - 1
    with pytest.raises(DeviceError, match="cuda:0: not enough memory: the training needs 18 MB"):
        minidl.train(network, data, loss, minidl.Adam(), epochs=1)
    cupy.free = needed
    minidl.train(network, data, loss, minidl.Adam(), epochs=1).close()
    there = data.to("cuda")
    cupy.free = needed - 5_040_000
    minidl.train(network, there, loss, minidl.Adam(), epochs=1).close()


def test_precision_is_explicit(monkeypatch):
    cupy = pretended_cupy.install(monkeypatch)
    gpu = get_device("cuda")
    for precision, compute_type in (("tf32", "tf32"), ("float32", "default")):
        set_precision(precision, gpu)
        assert cupy.compute_types == {np.float32: compute_type}
    set_precision("float32", get_device("cpu"))
    with pytest.raises(DeviceError, match="tf32 is for GPUs, and the device is cpu; choose floa"):
        set_precision("tf32", get_device("cpu"))
    with pytest.raises(ValueError, match="expected one of float32, tf32, got 'half'"):
        set_precision("half", gpu)
    monkeypatch.setattr(cupy.cuda.Device, "compute_capability", "75")
    with pytest.raises(DeviceError, match=r"expected compute capability 8.0 .* got 7.5; choose"):
        set_precision("tf32", gpu)


def test_namespace_transfers_and_special_functions(device):
    x = device.asarray([0.0, 1.0])
    assert namespace(x) is device.xp
    assert namespace(np.zeros(1)) is namespace(3.0) is np
    back = to_numpy(x)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, [0, 1])
    np.testing.assert_allclose(to_numpy(special(x).erfc(x)), [1, 0.15729920705028513], rtol=1e-12)
    assert type(get_device("cpu").asarray(x)) is np.ndarray
    there = np.zeros(2)
    assert to_numpy(there) is get_device("cpu").asarray(there) is there


class Dice(Random):
    """Two throws in each step."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def sample(self, shape):
        return self.rng.integers(1, 7, shape)


def test_numbers_are_drawn_in_the_step_or_ahead_of_it_but_not_twice(device):
    like = device.asarray(np.zeros(1))
    expected = np.random.default_rng(3)
    dice = Dice(3)
    first = dice.random_numbers((2,), like)
    assert type(first) is type(like)
    np.testing.assert_array_equal(to_numpy(first), expected.integers(1, 7, 2))
    dice.predraw()
    ahead = to_numpy(dice.u).copy()
    np.testing.assert_array_equal(ahead, expected.integers(1, 7, 2))
    assert dice.u is first  # a graph holds its address
    assert dice.random_numbers((2,), like) is first
    np.testing.assert_array_equal(to_numpy(first), ahead)
    np.testing.assert_array_equal(
        to_numpy(dice.random_numbers((4,), like)), expected.integers(1, 7, 4)
    )


def test_a_fused_function_runs_its_own_lines_on_the_cpu_and_a_kernel_on_a_gpu(device, monkeypatch):
    @kernel
    def twice(x, by):
        """A docstring."""
        return by * x

    assert twice.__doc__ == "A docstring."
    monkeypatch.setitem(kernels.TWINS, twice.__qualname__, lambda x, by: x + 5)
    y = twice(device.asarray(np.ones(2)), 2)
    np.testing.assert_array_equal(to_numpy(y), [6, 6] if device.is_cuda else [2, 2])


def test_every_public_name_is_there():
    for name in minidl.__all__:
        assert hasattr(minidl, name)
    assert sorted(minidl.__all__, key=str) == sorted(set(minidl.__all__))


def test_the_pretended_cupy_refuses_to_mix(monkeypatch):
    """Otherwise the tests that use it would show nothing."""
    cupy = pretended_cupy.install(monkeypatch)
    there, here = cupy.ones(3), np.ones(3)
    mixes = [
        lambda: there + here,
        lambda: np.multiply(here, 2, out=there),
        lambda: np.matmul(there, here),
        lambda: there.__setitem__(slice(None), here),
        lambda: cupy.take(there, np.array([0])),
        lambda: there[np.array([0])],
        lambda: np.concatenate([there, here]),
    ]
    for mix in mixes:
        with pytest.raises(TypeError, match="NumPy array among CuPy's"):
            mix()
    assert type(there.sum()) is type(there * 2) is type(there[0]) is cupy.ndarray
