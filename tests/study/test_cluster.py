"""Training runs on a cluster: the same results as in threads, whatever happens to a worker."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_study
from small_study import Small, noted

from minidl import get_device
from minidl.storage.sealed import decoded, read_sealed
from minidl.study import cluster_pool, worker
from minidl.study.cluster import ClusterError, FailedRuns, connected
from minidl.study.order import Cell, Order
from minidl.study.source import OfStudy
from minidl.training import NonFiniteLoss

SUPPORT = Path(small_study.__file__).parent
COMMAND = SUPPORT / "run_small_study.py"
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them"),
]


@contextlib.contextmanager
def local_cluster(workers, folder):
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.comm.timeouts.connect": 120})  # for machines with much to do
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        local_directory=str(folder),
    ) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, which all tests share; one that was killed is started again."""
    with local_cluster(2, tmp_path_factory.mktemp("workers")) as found:
        yield found


@pytest.fixture
def on(cluster, tmp_path):
    """Run the study on the cluster; its folder."""

    def run(*arguments, name="run"):
        wait_for(lambda: len(cluster.scheduler.workers) == 2)  # the test before may have killed one
        return study(tmp_path / name, "--scheduler", cluster.scheduler_address, *arguments)

    return run


@pytest.fixture
def unseen(monkeypatch):
    """The workers do not find the file by which they recognize the folder of the run."""
    monkeypatch.setattr(cluster_pool, "TOKEN", ".elsewhere")


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


def wait_for(what, process=None):
    deadline = time.monotonic() + 120
    while not what():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    on("--log", tmp_path / "log", name="two")
    assert len(noted(tmp_path / "log", "load")) == 3 + 1  # workers keep their data


def test_workers_that_do_not_see_the_folder_give_the_same(on, unseen, whole, tmp_path, capsys):
    assert results(on("--seeds", 2)) != whole  # the others are missing
    folder = on("--log", tmp_path / "log")
    assert results(folder) == whole
    assert "starts from the beginning" in capsys.readouterr().out
    assert len(noted(tmp_path / "log", "train")) == 2


def test_other_data_on_a_worker_are_refused(on, monkeypatch, tmp_path):
    black = small_study.Examples(np.zeros((100, 3, 8, 8), np.uint8), np.arange(100) % 5)
    monkeypatch.setattr(small_study, "images", lambda n: black.first(n))
    with pytest.raises(FailedRuns, match="DatasetError: random: expected the data set that the"):
        on("--seeds", 1)


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [True, False])
def test_a_run_whose_worker_is_killed_is_continued_on_the_other(
    seen, on, whole, tmp_path, capsys, request
):
    """From its checkpoint, or from the beginning where the folder is not seen."""
    if not seen:
        request.getfixturevalue("unseen")
    folder = on("--kills", 2, "--only-once", tmp_path / "killed", "--log", tmp_path / "log")
    told = capsys.readouterr().out
    assert "seed2 failed on tcp://" in told
    assert "its process is gone" in told
    assert ("seed 2  resumes at epoch 2/4" in told) == seen
    assert results(folder) == whole
    processes = [pid for pid, name in noted(tmp_path / "log", "train") if name == "seed2"]
    assert len(set(processes)) == 2


def test_three_failures_name_the_run_and_do_not_take_the_others_with_it(on, tmp_path):
    with pytest.raises(FailedRuns) as error:
        on("--fails", 1, "--log", tmp_path / "log")
    assert re.fullmatch(
        r"1 training run\(s\) failed; the others are finished and stored; run the same command "
        r"again to retry\n  seed1: failed 3 times, the last time on tcp://[\d.:]+: OSError: "
        r"seed 1 is broken \(small_study\.py, line \d+\)",
        str(error.value),
    )
    trained = noted(tmp_path / "log", "train")
    names = [name for _, name in trained]
    assert sorted(names) == ["seed0", "seed1", "seed1", "seed1", "seed2", "seed3"]
    first, second, _ = [process for process, name in trained if name == "seed1"]
    assert first != second  # another worker is tried first
    kept = {path.name for path in (tmp_path / "run/cells").glob("*.cell")}
    assert kept == {"seed0.cell", "seed2.cell", "seed3.cell"}
    assert (tmp_path / "run/cells/seed1.checkpoint").exists()


def test_an_error_that_would_be_the_same_everywhere_ends_all_as_with_jobs(on, tmp_path):
    with pytest.raises(NonFiniteLoss, match="seed 1 is broken"):
        on("--fails", 1, "--with-error", "NonFiniteLoss", "--slow", 0.1, "--log", tmp_path / "log")
    names = [name for _, name in noted(tmp_path / "log", "train")]
    assert names.count("seed1") == 1
    assert "seed3" not in names


