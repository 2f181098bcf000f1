"""Files that are complete or absent."""

from __future__ import annotations

import os
import socket

import pytest

from minidl.storage.files import (
    NotAPlainFile,
    open_to_read,
    own_folder,
    read_bytes,
    read_json,
    try_lock,
    whole_file,
)


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


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "a.txt"):
        pass
    assert os.listdir(tmp_path) == []


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
