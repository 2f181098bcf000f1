"""User input is shown literally, wherever it ends up, and never interpreted as markup."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.backend import CPU
from minidl.pages import Badge, Chart, Picture, Points, Prose, Series, Table, Typed
from minidl.pages.markdown import code, inline, inline_markdown, markdown_table, plain
from minidl.study import Conditions, Report, RunFolder, Section, Work
from minidl.study.environment import Stopwatch

ROOT = Path(__file__).parents[2]
NASTY = (
    "a`b",
    "``",
    "a|b",
    "a\\|b",
    "a\\\\|b",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code>",
    "a & b &#96; &amp;",
    "a\n\n# heading\n",
    "a\r| b |",
    "![x](http://x)",
    "[x](javascript:alert(1)) [y](javascript:z)",
    "**bold** _it_ ~~no~~ $x$",
    "\x1b[31m\x07",
    "\u202eevil",
    "\udcff",
    "\u2028",
    '" onclick="x',
)

ENTITY = re.compile(r"&#\d+;")


def cells(row: str) -> list[str]:
    """The cells of a row as GitHub splits it: at each | that no backslash escapes."""
    return re.findall(r"((?:\\.|[^\\|])*)\|", row)[1:]


def is_literal(shown: str) -> bool:
    """Whether neither Markdown nor HTML finds markup in it."""
    return shown.isprintable() and not set("[]`*_{}<>#!|\\~&$^\"'") & set(ENTITY.sub("", shown))


def test_escaped_text_has_no_markup_left_and_html_shows_the_original():
    for text in NASTY:
        shown = plain(text)
        assert is_literal(shown)
        unprintable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        assert html.unescape(shown) == unprintable
        shown.encode("utf-8")


@given(st.text())
def test_no_text_has_markup_left(text):
    assert is_literal(plain(text))


def test_code_ends_where_it_should():
    assert code("python a_b.py --c 'x y' $d") == "`python a_b.py --c 'x y' $d`"
    for text in NASTY:
        shown = code(f"python x.py --output-dir {text}")
        if shown.startswith("`"):
            assert shown.count("`") == 2
            assert html.escape(shown, quote=False).replace("&gt;", ">") == shown
        else:
            assert is_literal(re.fullmatch("<code>(.*)</code>", shown)[1])


def test_a_cell_cannot_break_out_of_a_markdown_table():
    for text in NASTY:
        table = markdown_table(["a", "b"], [[text, "b"]])
        assert len(table.split("\n")) == len(table.splitlines()) == 3
        assert [cell.strip() for cell in cells(table.split("\n")[-1])][1:] == ["b"]


def test_a_command_is_one_cell_of_the_set_up_table():
    for text in NASTY:
        conditions = Conditions.now(CPU, "float32", 1, f"python x.py {text}", Stopwatch())
        row = Table("", [], conditions.rows()).markdown().split("\n")[-1]
        assert row.startswith("| command | ")
        assert [cell.strip() for cell in cells(row)] == ["command", code(f"python x.py {text}")]


def test_the_note_of_a_stand_in_is_shown_as_it_is():
    """It may contain the name of a folder from $MINIDL_DATA, and a server's message."""
    from studies.cifar100.study import AS_PUBLISHED, _warning

    summary = AS_PUBLISHED | {"dataset": "stand-in", "networks": {"sigmoid": {}, "relu": {}}}
    for text in NASTY:
        warning = _warning(summary | {"dataset_note": text})
        assert plain(text) in warning.markdown()
        assert "\n" not in warning.markdown()
        assert html.escape(Typed(text).text) in warning.html() or not text.isprintable()
        assert not re.search("<(?!/?code>)", warning.html())


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "a\nb", "con:x", ".x"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"expected the name of a file in .*run, got"):
        RunFolder(tmp_path / "run", "test").write_text(name, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock", "minidl-run.json"]


def test_names_that_studies_use_are_accepted(tmp_path):
    folder = RunFolder(tmp_path, "test")
    for name in ("report.md", "weights/leaky_relu-seed3.npz", "figures/a b.png"):
        folder.write_text(name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_any_printable_name_may_be_the_folder_others_are_refused_at_once(tmp_path, capsys):
    from studies.activation_gallery import STUDY

    for text in NASTY:
        folder = tmp_path / "of" / text.replace("/", "")
        if text.isprintable():
            assert STUDY.options(["--output-dir", str(folder)]).output_dir == folder
            continue
        with pytest.raises(SystemExit):
            STUDY.options(["--output-dir", str(folder)])
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "argument --output-dir: expected a name of printable characters, got" in said
        assert said.isprintable()


def test_our_own_text_may_have_bold_code_and_links_and_nothing_else():
    shown = inline("**a < b**, `x*y`, [here](https://x.org/?a=1&b) [there](#the-claims) **")
    assert shown == (
        "<b>a &lt; b</b>, <code>x*y</code>, "
        '<a href="https://x.org/?a=1&amp;b">here</a> <a href="#the-claims">there</a> **'
    )
    for text in ("[x](javascript:alert(1))", "[x](data:text/html,y)", '[x](https://a"onclick=b)'):
        assert '" onclick' not in inline(text) and 'javascript:alert(1)"' not in inline(text)
    assert "<a" not in inline("[x](javascript:alert(1)) [x](javascript:y) [x](data:y)")


@given(st.text(alphabet="*`[]()#<>&\"' ahtps:/"))
def test_whatever_a_line_contains_only_our_tags_result(text):
    tags = re.findall("<[^>]*>", inline(text))
    assert all(re.fullmatch(r'</?(b|code)>|</a>|<a href="(https?://|#)[^"<>]*">', t) for t in tags)


def test_in_markdown_our_own_text_may_have_the_same_and_nothing_else():
    ours = "**a < b**, `x*y`, [here](https://x.org/?a=1&b) [`there`](#the-claims) [0, 1], a! \\n"
    assert inline_markdown(ours) == ours
    assert inline_markdown("`a<b>` <b> \\[x](y) ![z](https://z) ```\n#") == (
        "<code>a&#60;b&#62;</code> &#60;b> &#92;[x&#93;(y) &#33;[z](https://z) &#96;&#96;&#96;\\n#"
    )
    assert inline_markdown("[a<b](https://x) [b]: javascript:x") == (
        "[a&#60;b](https://x) [b&#93;: javascript:x"
    )


def is_harmless(markdown: str) -> bool:
    """Whether there is neither HTML but of code, nor a link or an image but those we write."""
    rest = re.sub(r"(?<!!)\[[^][]+\]\((https?://|#)[^\s()<>]+\)|</?code>", "", markdown)
    rest = re.sub(r"!\[[^][]*\]\(figures/[\w.-]+\)", "", rest)
    return not re.search(r"<[A-Za-z/!?]|\][(\[:]|```|~~", rest)


@given(st.lists(st.sampled_from([*"`[]()<>!\\~: \na", "](https://a", "<img onerror=x>"])))
def test_whatever_a_line_contains_markdown_finds_no_more_in_it(words):
    assert is_harmless(inline_markdown("".join(words)))


def test_every_text_of_a_report_is_harmless_in_markdown():
    for text in NASTY:
        line = Series(text, [1, 2], [0.5, 1.0], low=[0, 0], high=[1, 1], band=text)
        parts = [
            *(Prose([text]), Points([(text, text)]), Badge(text, "good")),
            *(Table(text, [text, "b"], [[text, "c"]]), Picture(b"png", text, text, "name")),
            Chart(text, text, text, text, [line], name="name"),
        ]
        work = Work("A title", "A. Author", 2026)
        sections = [Section(text, parts)]
        report = Report(text, work, text, text, parts, text, sections, warning=text)
        assert is_harmless(report.markdown()), report.markdown()
        assert "\n# heading" not in report.markdown()


def test_the_report_of_a_strange_summary_is_harmless(tmp_path):
    """Whoever sends a run can write anything into its summary.json."""
    from report_page import report_of

    summary = json.loads((ROOT / "docs/results/cifar100/summary.json").read_text("utf-8"))
    strange = "".join(text for text in NASTY if text != "\udcff")  # that cannot be written at all
    summary |= {"date": strange, "device": strange, "versions": {strange: strange}}
    for claim in summary["claims"]:
        claim |= dict.fromkeys(("claim", "criterion", "measured", "published"), strange)
    (tmp_path / "summary.json").write_text(json.dumps(summary), "utf-8")
    report = report_of("cifar100", tmp_path)
    assert report.markdown().count("&#60;img src=x onerror") > 8
    assert is_harmless(report.markdown())
    assert not re.search(r"<img src=x|href=.javascript|<script>alert", report.html())