def test_workers_of_another_version_are_refused_by_name(on, cluster, whole, monkeypatch, capsys):
    client = cluster.get_client()
    bad, other = sorted(cluster.scheduler.workers)

    def forget(dask_worker):  # what it was told to be
        from minidl.study import worker

        worker.source_of = worker.real_source_of

    def pretend(dask_worker):
        from minidl.study import worker

        worker.real_source_of = worker.source_of
        worker.source_of = lambda package: "old"

    client.run(pretend, workers=[bad])
    try:
        assert results(on()) == whole  # of the other one alone
    finally:
        client.run(forget, workers=[bad])
    said = capsys.readouterr().err
    assert re.search(rf"minidl: worker {bad}: expected minidl .*got minidl old.*not used\n", said)
    assert other not in said
    monkeypatch.setattr(worker, "source_of", lambda package: f"other {package}")
    with pytest.raises(ClusterError) as error:
        on(name="none")
    for address in (bad, other):
        said = f"worker {address}: expected minidl other minidl, small_study other small_study"
        assert said in str(error.value)


def test_each_worker_uses_the_number_of_threads_asked_for(on):
    folder = on("--seeds", 1, "--threads", 2)
    (software,) = read_sealed(folder / "cells/seed0.cell", Cell).software
    assert software.parts["BLAS threads"] == "2"


def test_a_scheduler_that_is_not_there_or_without_certificates_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("minidl.study.cluster.PATIENCE", 1)
    with pytest.raises(ClusterError, match=r"--scheduler tcp://127\.0\.0\.1:9: expected a Dask"):
        study(tmp_path, "--scheduler", "tcp://127.0.0.1:9")
    with pytest.raises(ClusterError, match="expected certificates for tls://, got none"):
        study(tmp_path, "--scheduler", "tls://127.0.0.1:9")


def test_a_port_that_accepts_and_stays_silent_ends_in_one_line_and_at_ctrl_c(tmp_path, monkeypatch):
    here = ("127.0.0.1", 0)
    with socket.create_server(here) as first, socket.create_server(here) as second:
        one, two = (f"tcp://127.0.0.1:{port.getsockname()[1]}" for port in (first, second))
        process = start(tmp_path / "run", "--scheduler", two)
        second.settimeout(60)
        connection, _ = second.accept()
        monkeypatch.setattr("minidl.study.cluster.PATIENCE", 1)
        with pytest.raises(ClusterError) as error:
            study(tmp_path / "here", "--scheduler", one)
        assert str(error.value) == (
            f"--scheduler {one}: expected a Dask cluster, got no answer within 1 seconds; "
            "start one with: dask scheduler"
        )
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
        connection.close()
    assert (process.returncode, said.count("\n")) == (128 + signal.SIGINT, 1), out + said
    assert said.startswith("small: stopped by SIGINT with 0 of 4 networks done;")
    assert not (tmp_path / "run/.cluster").exists()


def test_a_port_where_something_else_answers_ends_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        process = start(tmp_path / "run", "--scheduler", place)
        server.settimeout(60)
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        out, said = process.communicate(timeout=45)  # Dask's own end takes a minute
        connection.close()
    assert (process.returncode, said.count("\n")) == (1, 1), out + said
    assert said.startswith(f"small: --scheduler {place}: expected a Dask cluster, got ")


def test_what_travels_is_small(tmp_path):
    source = OfStudy.of(Small(), argparse.Namespace(images=10_000), get_device("cpu"))  # 2 MB
    job = worker.Job(Order("seed0", {}, 1, None, True), source, str(tmp_path), "token", True)
    assert len(pickle.dumps(job)) < 2000


def test_workers_of_this_machine_that_have_all_ended_are_not_waited_for(monkeypatch, tmp_path):
    with local_cluster(0, tmp_path / "workers") as empty:
        client = contextlib.nullcontext(empty.get_client())
        monkeypatch.setattr(cluster_pool, "connected", lambda *_: client)
        monkeypatch.setattr(cluster_pool, "ALONE", 1)
        words = "all workers have ended; finished training runs are stored"
        with pytest.raises(ClusterError, match=words):
            study(tmp_path / "run", "--workers", 2)


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
    wait_for(lambda: len(list(folder.glob("cells/*.checkpoint"))) == 2)
    study(folder, *place, "--images", 20 * 1000)
    assert len(noted(log, "train")) == 4
