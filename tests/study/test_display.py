"""What workers tell of their training runs, and the one display that shows it."""

from __future__ import annotations

import sys

from minidl.study.display import Display
from minidl.study.worker import Told
from minidl.training.progress import Progress, bar_elsewhere


def trained(name, label, epochs, tell):
    """What the progress of a training run tells, as a worker has it."""
    token = bar_elsewhere.set(Told(name, tell))
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
    trained("relu-seed0", "seed 0", 2, told.append)
    assert told[0] == {"name": "relu-seed0", "done": 0, "of": 20, "line": ""}
    lines = [one["line"] for one in told if one["line"]]
    assert lines == [
        "seed 0  epoch 1/2  loss 0.5000  accuracy 0.2500  2.0 s  50 images/s",
        "seed 0  epoch 2/2  loss 0.5000  accuracy 0.2500  2.0 s  50 images/s",
    ]
    assert (told[-1]["done"], told[-1]["of"]) == (20, 20)
    assert len(told) < 10  # not each step
    assert capsys.readouterr() == ("", "")


def test_the_progress_of_a_run_with_two_networks_is_their_sum():
    told = []
    tell = Told("x", told.append)
    for _ in range(2):
        token = bar_elsewhere.set(tell)
        with Progress(True, 1, steps=10) as shown:
            shown.epoch(1, 0.5, 0.25, 2.0, 100)
        bar_elsewhere.reset(token)
    assert told[-1]["of"] == 20
    assert told[1]["line"].startswith("x  epoch 1/1  loss")


def test_what_is_quiet_tells_nothing():
    told = []
    trained("x", False, 1, told.append)
    assert told == []


def test_one_bar_counts_the_steps_of_all(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Display(4, quiet=False) as display:
        for name, done, line in (("a", 5, ""), ("b", 10, "b  epoch 1/2"), ("a", 20, "")):
            display.on_event((0.0, {"name": name, "done": done, "of": 20, "line": line}))
        assert (display.bar.n, display.bar.total) == (30, 80)  # two have not begun
        display.on_made()
        assert display.bar.desc.startswith("1 of 4 networks")
    assert "b  epoch 1/2" in capsys.readouterr().out


def test_without_a_terminal_there_are_lines_and_no_bar(capsys):
    with Display(4, quiet=False) as display:
        display.on_event((0.0, {"name": "a", "done": 5, "of": 20, "line": "a  epoch 1/2"}))
        assert display.bar is None
    assert capsys.readouterr() == ("a  epoch 1/2\n", "")
