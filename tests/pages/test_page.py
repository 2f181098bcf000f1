"""The HTML of a page: self-contained, and safe whatever it contains."""

import html.parser
import json
import re
import textwrap
from dataclasses import replace

import pytest

from minidl import pages
from minidl.pages import (
    Badge,
    Chart,
    Page,
    Picture,
    Points,
    Prose,
    Section,
    Series,
    Table,
    json_block,
    slug,
)
from minidl.pages.page import SCRIPTS, asset

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--\u2028\u2029"


class Tags(html.parser.HTMLParser):
    """The start tags of a page with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def page(text="text", **more):
    chart = Chart(text, text, text, text, [Series(text, [1, 2], [0.5, 1.0], panel=text)])
    parts = [
        Prose([text]),
        Points([(text, text)]),
        Badge(text, "good"),
        Table(text, [text, text], [[text, text]]),
        Picture(b"png", text, text),
    ]
    sections = [Section(text, parts)]
    return Page(text, text, text, text, [chart], sections, text, **more).html()


def test_texts_from_outside_make_no_tag_and_no_attribute():
    usual, hostile = Tags(page()), Tags(page(HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in usual.tags]
    assert [set(a) for _, a in hostile.tags] == [set(a) for _, a in usual.tags]
    assert hostile.text.count(HOSTILE.rstrip("\u2028\u2029")) == 20  # every text is still present


def test_json_in_a_page_cannot_end_its_script_and_comes_back_as_it_was():
    block = json_block({"text": HOSTILE})
    inside = block.removeprefix('<script type="application/json">').removesuffix("</script>")
    assert not set(inside) & set("<>&\u2028\u2029")
    assert json.loads(inside) == {"text": HOSTILE}


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_block([float("nan")])


def test_a_page_refers_to_nothing_outside_itself():
    for tag, attributes in Tags(page()).tags:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in asset("assets/page.css")
    assert "url(" not in asset("assets/page.css")


def test_the_policy_allows_only_the_scripts_of_the_page():
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page()).group(1)
    assert "default-src 'none'" in policy
    scripts = re.search("script-src ([^;]*)", policy).group(1).split()
    assert len(scripts) == len(SCRIPTS)
    assert all(script.startswith("'sha256-") for script in scripts)


def test_custom_scripts_and_styles_come_after_those_of_the_frame():
    found = page(styles=["b { color: red }"], scripts=["startChart.mine = 1;"])
    assert found.index("--series-9") < found.index("b { color: red }") < found.index("</style>")
    assert found.index("function startChart") < found.index("startChart.mine")


def test_a_script_or_a_style_that_would_end_its_element_is_refused():
    for text in ("'</SCRIPT>'", "'<!--'"):
        with pytest.raises(ValueError, match="a script for a page: expected no"):
            page(scripts=[text])
    with pytest.raises(ValueError, match="a style for a page: expected no '</style'"):
        page(styles=["</style>"])


def test_two_charts_or_sections_of_the_same_name_are_refused():
    chart = Chart("Accuracy!", "a", "b", "c", [Series("d", [1], [2])])
    for parts in ([chart, chart], [chart, replace(chart, title="accuracy")]):
        with pytest.raises(
            ValueError, match=r"expected titles that .*, got 'chart-accuracy' twice"
        ):
            Page("T", "t", "?", ".", parts).html()
    for titles in (["One", "one"], ["Content"]):  # the page itself has an element content
        sections = [Section(title, []) for title in titles]
        with pytest.raises(ValueError, match=f"got '{titles[0].lower()}' twice"):
            Page("T", "t", "?", ".", sections=sections).html()


def test_a_page_replaces_an_earlier_one_of_its_kind_and_nothing_else(tmp_path):
    path, one = tmp_path / "page.html", Page("One", "a & b", "?", ".")
    assert Page("Earlier", "a & b", "?", ".").write(path) == f"written to {path}, 0.5 MB"
    one.write(path)
    assert path.read_text("utf-8") == one.html()
    (tmp_path / "link.html").symlink_to(path)
    (tmp_path / "nowhere.html").symlink_to("nothing")
    (tmp_path / "note.html").write_text("a & b")
    Page("Other", "another", "?", ".").write(tmp_path / "other.html")
    before = {each: each.read_bytes() for each in tmp_path.glob("*.html") if each.exists()}
    for name in ("link.html", "nowhere.html", "note.html", "other.html"):
        with pytest.raises(FileExistsError, match=rf"{name}: expected no file, or an earlier page"):
            one.write(tmp_path / name)
    with pytest.raises(OSError, match="expected a plain file, got a folder"):
        one.write(tmp_path)
    with pytest.raises(FileNotFoundError, match="create it first"):
        one.write(tmp_path / "none" / "page.html")
    assert before == {each: each.read_bytes() for each in tmp_path.glob("*.html") if each.exists()}


def test_the_example_of_the_package_writes_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = re.findall(r"::\n\n((?:    .*\n|\n)+)", pages.__doc__)[0]
    exec(textwrap.dedent(example))
    assert (tmp_path / "report.html").read_text("utf-8").count("<figure") == 1


def test_a_slug_is_an_id():
    assert slug("Gradient: |∂L/∂W| by layer!") == "gradient-l-w-by-layer"
    assert slug("—") == "part"


def series(**changes):
    return Series(**{"name": "relu", "x": [1, 2], "y": [3.0, 4.0]} | changes)
