"""The pages are right: their numbers, the lines that they quote, and their links."""

from __future__ import annotations

import doctest
import json
import re
import shlex
from pathlib import Path

import pytest
import quotes
from docs_text import DOCS, EXAMPLES, GUIDE, ROOT, anchors, blocks, name
from studies.cifar100 import STUDY

PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


# -- numbers ----------------------------------------------------------------------------------


def run_examples(page: Path) -> tuple[int, str]:
    """How many examples of a page were run, and what went wrong."""
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    names: dict[str, object] = {}
    complaints: list[str] = []
    quoted = {f"{quote.text}\n" for quote in quotes.quotes_of(page)}
    for block in blocks(page):
        if block.kind == "python" and block.text not in quoted:
            exec(compile(block.text, name(page), "exec"), names)
        elif block.kind == "pycon":
            parse = doctest.DocTestParser().get_doctest
            test = parse(block.text, names, name(page), str(page), block.line - 1)
            runner.run(test, out=complaints.append, clear_globs=False)
            names |= test.globs
    return runner.tries, "".join(complaints)


LONG = {"6_small_gradients", "propagation", "fit"}  # more than a second each
EACH = [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in LONG)) for p in EXAMPLES]


@pytest.mark.parametrize("page", EACH, ids=name)
def test_the_numbers_in_the_guide_are_those_of_the_engine(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    ran, complaints = run_examples(page)
    assert ran or page.name == "index.md"
    assert not complaints, complaints


def test_a_wrong_number_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr("test_pages.name", str)
    page.write_text("a\n\n```pycon\n>>> 1 + 1\n3\n```\n")
    ran, complaints = run_examples(page)
    assert ran == 1
    assert "line 4" in complaints
    assert "Got:\n    2" in complaints


# -- commands ---------------------------------------------------------------------------------


def commands(page: Path) -> list[list[str]]:
    lines = [
        line for block in blocks(page) if block.kind == "sh" for line in block.text.splitlines()
    ]
    return [shlex.split(line) for line in lines if line.startswith("python ")]


def test_the_commands_name_files_and_tests_that_exist():
    for words in (words for page in GUIDE for words in commands(page)):
        (file,) = (ROOT / word.partition("::")[0] for word in words if ".py" in word)
        text = file.read_text("utf-8")
        tests = re.findall(r"::(\w+)", " ".join(words))
        if "-k" in words:
            tests += set(words[words.index("-k") + 1].split()) - {"and", "or"}
        for test in tests:
            assert test in text, f"{words}: no {test} in {file.name}"


def test_the_short_run_in_the_guide_is_accepted_by_the_experiment():
    (words,) = (w for w in commands(DOCS / "guide/5_network.md") if "experiments/cifar100.py" in w)
    chosen = STUDY.options(words[2:])
    assert (chosen.epochs, chosen.limit, str(chosen.output_dir)) == (2, 1000, "runs/short")


# -- lines of source --------------------------------------------------------------------------


def test_the_linked_lines_are_the_lines_shown():
    for page in PAGES:
        found = quotes.quotes_of(page)
        linked = LINK.findall(page.read_text("utf-8"))
        more = f"{page.name}: a link to lines that are not shown"
        assert len(found) == sum("#L" in link for link in linked), more
        for quote in found:
            now = ", ".join(map(str, quote.now())) or "nowhere"
            moved = f"{quote}: that text is now at {now}; run python website/quotes.py"
            assert quote.is_right(), moved


def test_every_step_of_the_guide_shows_lines_of_the_source():
    for page in (DOCS / "guide").glob("[0-9]*.md"):
        assert quotes.quotes_of(page), page.name


def test_code_that_moved_is_found_and_code_that_changed_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(quotes, "ROOT", tmp_path)
    source, page = tmp_path / "a.py", tmp_path / "page.md"
    source.write_text("class A:\n    def f(self):\n        return 1\n")
    text = "See [f](a.py#L2-L3):\n\n```python\ndef f(self):\n    return 1\n```\n"
    page.write_text(text)
    (quote,) = quotes.quotes_of(page)
    assert quote.is_right()

    source.write_text("# one line more\n" + source.read_text())
    assert not quote.is_right()
    assert quotes.put_right(page) == []
    assert page.read_text() == text.replace("#L2-L3", "#L3-L4")

    source.write_text(source.read_text().replace("return 1", "return 2"))
    (lost,) = quotes.put_right(page)
    assert str(lost) == "page.md: a.py, lines 3 to 4"


# -- links ------------------------------------------------------------------------------------


def notebook_text(path: Path) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def broken_links(page: Path) -> list[str]:
    text = notebook_text(page) if page.suffix == ".ipynb" else page.read_text("utf-8")
    broken = []
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_lines = target.suffix == ".py" and re.fullmatch(r"L\d+-L\d+", anchor)
        if not target.exists() or (anchor and not is_lines and anchor not in anchors(target)):
            broken.append(link)
    return broken


def test_every_link_leads_somewhere():
    broken = {name(page): broken_links(page) for page in [*PAGES, *DOCS.rglob("*.ipynb")]}
    assert {page: links for page, links in broken.items() if links} == {}


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One, two\n\n[a](#one-two) [b](#two) [c](page.md#one-two) [d](other.md)\n")
    assert broken_links(page) == ["#two", "other.md"]
