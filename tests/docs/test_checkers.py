"""The table in docs/check_your_own.md is what the three gradient checkers report."""

from __future__ import annotations

import re

from docs_text import DOCS

PAGE = (DOCS / "check_your_own.md").read_text("utf-8")


def table():
    """The verdicts in the page, by case and checker, without numbers."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    names = re.findall(r"`(\w+)`", lines[0])
    found = {}
    for line in lines[1:]:
        what, *words = (cell.strip() for cell in line.strip("| ").split("|"))
        found[what] = {n: word.split(",")[0] for n, word in zip(names, words, strict=True)}
    return found


def test_the_page_says_what_the_checkers_report_and_minidl_is_always_right():
    from compare_checkers import cases, verdicts  # SciPy takes a third of a second

    written = table()
    assert list(written) == [case.what for case in cases()]
    for case in cases():
        assert written[case.what]["check_vjp"] == ("passes" if case.right else "found")
    for what, words in verdicts().items():
        assert {"check_vjp", "check_grad"} <= set(words)  # the installed ones
        for checker, word in words.items():
            assert written[what][checker] == word.split(",")[0], (what, checker)
