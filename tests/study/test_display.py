"""What workers tell of their training runs, and the one display that shows it."""

from __future__ import annotations

import sys

from minidl.study.display import Display
from minidl.study.worker import Told
from minidl.training.progress import Progress, bar_elsewhere


def trained(label, epochs, tell):
    """What the progress of a training run tells, as a worker has it."""
    token = bar_elsewhere.set(tell)
    try:
        with Progress(label, epochs, steps=10) as shown:
            for number in range(epochs):
                for _ in range(10):
                    shown.step()
                shown.epoch(number + 1, 0.5, 0.25, 2.0, 100)
    finally:
        bar_elsewhere.reset(token)


def test_a_worker_tells_steps_and_lines_and_prints_nothing(capsys):
    told = []
    tell = Told("relu-seed0", told.append)
    trained("seed 0", 2, tell)
    assert told[0] == {"name": "relu-seed0", "done": 0, "of": 20, "line": ""}
    assert [one["line"] for one in told if one["line"]] == [
        f"seed 0  epoch {epoch}/2  loss 0.5000  accuracy 0.2500  2.0 s  50 images/s"
        for epoch in (1, 2)
    ]
    assert (told[-1]["done"], told[-1]["of"]) == (20, 20)
    assert len(told) < 10  # not each step
    trained(True, 1, tell)  # the second network of the same run: their sum
    assert (told[-1]["done"], told[-1]["of"]) == (30, 30)
    assert told[-2]["line"].startswith("relu-seed0  epoch 1/1  loss")
    count = len(told)
    trained(False, 1, tell)  # quiet
    assert len(told) == count
    assert capsys.readouterr() == ("", "")


def test_one_bar_counts_the_steps_of_all_and_without_a_terminal_there_is_none(monkeypatch, capsys):
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda shown=terminal: shown, raising=False)
        with Display(4, quiet=False) as display:
            for name, done, line in (("a", 5, ""), ("b", 10, "b  epoch 1/2"), ("a", 20, "")):
                display.on_event((0.0, {"name": name, "done": done, "of": 20, "line": line}))
            display.on_made()
            if terminal:
                assert (display.bar.n, display.bar.total) == (30, 80)  # two have not begun
                assert display.bar.desc.startswith("1 of 4 networks")
        said = capsys.readouterr()
        assert "b  epoch 1/2" in said.out
        assert terminal or said == ("b  epoch 1/2\n", "")
