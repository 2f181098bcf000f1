"""Work on the GPU recorded once as a CUDA graph and replayed as a single launch.

A training step is some forty launches of a few microseconds each, and the
CPU needs longer to launch a kernel than the GPU to run it.  A graph holds
the launches with the addresses of their arrays; a replay costs one launch.  So
whatever changes from step to step must be read from arrays, and the arrays must
stay in place, which this file ensures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from minidl.backend import Array, Device


class GraphError(RuntimeError):
    """The work cannot be recorded as a graph."""


class Graph:
    """A stream and memory pool of its own, and the launches recorded there.

    Parameters
    ----------
    device : the GPU
    owners : the objects in which the work leaves arrays to be inspected or read later.  The
        graph keeps these arrays alive if an owner replaces them by others.
    """

    def __init__(self, device: Device, owners: Iterable[object]) -> None:
        cuda = device.xp.cuda
        self.device = device
        self.owners = list(owners)
        self.stream = cuda.Stream(non_blocking=True)
        self.memory = cuda.MemoryPool()
        self.launches: Any = None  # cupy.cuda.Graph
        self._arrays: list[dict[str, Array]] = []  # of each owner

    @contextmanager
    def current(self) -> Iterator[None]:
        """A context that runs everything in the graph's stream, after all earlier launches."""
        self.device.synchronize()
        with self.stream:
            try:
                yield
            finally:  # other streams do not wait for this one by themselves
                self.stream.synchronize()

    @contextmanager
    def own_memory(self) -> Iterator[None]:
        """A context that allocates arrays in the graph's own memory, which nothing else uses.

        A replay also writes into intermediate arrays that nothing refers to any more.
        """
        with self.device.xp.cuda.using_allocator(self.memory.malloc):
            yield

    def record(self, work: Callable[[], None]) -> None:
        """Record what ``work`` launches, without computing anything yet.

        ``work`` must have run before in :meth:`own_memory`, so that its arrays and
        kernels exist.
        """
        with self.own_memory():
            self.stream.begin_capture()
            try:
                work()
            except Exception as error:
                self._end_capture()
                raise GraphError(
                    f"{self.device}: the training step cannot be recorded as a CUDA graph "
                    f"({type(error).__name__}: {error}); a layer of your own must not fetch values "
                    "to the CPU nor copy from there in a step. minidl.gpu.train(…, graph=False) "
                    "launches step by step"
                ) from error
            self.launches = self.stream.end_capture()
        self._arrays = [arrays_of(owner) for owner in self.owners]

    def _end_capture(self) -> None:
        with suppress(Exception):  # it says again what went wrong
            self.stream.end_capture()

    def hold_arrays(self) -> None:
        """Restore the owners' arrays that the launches read and write."""
        for owner, arrays in zip(self.owners, self._arrays, strict=True):
            vars(owner).update(arrays)

    def replay(self) -> None:
        """Launch the whole graph."""
        self.launches.launch(self.stream)


def arrays_of(owner: object) -> dict[str, Array]:
    """The arrays that are attributes of an object now, like ``x``, ``z``, ``y`` of a layer."""
    return {name: a for name, a in vars(owner).items() if hasattr(a, "__array_ufunc__")}
