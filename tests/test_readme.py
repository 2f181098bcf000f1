"""The README has its two commands, and its links lead somewhere."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def test_both_commands_are_there():
    commands = [text.strip() for kind, text in BLOCKS if kind == "sh"]
    assert commands[0].endswith("python experiments/cifar100.py")
    assert commands[1].endswith("python -m pytest")


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
