"""What the site's hooks make of the pages."""

from __future__ import annotations

import pkgutil
import re
from types import SimpleNamespace

import gallery
import pytest
import reference
from docs_text import DOCS, blocks

import minidl
import minidl.data
from minidl.data.standin import generate

API = "".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
HEADING = (
    '<h4 id="minidl.network.{name}" class="doc doc-heading">\n  '
    '<code class="highlight"><span class="n">{last}</span>(path)</code>'
)


def page(name):
    return SimpleNamespace(file=SimpleNamespace(src_uri=name), meta={})


# -- the home page ----------------------------------------------------------------------------


def test_the_code_on_the_home_page_does_what_it_says(monkeypatch, capsys):
    (code,) = (block.text for block in blocks(DOCS / "index.md") if block.kind == "python")
    assert len(code.split("\n\n")[1].splitlines()) <= 10
    monkeypatch.setattr(minidl.data, "load", lambda name: generate(train=128, test=64))
    names = {}
    exec(code, names)
    assert names["network"]["dense_1"].dW.shape == (3072, 512)
    assert capsys.readouterr().out.count("dense_2.W") == 3


# -- the gallery ------------------------------------------------------------------------------


def test_the_gallery_has_a_line_for_each_report():
    text = (DOCS / "gallery.md").read_text("utf-8")
    reports = {str(path.relative_to(DOCS)) for path in DOCS.glob("results/*/report.md")}
    assert sorted(line["report"] for line in gallery.LINE.finditer(text)) == sorted(reports)


def test_a_line_becomes_a_picture_and_an_answer():
    line = "- [One](results/cifar100/report.md)"
    card = gallery.on_page_markdown(line, page("gallery.md"))
    (picture,) = re.findall(r"!\[.+\]\((\S+)\)", card)
    assert (DOCS / picture).is_file()
    assert "**[One](results/cifar100/report.md)**" in card
    assert "Yes to both: the gradients" in card
    assert gallery.on_page_markdown(line, page("studies.md")) == line


def test_a_report_without_an_answer_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "DOCS", tmp_path)
    (tmp_path / "report.md").write_text("# Nothing\n")
    with pytest.raises(ValueError, match="does not begin with an answer"):
        gallery.on_page_markdown("- [One](./report.md)", page("gallery.md"))


# -- the reference ----------------------------------------------------------------------------


def test_every_package_is_in_the_reference():
    names = {module.name for module in pkgutil.iter_modules(minidl.__path__)}
    public = {name for name in names if not name.startswith("_")} - {"run"}
    assert public == set(re.findall(r"^::: minidl\.(\w+)$", API, re.MULTILINE))


def test_a_method_has_the_name_of_its_class_and_a_function_its_own():
    def shown(html):
        return reference.on_page_content(html, page("api/network.md"))

    method = shown(HEADING.format(name="Network.save", last="save"))
    assert "Network.<span" in method and shown(method) == method
    function = HEADING.format(name="name_layers", last="name_layers")
    assert shown(function) == function


def test_the_reference_is_found_before_other_pages():
    pages = [page(name) for name in ("api/network.md", "api/data.md", "data.md")]
    for each in pages:
        reference.on_page_content("", each)
    network, data, other = (p.meta.get("search", {}).get("boost", 1) for p in pages)
    assert network > data > other


# -- formulas ---------------------------------------------------------------------------------


def test_every_formula_can_be_typeset_and_an_unknown_command_is_an_error():
    pytest.importorskip("latex2mathml", reason="needs latex2mathml, from the extra docs")
    from mathematics import typeset

    kinds = [block for path in DOCS.rglob("*.md") for block in blocks(path)]
    formulas = [block.text for block in kinds if block.kind == "math"]
    assert formulas and all("<math" in typeset(formula) for formula in formulas)
    for wrong in (r"\alhpa + 1", r"\begin{aligned} a &= b \end{aligned}"):
        with pytest.raises(ValueError, match="cannot be typeset"):
            typeset(wrong)


def test_no_line_of_the_guide_has_a_formula_as_plain_code():
    for path in (DOCS / "guide").glob("*.md"):
        assert not [block for block in blocks(path) if not block.kind], path.name
