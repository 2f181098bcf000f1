"""A bar on a terminal, a line per epoch elsewhere, nothing if switched off."""

from __future__ import annotations

import io
import sys

import pytest

from minidl.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch) -> Terminal:
    """Called within the test, since pytest sets its own sys.stderr after the fixtures."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def show(what, accuracy=0.5):
    with Progress(what, epochs=2, steps=3) as progress:
        for number in (1, 2):
            for _ in range(3):
                progress.step()
            progress.epoch(number, 1.25, accuracy, 2.0, 5000)
    return progress


LINE = "epoch 1/2  loss 1.2500  accuracy 0.5000  2.0 s  2,500 images/s\n"


def test_lines(capsys):
    assert show(True).bar is None
    out = capsys.readouterr().out
    assert out == LINE + LINE.replace("1/2", "2/2")
    show("tanh")
    assert capsys.readouterr().out.startswith("tanh  " + LINE)
    show(True, accuracy=float("nan"))
    assert "accuracy" not in capsys.readouterr().out


def test_a_bar_on_a_terminal_with_the_lines_above_it(monkeypatch, capsys):
    stderr = terminal(monkeypatch)
    progress = show("sigmoid")
    assert (progress.bar.total, progress.bar.n) == (6, 6)
    assert "sigmoid" in stderr.getvalue()
    assert capsys.readouterr().out.count("sigmoid  epoch") == 2
    assert progress.bar.disable  # closed


def test_a_bar_is_closed_after_an_error(monkeypatch):
    terminal(monkeypatch)
    progress = Progress(True, 1, 1)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert progress.bar.disable


def test_a_run_that_resumes_says_where(capsys, monkeypatch):
    for done, said in {
        (0, 0): "",
        (2, 0): "relu  resumes at epoch 3/4\n",
        (0, 2): "relu  resumes at epoch 1/4, step 3/5\n",
        (1, 2): "relu  resumes at epoch 2/4, step 3/5\n",
        (4, 0): "relu  all 4 epochs were done before\n",
    }.items():
        with Progress("relu", 4, 5, done):
            assert capsys.readouterr().out == said
        with monkeypatch.context() as patch:
            terminal(patch)
            with Progress("relu", 4, 5, done):
                assert capsys.readouterr().out == said
        with Progress(False, 4, 5, done):
            assert capsys.readouterr().out == ""


def test_rate_and_time_left_are_those_of_the_steps_done_now(monkeypatch):
    terminal(monkeypatch)
    with Progress(True, epochs=10, steps=100, done=(9, 0)) as progress:
        for _ in range(50):
            progress.step()
        known = progress.bar.format_dict
        assert (known["initial"], known["n"], known["total"]) == (900, 950, 1000)
        known |= {"elapsed": 5.0, "rate": None}
        assert "950/1000 [00:05<00:05, 10.00step/s]" in progress.bar.format_meter(**known)


def test_silence(monkeypatch, capsys):
    stderr = terminal(monkeypatch)
    assert show(False).bar is None
    assert capsys.readouterr().out == stderr.getvalue() == ""
