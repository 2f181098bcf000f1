"""CuPy's interface on the CPU, for the code that chooses between the two array modules.

Its arrays are NumPy's underneath, but as strict as CuPy's about where they are: an operation
that mixes them with plain NumPy arrays raises ``TypeError``, and a reduction gives an array of
no axes, not a scalar.  Kernels run as C++ (see host_kernels.py).  Streams track unfinished
work, and while one captures, nothing is computed, nothing may be fetched, and the graph
replays into the same arrays.  So it shows without a GPU that minidl moves arrays and waits
where it has to, and that a captured step is the step; it says nothing about CuPy's own
numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import host_kernels
import numpy as np
import pytest
import scipy.special

# -- streams, graphs, memory ------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    """CuPy's error for what the CUDA runtime refuses."""


class OutOfMemoryError(MemoryError):
    """CuPy's error for memory that cannot be allocated."""


class Stream:
    """Work in launch order; other streams do not wait for it."""

    current: list[Stream] = []
    all: list[Stream] = []

    def __init__(self, non_blocking: bool = False) -> None:
        self.pending = False
        self.captured: list[Callable[[], Any]] | None = None
        self.undo: list[tuple[np.ndarray, np.ndarray]] = []
        Stream.all.append(self)

    def __enter__(self) -> Stream:
        Stream.current.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        assert Stream.current.pop() is self

    def synchronize(self) -> None:
        self.wait()

    def wait(self) -> None:
        if self.captured is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: a wait in a capture")
        self.pending = False

    def begin_capture(self) -> None:
        assert self is not Stream.all[0], "cannot capture on the default (legacy) stream"
        self.captured, self.undo = [], []

    def end_capture(self) -> Graph:
        for array, before in reversed(self.undo):
            array[...] = before
        assert self.captured is not None
        captured, self.captured = self.captured, None
        return Graph(captured)


class Graph:
    def __init__(self, launches: Sequence[Callable[[], Any]]) -> None:
        self.launches = list(launches)

    def launch(self, stream: Stream) -> None:
        _ordered(stream)
        with np.errstate(all="ignore"):  # a GPU does not warn
            for launch in self.launches:
                launch()
        stream.pending = True


class MemoryPool:
    def malloc(self, size: int) -> None:
        raise NotImplementedError


class _Memory:
    allocators: list[Any] = []


@contextmanager
def using_allocator(allocator: Callable[[int], Any]) -> Iterator[None]:
    _Memory.allocators.append(allocator)
    try:
        yield
    finally:
        _Memory.allocators.pop()


def _ordered(stream: Stream) -> None:
    if any(other.pending for other in Stream.all if other is not stream):
        raise CUDARuntimeError("another stream has not finished: its results may not be there yet")


def _launch(compute: Callable[[], Any], out: Sequence[np.ndarray] = ()) -> Any:
    """Compute now; while the stream captures, only record the call, for the arrays of that time."""
    stream = Stream.current[-1]
    _ordered(stream)
    if stream.captured is None:
        stream.pending = True
        return compute()
    stream.undo += [(_plain(array), np.array(_plain(array))) for array in out]
    result = compute()
    if out:
        stream.captured.append(compute)
    else:
        if not _Memory.allocators:
            raise AssertionError("an array of a graph was allocated outside the graph's memory")
        made = _plain(result)
        stream.captured.append(lambda: np.copyto(made, _plain(compute())))
    return result


def _fetch() -> None:
    """Fetch a value to the CPU, which waits for the current stream."""
    stream = Stream.current[-1]
    _ordered(stream)
    stream.wait()


# -- arrays -----------------------------------------------------------------------------------


def _refuse_plain(*arguments: Any) -> None:
    for argument in arguments:
        if isinstance(argument, tuple | list):
            _refuse_plain(*argument)
        elif type(argument) is np.ndarray:
            raise TypeError(f"Unsupported type {type(argument)}: a NumPy array among CuPy's")


