"""A study: the declaration of a published comparison, and the command that runs it."""

from __future__ import annotations

import argparse
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from minidl._output import tolerant_stdout
from minidl._printable import printable_lines
from minidl.backend import DeviceError, memory
from minidl.data import Dataset, DatasetError, load
from minidl.data_parallel import RanksError, rank_prefix, world
from minidl.study.begun import Begun
from minidl.study.cluster import ClusterError, FailedRuns
from minidl.study.folder import FolderInUse, RunFolder
from minidl.study.options import InputError, add_output, add_place, add_seeds, new_parser
from minidl.study.pools import Task
from minidl.study.report import Report, Work, read_summary
from minidl.study.run import Run
from minidl.study.signals import Interrupted
from minidl.study.tables import wrapped
from minidl.training import NonFiniteLoss
from minidl.training.checkpoint import CheckpointError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, Any]]  # of a CSV file

# Errors that a user can fix.
USER_ERRORS = (
    *(DatasetError, DeviceError, NonFiniteLoss, CheckpointError, FolderInUse, RanksError),
    *(ClusterError, FailedRuns, InputError, OSError),
)


class Study(ABC):
    """A published work, and a run that tests it; its report is made only from its folder."""

    name: ClassVar[str]  # of its script and its folder
    about: ClassVar[str]  # one line, for --help
    work: ClassVar[Work]

    def add_options(self, add: Any) -> None:  # noqa: B027 - most studies have some, but need not
        """Add the options of this study; ``add`` is ``parser.add_argument``."""

    def check(self, chosen: argparse.Namespace) -> None:  # noqa: B027
        """Raise ``ValueError`` for contradictory options, before anything is loaded."""

    @abstractmethod
    def run(self, arguments: Sequence[str] | None = None) -> Path:
        """Write all files of a run, and return its folder."""

    @abstractmethod
    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        """The report of the run in ``folder``."""

    @abstractmethod
    def results(self, summary: Mapping[str, Any]) -> str:
        """The results for the terminal, ours beside the published ones."""

    def options(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The parsed command line; impossible values are refused before anything is loaded."""
        parser = new_parser(self.about)
        self.add_options(parser.add_argument)
        self.add_common(parser.add_argument)
        chosen = parser.parse_args(arguments)
        try:
            self.check(chosen)
        except ValueError as error:
            parser.error(str(error))
        return chosen

    def add_common(self, add: Any) -> None:
        """Add the options that all studies of this kind share."""
        add_output(add, self.name)

    def command(self, arguments: Sequence[str] | None) -> str:
        """The command that repeats this run, quoted for a shell."""
        ranks = world().size
        launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
        python = ["python", *(["-m", "mpi4py"] if ranks > 1 else []), f"experiments/{self.name}.py"]
        return shlex.join([*launcher, *python, *(sys.argv[1:] if arguments is None else arguments)])

    def report_of(self, folder: Path) -> Report:
        """The report of the run in ``folder``."""
        return self.report(folder, read_summary(folder))

    def finish(self, folder: RunFolder, summary: Mapping[str, Any], data: str = "") -> None:
        """Write summary and report, and print the results; the last line names the data."""
        folder.write_json("summary.json", summary)
        report = self.report_of(folder.path)
        report.write(folder.path)
        print(f"\n{self.results(summary)}\n\n{wrapped(report.answer)}")
        print(f"{wrapped(f'{report.counted}.')}\n")
        place, seconds = folder.path / "report.html", summary["seconds"]
        print(f"written to {place} after {seconds:.0f} s" + (f"; {data}" if data else ""))

    def main(self) -> None:
        """The entry point of the command."""
        with user_errors(self.name):
            self.run()


class TrainedStudy(Study):
    """A comparison of networks that are trained.

    The command trains the networks that :meth:`tasks` names, stores the result of each, and writes
    ``summary.json``, from which the report is made.
    """

    data: ClassVar[Sequence[str]] = ()  # the names of its data sets
    seeds: ClassVar[int | None] = 1  # how many by default; None: always one, without an option
    choosing: ClassVar[Sequence[str]] = ("seed", "seeds")  # options that only select networks
    kind: ClassVar[Any]  # the type of a training run's result
    keeps_weights: ClassVar[bool] = True

    def load(self, chosen: argparse.Namespace) -> list[Dataset]:
        return self.load_named(self.data, chosen)

    def load_named(self, names: Iterable[str], chosen: argparse.Namespace) -> list[Dataset]:
        progress = not chosen.quiet
        return [load(name, chosen.data_dir, progress=progress) for name in names]

    @abstractmethod
    def tasks(self, run: Run) -> dict[str, Task[Any]]:
        """The training runs by name; the names become file names."""

    @abstractmethod
    def summarise(self, run: Run, results: Mapping[str, Any]) -> dict[str, Any]:
        """The contents of ``summary.json``, except for the conditions and the verdicts."""

    @abstractmethod
    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        """Add the claims to the summary, which has the conditions by now."""

    def tables(self, run: Run, results: Mapping[str, Any]) -> dict[str, Rows]:
        """The rows of CSV files, by file name."""
        return {}

    def figures(self, run: Run, results: Mapping[str, Any]) -> Iterable[tuple[str, Figure]]:
        """Pictures of what a summary cannot hold, such as images and weights, by name."""
        return ()

    def add_common(self, add: Any) -> None:
        add_seeds(add, self.seeds)
        add_place(add, self.name)

    def run(self, arguments: Sequence[str] | None = None) -> Path:
        chosen, command = self.options(arguments), self.command(arguments)
        begun = Begun.begin(self, chosen, command)
        run, folder = begun.run, begun.folder
        results = begun.train(self.tasks(run), self.kind, self.keeps_weights)
        if not begun.ranks.is_root:
            return folder.path
        memory.release()  # of the training, before the theory needs some
        summary = self.summarise(run, results) | begun.conditions()
        self.judge(summary, results)
        for name, rows in self.tables(run, results).items():
            folder.write_csv(name, rows)
        for name, figure in self.figures(run, results):
            folder.write_figure(f"figures/{name}", figure)
        of_data = "; ".join(map(str, run.used))
        del run, begun  # frees the images; the report needs only the folder
        self.finish(folder, summary, of_data)
        return folder.path


@contextmanager
def user_errors(name: str) -> Iterator[None]:
    """A context in which errors that a user can fix end the command without a traceback."""
    with tolerant_stdout(name):
        try:
            yield
        except USER_ERRORS as error:
            sys.exit(f"{name}: {rank_prefix()}{printable_lines(str(error))}")
        except MemoryError as error:
            why = f" ({error})" if str(error) else ""
            sys.exit(
                f"{name}: {rank_prefix()}not enough memory{why}; train fewer networks at a time "
                "with --jobs 1, or smaller ones, or on fewer examples"
            )
        except Interrupted as error:
            if not world().is_root:
                return  # and let rank 0 print it and end all ranks
            print(f"{name}: {error}", file=sys.stderr)
            sys.exit(128 + error.signal)
        except KeyboardInterrupt:
            sys.exit(130)
