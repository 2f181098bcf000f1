"""Training runs on a cluster: the same results as in threads, whatever happens to a worker."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_study
from small_study import Small, noted

from minidl.storage.sealed import decoded, read_sealed
from minidl.study import cluster_pool, sending, worker
from minidl.study.cluster import ClusterError, FailedRuns, connected
from minidl.study.order import Cell
from minidl.training import NonFiniteLoss

pytest.importorskip("distributed")
SUPPORT = Path(small_study.__file__).parent
COMMAND = SUPPORT / "run_small_study.py"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, which all tests share; one that was killed is started again."""
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.comm.timeouts.connect": 120})  # for machines with much to do
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        local_directory=str(tmp_path_factory.mktemp("workers")),
    ) as found:
        yield found


@pytest.fixture
def on(cluster, tmp_path):
    """Run the study on the cluster; its folder."""

    def run(*arguments, name="run"):
        deadline = time.monotonic() + 120
        while len(cluster.scheduler.workers) < 2:  # one was killed by the test before
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return study(tmp_path / name, "--scheduler", cluster.scheduler_address, *arguments)

    return run


@pytest.fixture
def unseen(monkeypatch):
    """The workers do not see the folder of the run, but one that has another word in its file."""

    @contextlib.contextmanager
    def token(folder):
        (folder / worker.TOKEN).write_text("another", encoding="utf-8")
        yield "unseen"
        (folder / worker.TOKEN).unlink()

    monkeypatch.setattr(cluster_pool, "_token", token)


