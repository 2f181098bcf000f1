"""Downloads that are killed, disks that are full, folders that are read-only."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from contextlib import contextmanager

import faults_download
import pytest

from minidl import Dense, Network
from minidl.data import DatasetError, DatasetNotFound
from minidl.data.archive import extract
from minidl.data.download import Published, fetch
from minidl.storage.files import remove_parts, whole_file
from minidl.study import RunFolder
from minidl.study.figures import new_figure

resource = pytest.importorskip("resource")  # not on Windows
CONTENT = os.urandom(200_000)


def published(url, name="file.gz"):
    return Published(name, len(CONTENT), hashlib.md5(CONTENT).hexdigest(), (url,))


def test_killed_downloads_leave_no_wrong_file_and_the_next_one_cleans_up(tmp_path):
    """The long campaign is ``campaigns/faults_download.py``."""
    counts = faults_download.campaign(2, tmp_path)
    assert counts["wrong file"] == counts["second failed"] == counts["left behind"] == 0
    assert sum(counts[f"killed {when}"] for when in ("before", "while writing", "after")) == 2


def test_the_campaign_notices_files_left_behind(tmp_path, monkeypatch):
    careless = "import minidl.data.turns as turns; turns.remove_parts = lambda *path: None\n"
    monkeypatch.setattr(faults_download, "DOWNLOAD", careless + faults_download.DOWNLOAD)
    monkeypatch.setattr(
        faults_download.random.Random, "uniform", lambda self, low, high: 0.1 * high
    )
    counts = faults_download.campaign(1, tmp_path)
    assert counts["killed while writing"] == counts["left behind"] == 1


def test_only_parts_of_the_same_file_are_removed(tmp_path):
    theirs = (".b.gz.minidl-12-34.part", ".a.gz.part", "a.gz", "a.gz.minidl-12-34.part")
    theirs += (".aXgz.minidl-12-34.part", ".a.gz.12-34.part")
    for name in (*theirs, ".a.gz.minidl-12-34.part", ".a.gz.minidl-7-8.part"):
        (tmp_path / name).touch()
    remove_parts(tmp_path, "a.gz")
    assert sorted(os.listdir(tmp_path)) == sorted(theirs)
    with whole_file(tmp_path / "[x]"):  # it removes what whole_file leaves behind
        (part,) = tmp_path.glob(".?x?.*")
        remove_parts(tmp_path, "[x]")
        assert not part.exists()
        part.touch()


# -- a full disk: the kernel lets no file grow beyond 4 KiB ------------------------------------


@contextmanager
def full_disk():
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of being killed
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def figure(folder):
    drawn, (ax,) = new_figure("title")
    ax.plot([3.0, 1.0, 2.0])
    RunFolder(folder, "test").write_figure("x", drawn)


WRITERS = {
    "text": ("x", lambda folder: RunFolder(folder, "test").write_text("x", "σ" * 10_000)),
    "json": ("x", lambda folder: RunFolder(folder, "test").write_json("x", {"x": [0.5] * 10_000})),
    "csv": ("x", lambda folder: RunFolder(folder, "test").write_csv("x", [{"a": 1}] * 10_000)),
    "figure": ("x.png", figure),
    "weights": ("x", lambda folder: Network([Dense(100, 100)], 100).save(folder / "x")),
}


@pytest.mark.parametrize("before", [None, b"before"])
@pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(name, write, before, tmp_path):
    RunFolder(tmp_path, "test")
    if before:
        (tmp_path / name).write_bytes(before)
    with full_disk(), pytest.raises(OSError, match="File too large"):
        write(tmp_path)
    left = [one for one in os.listdir(tmp_path) if one not in (".lock", "minidl-run.json")]
    assert left == ([name] if before else [])
    assert not before or (tmp_path / name).read_bytes() == before
    write(tmp_path)  # without the limit, it works
    assert (tmp_path / name).stat().st_size > 4096


def test_a_full_disk_is_not_blamed_on_the_mirror(server, leftovers, tmp_path):
    server.files["good"] = CONTENT
    with (
        full_disk(),
        pytest.raises(DatasetNotFound, match=r"cannot be written: .*File too large") as e,
    ):
        fetch(published(server.url("good")), tmp_path, progress=False)
    assert "MINIDL_DATA" in str(e.value)
    assert server.asked == ["good"]
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_no_part_of_an_archive(tar_gz, leftovers, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(tar_gz([("a.bin", CONTENT)]))
    with (
        full_disk(),
        pytest.raises(DatasetError, match=r"cannot be unpacked .*File too large"),
    ):
        extract(tmp_path / "x.tar.gz", {"a.bin": len(CONTENT)}, tmp_path / "out")
    assert leftovers(tmp_path) == ["x.tar.gz"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_disk_that_turns_out_full_when_the_file_is_flushed(tmp_path, monkeypatch):
    """The data fit into the buffer, so only the flush at the end shows that the disk is full."""
    opened = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *how, **more: opened("/dev/full", *how, **more)
    )
    with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "a", "wb") as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == []


# -- a folder that cannot be written ----------------------------------------------------------


@pytest.fixture
def read_only(tmp_path):
    """A folder that not even root can write to."""
    if sys.platform != "linux":
        pytest.skip("needs /proc, which Linux has")
    return type(tmp_path)("/proc/self")


def test_a_read_only_folder_is_reported_before_any_request(server, read_only):
    server.files["good"] = CONTENT
    with pytest.raises(
        DatasetNotFound, match=r"cannot be written: .*; set MINIDL_DATA to a folder"
    ):
        fetch(published(server.url("good")), read_only, progress=False)
    assert server.asked == []


def test_a_read_only_folder_for_an_archive_and_for_results(tar_gz, tmp_path, read_only):
    (tmp_path / "x.tar.gz").write_bytes(tar_gz([("a.bin", CONTENT)]))
    with pytest.raises(DatasetError, match="cannot be unpacked into /proc/self: "):
        extract(tmp_path / "x.tar.gz", {"a.bin": len(CONTENT)}, read_only)
    with pytest.raises(OSError, match="/proc/self"):
        RunFolder(read_only, "test")
    with pytest.raises(OSError, match="/proc/self"):
        Network([Dense(2, 2)], 2).save(read_only / "w.npz")
    assert not (read_only / "w.npz").exists()
