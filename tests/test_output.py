"""Output that cannot be shown is lost, and nothing else is."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minidl import _output

PROGRAM = """
import sys
from pathlib import Path
sys.path.append(sys.argv[2])  # the module alone: the package takes longer to import
from _output import tolerant_stdout

with tolerant_stdout("program"):
    print("σ" * 10_000, flush=True)
    print("σ", file=sys.stderr, flush=True)
    assert not sys.stderr.isatty()
    Path(sys.argv[1]).write_text("the result")
    print("buffered to the end")
"""
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file descriptors")


def run(folder: Path, before: tuple[str, ...] = (), **options) -> subprocess.CompletedProcess:
    """Run the program with its streams set by the options; it must succeed and write its result."""
    result = folder / "result"
    arguments = (str(result), str(Path(_output.__file__).parent))
    command = [*before, sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, check=False, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    assert result.read_text() == "the result"
    return done


def test_what_can_be_shown_is_shown_and_what_the_encoding_lacks_is_escaped(tmp_path):
    done = run(tmp_path, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8"})
    assert done.stdout.decode().split() == ["σ" * 10_000, "buffered", "to", "the", "end"]
    assert done.stderr.decode().split() == ["σ"]
    done = run(tmp_path, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.stdout.startswith(rb"\u03c3\u03c3")
    assert done.stderr.strip() == rb"\u03c3"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_full_disk(streams, tmp_path):
    with open("/dev/full", "wb") as full:
        others = dict.fromkeys({"stdout", "stderr"} - set(streams), subprocess.PIPE)
        done = run(tmp_path, **dict.fromkeys(streams, full), **others)
    if streams == ("stdout",):
        said = done.stderr.decode()
        assert "program: not all was shown on standard output: " in said
        assert "No space left" in said
        assert said.count("\n") == 2


@posix
@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closing, tmp_path):
    run(tmp_path, ("sh", "-c", f'exec "$@" {closing}', "sh"), stderr=subprocess.PIPE)


@posix
def test_a_pipe_whose_reader_has_gone(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = run(tmp_path, stdout=pipe, stderr=subprocess.PIPE)
    assert b"not all was shown on standard output: " in done.stderr


def test_the_streams_are_restored_afterwards(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)

    def fail() -> None:
        with _output.tolerant_stdout("a test"):
            print("one line")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sys.stdout is out
    assert out.getvalue() == "one line\n"


def test_an_error_of_a_command_cannot_control_the_terminal(capsys):
    from minidl.study.study import user_errors

    with pytest.raises(SystemExit) as e, user_errors("a study"):
        raise OSError("a\x1b]0;x\x07b: no such file\n  \u202eb")
    assert str(e.value) == "a study: a\\x1b]0;x\\x07b: no such file\n  \\u202eb"