def study(folder, *arguments):
    place = ["--device", "cpu", "--record", "--output-dir", str(folder)]
    return Small().run([*place, *map(str, arguments)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same study in threads of this process."""
    return results(study(tmp_path_factory.mktemp("whole") / "run", "--jobs", "2"))


def results(folder):
    """Every file of a run, but for what tells the time and the machine."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        contents = path.read_bytes()
        if path.suffix == ".cell":
            cell = read_sealed(path, Cell)
            history = decoded(bytes(cell.result), small_study.History, path)
            contents = cell.of, repr(dataclasses.replace(history, seconds=[])), cell.weights
        elif path.name == "summary.json":
            contents = json.loads(contents)["networks"]
        found[str(path.relative_to(folder))] = contents
    return found


# -- the same results -----------------------------------------------------------------------------


def test_results_are_those_of_threads_file_by_file_and_bit_by_bit(on, whole, tmp_path, capsys):
    folder = on("--log", tmp_path / "log")
    assert results(folder) == whole
    assert len([name for name in whole if name.startswith("microscope/")]) == 4 * 5
    said = capsys.readouterr()
    assert said.out.count("epoch 4/4  loss") == 4
    assert "one network at a time on each worker of tcp://127.0.0.1" in said.out
    assert said.err == ""
    loads = noted(tmp_path / "log", "load")
    assert len(loads) == len({pid for (pid,) in loads}) == 3  # here and on each worker
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["jobs"] == summary["cluster"]["workers"] == 2
    assert sum(summary["cluster"]["machines"].values()) == 2
    assert on() == folder  # which is done
    again = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (again["done_before"], again["cluster"]) == (4, None)


def test_workers_that_do_not_see_the_folder_give_the_same(on, unseen, whole, tmp_path, capsys):
    assert results(on("--seeds", 2)) != whole  # the others are missing
    folder = on("--log", tmp_path / "log")
    assert results(folder) == whole
    assert "starts from the beginning" in capsys.readouterr().out
    assert len(noted(tmp_path / "log", "train")) == 2


def test_a_worker_keeps_its_data_for_the_next_start(on, tmp_path):
    log = tmp_path / "log"
    on("--log", log, name="one")
    before = len(noted(log, "load"))
    on("--log", log, name="two")
    assert len(noted(log, "load")) == before + 1  # of this process


def test_other_data_on_a_worker_are_refused(on, monkeypatch, tmp_path):
    monkeypatch.setattr(small_study, "images", lambda n: small_study.Examples(*drawn(n)))
    with pytest.raises(FailedRuns, match="DatasetError: random: expected the data set that the"):
        on("--seeds", 1)


def drawn(n):
    return np.zeros((n, 3, 8, 8), np.uint8), np.arange(n) % 5


# -- faults ---------------------------------------------------------------------------------------


def test_a_run_whose_worker_is_killed_resumes_elsewhere_from_its_checkpoint(
    on, whole, tmp_path, capsys
):
    folder = on("--kills", 2, "--only-once", tmp_path / "killed", "--log", tmp_path / "log")
    told = capsys.readouterr().out
    assert "seed2 failed on tcp://" in told
    assert "its process is gone" in told
    assert "seed 2  resumes at epoch 2/4" in told
    assert results(folder) == whole
    processes = [pid for pid, name in noted(tmp_path / "log", "train") if name == "seed2"]
    assert len(set(processes)) == 2


def test_it_begins_again_where_the_folder_is_not_seen(on, unseen, whole, tmp_path, capsys):
    folder = on("--kills", 2, "--only-once", tmp_path / "killed")
    assert "resumes" not in capsys.readouterr().out
    assert results(folder) == whole


def test_three_failures_name_the_run_and_do_not_take_the_others_with_it(on, tmp_path):
    with pytest.raises(FailedRuns) as error:
        on("--fails", 1, "--log", tmp_path / "log")
    assert re.fullmatch(
        r"1 training run\(s\) failed; the others are finished and stored; run the same command "
        r"again to retry\n  seed1: failed 3 times, the last time on tcp://[\d.:]+: OSError: "
        r"seed 1 is broken \(small_study\.py, line \d+\)",
        str(error.value),
    )
    names = [name for _, name in noted(tmp_path / "log", "train")]
    assert sorted(names) == ["seed0", "seed1", "seed1", "seed1", "seed2", "seed3"]
    kept = {path.name for path in (tmp_path / "run/cells").glob("*.cell")}
    assert kept == {"seed0.cell", "seed2.cell", "seed3.cell"}
    assert (tmp_path / "run/cells/seed1.checkpoint").exists()


def test_a_run_that_failed_is_tried_on_another_worker_before_that_one_again(on, tmp_path):
    with pytest.raises(FailedRuns):
        on("--seeds", 1, "--fails", 0, "--log", tmp_path / "log")
    first, second, third = [pid for pid, _ in noted(tmp_path / "log", "train")]
    assert first != second
    assert third in (first, second)


def test_an_error_that_would_be_the_same_everywhere_ends_all_as_with_jobs(on, tmp_path):
    with pytest.raises(NonFiniteLoss, match="seed 1 is broken"):
        on("--fails", 1, "--with-error", "NonFiniteLoss", "--slow", 0.1, "--log", tmp_path / "log")
    names = [name for _, name in noted(tmp_path / "log", "train")]
    assert names.count("seed1") == 1
    assert "seed3" not in names


def test_workers_of_another_version_are_refused_by_name(on, cluster, monkeypatch, capsys):
    monkeypatch.setattr(worker, "source_of", lambda package: f"other {package}")
    with pytest.raises(ClusterError) as error:
        on()
    said, told = str(error.value), capsys.readouterr().err
    for address in cluster.scheduler.workers:
        assert (
            f"worker {address}: expected minidl other minidl, small_study other small_study" in said
        )
        assert f"minidl: worker {address}: expected" in told


def test_the_others_work_on_where_one_is_refused(on, cluster, whole, monkeypatch, tmp_path, capsys):
    bad = sorted(cluster.scheduler.workers)[0]
    monkeypatch.setattr(
        sending, "refused", lambda client, new, package: {bad: f"worker {bad}: old"}
    )
    assert results(on("--log", tmp_path / "log")) == whole
    assert capsys.readouterr().err == f"minidl: worker {bad}: old; it is not used\n"
    assert len({pid for pid, _ in noted(tmp_path / "log", "train")}) == 1


def test_each_worker_uses_the_number_of_threads_asked_for(on):
    folder = on("--seeds", 1, "--threads", 2)
    (software,) = read_sealed(folder / "cells/seed0.cell", Cell).software
    assert software.parts["BLAS threads"] == "2"


def test_a_scheduler_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("minidl.study.cluster.PATIENCE", 1)
    with pytest.raises(ClusterError, match=r"--scheduler tcp://127\.0\.0\.1:9: expected a Dask"):
        study(tmp_path, "--scheduler", "tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["localhost", "localhost:8786", "http://a:1", "tcp://a", ""])
def test_what_is_no_address_is_refused_before_anything_is_loaded(address, tmp_path):
    log = tmp_path / "log"
    with pytest.raises(ValueError, match="scheduler: expected an address such as tcp://host:8786"):
        study(tmp_path / "run", "--scheduler", address, "--log", log)
    assert not log.exists()


def test_an_encrypted_address_without_certificates_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="expected certificates for tls://, got none"):
        study(tmp_path, "--scheduler", "tls://127.0.0.1:9")


def test_workers_of_this_machine_that_all_end_are_not_waited_for_without_end(monkeypatch, tmp_path):
    gone = {"nthreads": lambda self: {}, "status": "closed"}
    gone |= dict.fromkeys(("subscribe_topic", "unsubscribe_topic"), lambda *_: None)
    client = type("Client", (), gone)()
    monkeypatch.setattr(cluster_pool, "connected", lambda *_: contextlib.nullcontext(client))
    monkeypatch.setattr(cluster_pool, "ALONE", 1)
    with pytest.raises(
        ClusterError, match="all workers have ended; finished training runs are stored"
    ):
        study(tmp_path, "--workers", 2)


def test_without_dask_one_line_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ClusterError, match=r"not installed: pip install 'minidl\[dask\]'$"):
        study(tmp_path, "--workers", 2)
    assert not capsys.readouterr().out  # nothing was loaded, so no download was begun


def test_a_study_of_a_script_is_refused(tmp_path):
    class Inside(Small):
        pass

    with pytest.raises(ValueError, match="expected a study that workers can import from a module"):
        Inside().run(["--device", "cpu", "--output-dir", str(tmp_path), "--workers", "2"])


@pytest.mark.parametrize("two", [("--jobs", "--workers"), ("--workers", "--scheduler")])
def test_one_place_at_a_time(two, tmp_path):
    with pytest.raises(ValueError, match=f"--scheduler, got {' and '.join(two)}"):
        study(tmp_path, two[0], 2, two[1], 1)


def test_what_travels_is_small(monkeypatch, tmp_path):
    made = []

    def stopped(*_):
        raise ClusterError("as far as this test goes")

    monkeypatch.setattr(cluster_pool, "Job", lambda *job, **more: made.append((job, more)))
    monkeypatch.setattr(cluster_pool, "connected", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(cluster_pool, "Sending", stopped)
    with pytest.raises(ClusterError, match="this test"):
        study(tmp_path, "--workers", 2, "--images", 10_000)  # 2 MB
    assert len(made) == 4
    assert all(len(pickle.dumps(worker.Job(*job, **more))) < 2000 for job, more in made)


def test_processes_of_this_machine_are_reached_from_it_alone():
    psutil = pytest.importorskip("psutil")
    with connected(None, 1):
        this = psutil.Process()
        sockets = [
            socket.laddr.ip
            for process in (this, *this.children(recursive=True))
            for socket in process.net_connections()
            if socket.status == psutil.CONN_LISTEN
        ]
    assert len(sockets) >= 4
    assert set(sockets) == {"127.0.0.1"}


# -- the command ----------------------------------------------------------------------------------


def start(folder, *arguments):
    """The command in a process group of its own, as a terminal has it."""
    path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])])
    place = ["--device", "cpu", "--record", "--output-dir", str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, str(COMMAND), *place, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )


