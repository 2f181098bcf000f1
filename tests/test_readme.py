"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

from minidl.gradcheck import GradientError

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def own_layer():
    """The example of a layer of one's own."""
    return next(text for kind, text in BLOCKS if kind == "python" and "class Scale" in text)


def run(code):
    names = {}
    exec(code, names)
    names["test_scale"]()


def test_own_layer_passes(capsys):
    run(own_layer())
    assert "gradient check of Scale(): passed" in capsys.readouterr().out


def test_own_layer_with_the_error_fails_as_shown():
    assert "(dy * self.x).sum(axis=0)" in own_layer()
    with pytest.raises(GradientError) as failed:
        run(own_layer().replace("(dy * self.x).sum(axis=0)", "dy.sum(axis=0)"))
    shown = next(text for kind, text in BLOCKS if not kind and "gradient check" in text)
    x, s = (line.split() for line in str(failed.value).splitlines()[2:])
    shown_x, shown_s = (line.split() for line in shown.splitlines()[2:])
    # digits beyond the tenth are the processor's own, and so is the direction of the worst of them
    assert x[0] == shown_x[0] == "x"
    assert float(x[3]) < 1e-9
    assert s[0] == shown_s[0] == "s"
    assert [*map(float, s[1:4])] == pytest.approx([*map(float, shown_s[1:4])], rel=1e-7)
    assert s[4:] == shown_s[4:]


def test_both_commands_are_there():
    commands = [text.strip() for kind, text in BLOCKS if kind == "sh"]
    assert commands[0].endswith("python experiments/cifar100.py")
    assert commands[1].endswith("python -m pytest")


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
