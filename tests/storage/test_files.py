"""Files that are complete or absent; a full disk; folders and locks that are not ours."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from minidl import Dense, Network
from minidl.storage.files import (
    NotAPlainFile,
    open_to_read,
    own_folder,
    read_bytes,
    read_json,
    remove_parts,
    try_lock,
    whole_file,
)
from minidl.study import RunFolder


@pytest.mark.parametrize(("mode", "text"), [("w", "σ′\n"), ("wb", "σ′\n".encode())])
def test_text_is_utf8_with_plain_line_ends_and_bytes_are_bytes(mode, text, tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path, mode) as file:
        file.write(text)
        assert not path.exists()
    assert path.read_bytes() == "σ′\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_earlier_file_is_unchanged(error, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write():
        with whole_file(str(path)) as file:
            file.write("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_flushed_to_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    path, done = tmp_path / "a.txt", []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    with whole_file(path) as file:
        file.write("x")
    assert done == ["fsync", "replace", *["fsync"] * (os.name == "posix")]


def test_a_missing_folder_and_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "a.txt"):
        pass
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").mkdir()
    message = r"a: expected a file .*got a folder; move it away"
    with pytest.raises(NotAPlainFile, match=message), whole_file(tmp_path / "a"):
        pass


# -- a full disk ------------------------------------------------------------------------------


def figure(folder):
    from minidl.study.figures import new_figure

    drawn, (ax,) = new_figure("title")
    ax.plot([3.0, 1.0, 2.0])
    RunFolder(folder, "test").write_figure("x", drawn)


WRITERS = {
    "text": ("x", lambda folder: RunFolder(folder, "test").write_text("x", "σ" * 10_000)),
    "figure": ("x.png", figure),
    "weights": ("x", lambda folder: Network([Dense(100, 100)], 100).save(folder / "x")),
}


@pytest.mark.parametrize(
    ("name", "write"),
    [pytest.param(*WRITERS[n], marks=[pytest.mark.slow] * (n == "figure"), id=n) for n in WRITERS],
)
def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(name, write, tmp_path, full_disk):
    RunFolder(tmp_path, "test")
    for before in (None, b"before"):
        if before:
            (tmp_path / name).write_bytes(before)
        with full_disk, pytest.raises(OSError, match=f"File too large: '{tmp_path / name}'$"):
            write(tmp_path)
        left = [one for one in os.listdir(tmp_path) if one not in (".lock", "minidl-run.json")]
        assert left == ([name] if before else [])
        assert not before or (tmp_path / name).read_bytes() == before
    write(tmp_path)  # without the limit, it works
    assert (tmp_path / name).stat().st_size > 4096


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_disk_that_turns_out_full_when_the_file_is_flushed(tmp_path, monkeypatch):
    """The data fit into the buffer, so only the flush at the end shows that the disk is full."""
    opened = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *how, **more: opened("/dev/full", *how, **more)
    )
    with (
        pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'a'}'$"),
        whole_file(tmp_path / "a", "wb") as file,
    ):
        file.write(b"x")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_cannot_be_written_to_is_said_with_the_name_of_the_file(tmp_path, monkeypatch):
    """Where the temporary file can be neither made nor removed."""

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(OSError, match=f"Read-only file system: '{tmp_path / 'a'}'$"),
        whole_file(tmp_path / "a"),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which Linux has")
def test_a_folder_that_not_even_root_can_write_to():
    folder = Path("/proc/self")
    with pytest.raises(OSError, match="/proc/self"):
        RunFolder(folder, "test")
    with pytest.raises(OSError, match="/proc/self"):
        Network([Dense(2, 2)], 2).save(folder / "w.npz")
    assert not (folder / "w.npz").exists()


# -- only regular files are read, and only our own are removed ----------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_anything_but_a_plain_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("zero", "a device")):
        with pytest.raises(NotAPlainFile, match=f"{name}: expected a plain file, got {kind}"):
            open_to_read(tmp_path / name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(NotAPlainFile, match="got a device or a socket"):
            open_to_read(tmp_path / "s")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="file: expected at most 4 bytes, got more"):
        read_bytes(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        open_to_read(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{", "[1]", "1", "[" * 100_000, '{"a": "' + "b" * 99 + '"}'])
def test_json_of_another_form_is_one_error(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: expected a word in JSON, got"):
        read_json(tmp_path / "a.json", "a word", 100_010 if text[:1] == "[" else 99)


def test_our_own_folder_must_not_be_a_link(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    (tmp_path / "file").touch()
    for name, what in (("link", "a symbolic link"), ("file", "a file")):
        with pytest.raises(NotADirectoryError, match=f"{name}: expected a folder, got {what}"):
            own_folder(tmp_path / name)
    assert own_folder(own_folder(tmp_path / "new")).is_dir()


def test_a_link_in_place_of_a_lock_is_refused(tmp_path):
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / ".lock").symlink_to("theirs")
    with pytest.raises(NotAPlainFile, match=r"\.lock: expected a plain file, got a symbolic link"):
        try_lock(tmp_path / ".lock")
    assert (tmp_path / "theirs").read_text() == "mine"


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