def wait_for(what, process):
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_leaves_checkpoints_and_the_same_command_resumes(whole, tmp_path):
    folder = tmp_path / "run"
    process = start(folder, "--workers", 2, "--slow", 0.2)
    wait_for(lambda: len(list(folder.glob("cells/*.checkpoint.previous"))) == 2, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the workers as well
    out, error = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, out + error
    said = "small: stopped by SIGINT with 0 of 4 networks done; "
    said += "run the same command again to resume\n"
    assert error == said
    assert {path.name for path in folder.glob("cells/*.checkpoint")} == {
        f"seed{n}.checkpoint" for n in (0, 1)
    }
    process = start(folder, "--workers", 1)
    out, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, ""), out + error
    assert out.count("resumes at epoch") == 2
    assert results(folder) == whole


def test_workers_give_up_what_a_killed_command_wanted(cluster, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    place = ["--scheduler", cluster.scheduler_address, "--seeds", 2, "--log", log]
    process = start(folder, *place, "--images", 20 * 1000, "--slow", 1)  # epochs of 1000 s
    wait_for(lambda: len(noted(log, "train")) == 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 120
    while len(list(folder.glob("cells/*.checkpoint"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    study(folder, *place, "--images", 20 * 1000)
    assert len(noted(log, "train")) == 4
