"""Files that are whole or not there."""

from __future__ import annotations

import os

import pytest

from minidl.files import whole_file


@pytest.mark.parametrize(("mode", "text"), [("w", "σ′\n"), ("wb", "σ′\n".encode())])
def test_text_is_utf8_with_plain_line_ends_and_bytes_are_bytes(mode, text, tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path, mode) as file:
        file.write(text)
        assert not path.exists()
    assert path.read_bytes() == "σ′\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_former_file_is_as_it_was(error, tmp_path):
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


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "a.txt"):
        pass
    assert os.listdir(tmp_path) == []
