"""The running command of a study: what only the process that writes the results has."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from minidl.backend import Device
from minidl.backend.threads import side_by_side
from minidl.data_parallel import Ranks, world
from minidl.data_parallel.same import assert_ranks_agree
from minidl.microscope.snapshot_file import remove_snapshots
from minidl.study.cells import Cells
from minidl.study.cluster import expect_address, require_dask
from minidl.study.cluster_pool import Cluster
from minidl.study.conditions import Conditions
from minidl.study.environment import Stopwatch
from minidl.study.folder import RunFolder
from minidl.study.options import InputError
from minidl.study.pools import Pool, Task, Threads
from minidl.study.run import Run, device_of
from minidl.study.source import Declared, OfStudy

T = TypeVar("T")

# Options that do not affect the training of a network, not even the last bits.
ASIDE = (
    *("data_dir", "jobs", "workers", "scheduler", "output_dir", "checkpoint_every"),
    *("fresh", "quiet"),
)


@dataclass(frozen=True)
class Begun:
    """A run, the folder for its results, and the pool that executes its training runs."""

    run: Run
    folder: RunFolder
    cells: Cells
    pool: Pool
    command: str
    since: Stopwatch
    ranks: Ranks  # that train together; all but rank 0 write to ``own``
    own: tempfile.TemporaryDirectory[str] | None

    @classmethod
    def begin(cls, study: Declared, chosen: argparse.Namespace, command: str) -> Begun:
        """Load the data and choose the device; impossible options fail before any download."""
        since = Stopwatch()
        if chosen.device != "auto":
            device_of(chosen)
        ranks = world()
        expect_same_options(chosen, ranks)
        _check_place(chosen, ranks)
        own = None if ranks.is_root else tempfile.TemporaryDirectory(prefix="minidl-rank-")
        chosen.quiet = chosen.quiet or not ranks.is_root
        folder = RunFolder(chosen.output_dir if own is None else own.name, study.name)
        run = Run.of(chosen, list(study.load(chosen)), folder.path)
        if ranks.is_root:
            print(*run.used, sep="\n", flush=True)
        aside = (*ASIDE, *study.choosing)
        trained = {k: v for k, v in vars(chosen).items() if k not in aside}
        trained["device"] = str(run.device)
        if "dataset" in trained:  # it may be "auto"
            trained["dataset"] = run.used[0].name
        digests = {one.name: one.digest() for one in run.data}
        cells = Cells(
            *(folder.path, trained, digests, chosen.threads, chosen.fresh, chosen.checkpoint_every)
        )
        if chosen.fresh:
            remove_snapshots(folder.path)
        pool = _pool_of(study, chosen, run.device, ranks)
        if not chosen.quiet:
            print(f"device: {run.device}; {pool}, {chosen.threads} thread(s) each")
        run = replace(run, cells=cells)
        return cls(run, folder, cells, pool, command, since, ranks, own)

    def train(self, tasks: Mapping[str, Task[T]], kind: Any, weights: bool = False) -> dict[str, T]:
        """The results of the training runs by name, each a ``kind``; finished ones are kept.

        With ``weights``, each task saves its network at ``weights_of(name)`` of the run.
        """
        return dict(zip(tasks, self.cells.train(tasks, kind, self.pool, weights), strict=True))

    def conditions(self) -> dict[str, Any]:
        """The conditions for the summary, once all training is done."""
        now = Conditions.now(
            *(self.run.device, self.run.chosen.precision, self.pool.jobs, self.command),
            *(self.since, self.cells.done_before, self.cells.threads, self.cells.software),
            self.pool.cluster(),
        )
        return now.as_dict()


def expect_same_options(chosen: argparse.Namespace, ranks: Ranks) -> None:
    """Raise ``RanksError`` on every rank if one was started with other options than rank 0."""
    own = "data_dir", "output_dir", "quiet"  # of each machine
    options = {
        f"--{name.replace('_', '-')}": str(value)
        for name, value in vars(chosen).items()
        if name not in own
    }
    assert_ranks_agree(ranks, options, "start all ranks with the same options")


def _check_place(chosen: argparse.Namespace, ranks: Ranks) -> None:
    """Raise ``InputError`` for contradictory choices of where to execute the training runs.

    And ``ClusterError`` if they need Dask and it is not installed.
    """
    asked = {
        f"--{name}": value
        for name in ("jobs", "workers", "scheduler")
        if (value := getattr(chosen, name)) is not None
    }
    if len(asked) > 1:
        got = " and ".join(asked)
        raise InputError(f"expected at most one of --jobs, --workers, --scheduler, got {got}")
    if chosen.scheduler is not None:
        expect_address(chosen.scheduler)
    for name, value in asked.items():
        if ranks.size > 1 and (name, value) != ("--jobs", 1):
            expected = "1" if name == "--jobs" else "no such option"
            raise InputError(
                f"{name}: expected {expected} on {ranks.size} ranks, got {value}; "
                "leave the option out, or start the command without mpiexec"
            )
    if chosen.workers or chosen.scheduler:
        require_dask()


def _pool_of(study: Declared, chosen: argparse.Namespace, device: Device, ranks: Ranks) -> Pool:
    if chosen.workers or chosen.scheduler:
        source = OfStudy.of(study, chosen, device)
        return Cluster(chosen.scheduler, chosen.workers, lambda _: source, chosen.quiet)
    return Threads(chosen.jobs or (1 if ranks.size > 1 else side_by_side(device, chosen.threads)))