class ndarray(np.ndarray):  # noqa: N801 (CuPy's name)
    """An array that claims to be on a GPU."""

    def get(self) -> np.ndarray:
        _fetch()
        return np.array(self.view(np.ndarray))

    def item(self, *index: int) -> Any:
        return self.get().item(*index)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def fill(self, value: Any) -> None:
        self[...] = value

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        return self._called("argmax", *args, **kwargs)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        return self._called("astype", *args, **kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        return self._called("copy", *args, **kwargs)

    def reshape(self, *args: Any, **kwargs: Any) -> Any:
        return self._called("reshape", *args, **kwargs)

    def _called(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A method of NumPy's arrays: a launch, unless it gives a view of this array."""

        def compute() -> Any:
            return getattr(_plain(self), method)(*_plain(args), **kwargs)

        found = compute()
        if isinstance(found, np.ndarray) and np.may_share_memory(found, _plain(self)):
            return _pretend(found)
        return _launch(lambda: _pretend(compute()))

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        return _call(getattr(ufunc, method), inputs, kwargs | ({"out": out} if out else {}))

    def __array_function__(self, function, types, args, kwargs):
        return _call(function, args, kwargs)

    def __getitem__(self, key):
        _refuse_plain(key)
        return self._called("__getitem__", key)

    def __setitem__(self, key, value):
        _refuse_plain(key, value)
        _launch(lambda: np.ndarray.__setitem__(_plain(self), _plain(key), _plain(value)), [self])


ndarray.__module__ = "cupy"


def _call(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy on pretended arrays, as one launch."""
    _refuse_plain(args, *kwargs.values())
    out = kwargs.get("out")
    writes = list(out) if isinstance(out, tuple) else [] if out is None else [out]
    if function is np.copyto:
        writes = [args[0]]

    def compute() -> Any:
        return _pretend(function(*_plain(args), **{k: _plain(v) for k, v in kwargs.items()}))

    result = _launch(compute, writes)
    return writes[0] if writes else result


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return value.view(np.ndarray) if isinstance(value, ndarray) else value


def _pretend(value: Any) -> Any:
    if isinstance(value, ndarray) or not isinstance(value, np.ndarray | np.generic):
        return value
    return np.asarray(value).view(ndarray)


# -- the module -------------------------------------------------------------------------------


class _Device:
    used: list[int] = []
    compute_capability = "90"

    def __init__(self, index: int = 0) -> None:
        self.index = index

    def use(self) -> None:
        self.used.append(self.index)

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class ElementwiseKernel:
    """A kernel of minidl, by its name: written as CUDA, or generated from a loop."""

    def __init__(
        self, reads: str, writes: str, body: str, name: str, no_return: bool = False
    ) -> None:
        known = {"minidl_" + key.replace(".", "_"): key for key in host_kernels.KERNELS}
        self.name = known[name]
        assert host_kernels.KERNELS[self.name] == (reads, writes, body)
        self.reads = len(host_kernels.parameters(reads))

    def __call__(self, *arguments: Any) -> None:
        _refuse_plain(*arguments)
        _launch(lambda: host_kernels.run(self.name, _plain(arguments)), arguments[self.reads :])


class Cupy(ModuleType):
    """The module: NumPy's functions on the arrays above."""

    ndarray = ndarray
    ElementwiseKernel = ElementwiseKernel

    def __init__(self, count: int) -> None:
        super().__init__("cupy")
        self.free = 2**40  # bytes of memory
        self.compute_types: dict[type, str] = {}
        Stream.all.clear()
        Stream.current[:] = [Stream()]
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(
                getDeviceCount=lambda: count,
                memGetInfo=lambda: (self.free, 2 * self.free),
                getDeviceProperties=lambda index: {"name": b"Pretended GPU"},
            ),
            Device=_Device,
            Stream=Stream,
            MemoryPool=MemoryPool,
            using_allocator=using_allocator,
            get_current_stream=lambda: Stream.current[-1],
        )

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        if isinstance(array, ndarray) and (dtype is None or dtype == array.dtype):
            return array
        if isinstance(array, ndarray):
            return _call(np.asarray, (array,), {"dtype": dtype})
        if Stream.current[-1].captured is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: a copy from the CPU")
        return _launch(lambda: np.array(array, dtype=dtype).view(ndarray))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        function = getattr(np, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            return _call(function, args, kwargs)

        def at(out: Any, *args: Any) -> None:
            _refuse_plain(out, *args)
            _launch(lambda: function.at(_plain(out), *_plain(args)), [out])

        called.at = at  # type: ignore[attr-defined]  # of a ufunc
        return called


def install(monkeypatch: pytest.MonkeyPatch, count: int = 1) -> Cupy:
    """Let ``import cupy`` find the pretended one until the test ends."""
    cupy = Cupy(count)
    core = ModuleType("cupy._core")
    core._routines_linalg = SimpleNamespace(
        COMPUTE_TYPE_DEFAULT="default",
        COMPUTE_TYPE_TF32="tf32",
        set_compute_type=cupy.compute_types.__setitem__,
    )
    special = ModuleType("cupyx.scipy.special")
    special.erfc = scipy.special.erfc
    cupyx, inner = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    cupyx.scipy, inner.special = inner, special
    modules = {"cupy": cupy, "cupy._core": core}
    modules |= {"cupyx": cupyx, "cupyx.scipy": inner, special.__name__: special}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return cupy
