"""A grid of calls of a user's function: each is made once, and its result stored in a folder."""

from __future__ import annotations

import functools
import inspect
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from minidl._printable import printable
from minidl.backend import CPU, checks
from minidl.backend.threads import side_by_side
from minidl.study.cells import Cells
from minidl.study.cluster import expect_address, expect_first_process, require_dask
from minidl.study.cluster_pool import Cluster
from minidl.study.folder import RunFolder
from minidl.study.grid import Point, digest, points_of, takes_checkpoint
from minidl.study.order import Order
from minidl.study.pools import Pool, Task, Threads
from minidl.training.checkpoint import Checkpoint

LARGEST = 1 << 20  # bytes at most of a function that is sent to a worker
MADE_AGAIN = "__msgspec_cache__"  # msgspec adds it to a class; it cannot be pickled


class Outcome(NamedTuple):
    """One call that :func:`sweep` made: its arguments and its result."""

    point: Point
    result: Any


def sweep(
    function: Callable[..., Any],
    grid: Mapping[str, Sequence[Any]],
    folder: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    threads: int = 1,
    checkpoint_every: int | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> list[Outcome]:
    """Call ``function`` with each combination of the values in ``grid``, and store the results.

    Called again, after an interruption or with a larger grid, it makes only the missing calls::

        def accuracy(width: int, rate: float, checkpoint: Checkpoint) -> float:
            data = load("mnist")
            network = Network([Flatten(), Dense(784, width, "relu"), Dense(width, 10)], (1, 28, 28))
            loss, optimizer = SoftmaxCrossEntropy(), Adam(rate)
            for _ in train(
                network, data.train, loss, optimizer, epochs=5, checkpoint=checkpoint
            ):
                pass
            return evaluate(network, data.test, loss).accuracy

        if __name__ == "__main__":
            grid = {"width": [64, 256], "rate": [1e-2, 1e-3]}
            for point, result in sweep(accuracy, grid, "runs/widths", workers=2):
                print(point, result)

    Parameters
    ----------
    function : a function at the top level of a module or a script, identified by its name and
        source.  Its return annotation is the type of the results: numbers, text, lists, dicts,
        arrays or dataclasses of these.  A parameter ``checkpoint`` receives a checkpoint of its own
    grid : the values of each argument: numbers, text, booleans, None or lists of these; the last
        argument changes fastest
    folder : for the results; it is created, and used by this sweep only
    jobs : calls at the same time, in threads of this process; by default 2 if there are enough
        processors
    workers, scheduler : instead of ``jobs``: the number of processes on this machine, or the
        address of a Dask cluster (see docs/sweeps.md)
    threads : per call
    checkpoint_every : steps between checkpoints; ``None``: after each epoch only
    fresh : discard the results of an earlier sweep in the folder
    quiet : do not show the progress of calls on a cluster

    Raises
    ------
    ValueError
        if the function or the grid is not as described, or a computation with another number of
        BLAS threads runs in this process.
    CheckpointError
        if the folder has the results of another function, or of an earlier version of this one.
    FileExistsError, FolderInUse
        if the folder contains other files, or another process uses it.
    Interrupted
        after Ctrl-C or SIGTERM, once each call has written its checkpoint.
    ClusterError, FailedRuns
        if the cluster cannot be used; if calls failed three times on it.
    """
    kind = _kind_of(function)
    points = points_of(function, grid)
    threads = checks.integer("sweep", "threads", threads)
    pool = _pool(function, points, jobs, workers, scheduler, threads, quiet)
    of = {"function": function.__name__, "lines": digest(inspect.getsource(function))}
    place = RunFolder(folder, "sweep")
    cells = Cells(place.path, of, None, threads, fresh, checkpoint_every)
    tasks = {name: functools.partial(_call, function, point) for name, point in points.items()}
    results = cells.train(tasks, kind, pool)
    return [Outcome(*pair) for pair in zip(points.values(), results, strict=True)]


def _call(function: Callable[..., Any], point: Point, checkpoint: Checkpoint) -> Any:
    more = {"checkpoint": checkpoint} if takes_checkpoint(function) else {}
    return function(**point, **more)


@dataclass(frozen=True)
class OfFunction:
    """A call of a function, for a worker."""

    module: str
    function: bytes  # pickled by reference, or by value if it belongs to a script
    point: Point

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def task(self, order: Order, folder: Path) -> Task[Any]:
        import cloudpickle

        return functools.partial(_call, cloudpickle.loads(self.function), self.point)


def _kind_of(function: Callable[..., Any]) -> Any:
    """The annotated return type, which is needed to read stored results."""
    if not inspect.isfunction(function) or "<" in function.__qualname__:
        raise ValueError(
            "sweep: expected a function at the top level of a module or a script, since its name "
            f"and source identify its results, got {checks.describe(function)}"
        )
    kind = typing.get_type_hints(function).get("return", type(None))
    if kind is type(None):
        name = function.__name__
        raise ValueError(
            f"sweep: expected {name} to have a return annotation, with which stored results are "
            f"read, got none; write, for example: def {name}(…) -> float"
        )
    return kind


def _pool(
    function: Callable[..., Any],
    points: Mapping[str, Point],
    jobs: int | None,
    workers: int | None,
    scheduler: str | None,
    threads: int,
    quiet: bool,
) -> Pool:
    asked = {"jobs": jobs, "workers": workers, "scheduler": scheduler}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) > 1:
        got = " and ".join(given)
        raise ValueError(f"sweep: expected at most one of jobs, workers, scheduler, got {got}")
    if workers is None and scheduler is None:
        return Threads(side_by_side(CPU, threads) if jobs is None else jobs)
    if scheduler is not None:
        expect_address(scheduler)
    else:
        workers = checks.integer("sweep", "workers", workers)
        expect_first_process()
    require_dask()
    sent = _pickled(function)
    return Cluster(
        *(scheduler, workers),
        lambda name: OfFunction(function.__module__, sent, points[name]),
        quiet,
    )


def _pickled(function: Callable[..., Any]) -> bytes:
    """The pickled function; raises ``ValueError`` if that fails, or would include large data."""
    import cloudpickle

    for value in function.__globals__.values():
        if isinstance(value, type) and MADE_AGAIN in vars(value):
            delattr(value, MADE_AGAIN)
    name = function.__name__
    try:
        sent: bytes = cloudpickle.dumps(function)
    except Exception as error:
        raise ValueError(
            f"sweep: {name} cannot be sent to a worker ({printable(str(error), 200)}); move it to "
            "a module that workers can import"
        ) from error
    if len(sent) > LARGEST:
        raise ValueError(
            f"sweep: expected {name} and what it uses from its script to be at most {LARGEST:,} "
            f"bytes, got {len(sent):,}; load data inside the function, or move it to a module"
        )
    return sent
