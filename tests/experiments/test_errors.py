"""What ends the command of a study in one line, and what keeps its traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import small_studies
import studies
import study_runs
from mpi import mpiexec, needs_mpi
from studies.cifar100 import STUDY
from threads_as_ranks import on_ranks

from minidl.data_parallel import RanksError
from minidl.study.begun import expect_same_options
from minidl.study.options import InputError

ARGUMENTS = [*small_studies.options("cifar100"), "--epochs", "1", "--device", "cpu", "--quiet"]


@pytest.fixture
def main(monkeypatch, tmp_path):
    """The command of the study, in which one function raises an error."""
    study_runs.give(monkeypatch, small_studies.DATA["cifar100"])
    study_runs.without_figures(monkeypatch)

    def main(name, error):
        def fails(*_, **__):
            raise error

        monkeypatch.setattr(sys, "argv", ["x", *ARGUMENTS, "--output-dir", str(tmp_path / name)])
        monkeypatch.setattr(name, fails)
        studies.main("cifar100")

    return main


@pytest.mark.parametrize("what", ["load", "tasks", "summarise", "judge", "tables", "report"])
def test_a_mistake_of_the_author_of_a_study_keeps_its_traceback(what, main):
    with pytest.raises(ValueError, match="operands could not be broadcast"):
        main(f"studies.cifar100.STUDY.{what}", ValueError("operands could not be broadcast"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("--limit: expected fewer"), "cifar100: --limit: expected fewer"),
        (OSError("no such file"), "cifar100: no such file"),
        (
            MemoryError("Unable to allocate 5 TiB"),
            "cifar100: not enough memory (Unable to allocate 5 TiB); train fewer networks at a "
            "time with --jobs 1, or smaller ones, or on fewer examples",
        ),
    ],
)
def test_what_a_user_can_put_right_is_one_line(error, said, main):
    with pytest.raises(SystemExit) as stopped:
        main("studies.cifar100.study.train_network", error)
    assert stopped.value.code == said


def test_ctrl_c_while_a_study_is_imported_is_quiet(main):
    with pytest.raises(SystemExit) as stopped:
        main("studies.import_module", KeyboardInterrupt())
    assert stopped.value.code == 130


def test_the_command_of_a_run_without_arguments_has_none(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["another", "--program"])
    assert STUDY.command([]) == "python experiments/cifar100.py"
    assert STUDY.command(None).endswith("cifar100.py --program")


@pytest.mark.parametrize("option", ["--seed", "--seeds", "--threads", "--limit"])
def test_ranks_that_were_started_with_other_options_are_told_which(option):
    def start(ranks):
        expect_same_options(STUDY.options([option, str(1 + ranks.rank)]), ranks)

    said = rf"rank 1 of 2: expected {option} 1, as on rank 0, got {option} 2; start all ranks"
    with pytest.raises(RanksError, match=said):
        on_ranks(2, start)


@pytest.mark.mpi
@needs_mpi
def test_ranks_with_another_seed_end_before_the_first_step(tmp_path):
    path = [str(Path(studies.__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path}; from mpi4py import MPI; from studies import main\n"
    code += f"sys.argv = ['x', *{ARGUMENTS}, '--output-dir', {str(tmp_path)!r}]\n"
    code += "sys.argv += ['--seed', str(MPI.COMM_WORLD.rank)]; main('cifar100')"
    done = mpiexec(2, "-c", code)
    assert done.returncode != 0
    assert "rank 1 of 2: expected --seed 0, as on rank 0, got --seed 1; start all" in done.stderr
    assert "Traceback" not in done.stderr
