"""A report is one list of parts, written as Markdown and shown as a page."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minidl.backend import get_device
from minidl.pages import Chart, Prose, Series, Table, Typed
from minidl.study import Conditions, Report, RunFolder, Section, Statement, Study, Work
from minidl.study.claims import VERDICTS
from minidl.study.environment import Stopwatch
from minidl.study.report import percent, pictures, read_rows, read_summary, set_up_section
from minidl.study.verdicts import Verdicts, both, word

CLAIMS = [
    {
        "claim": f"ReLU < sigmoid {i}",
        "criterion": "last accuracy",
        "published": "0.4 & 0.5",
        "measured": "0.41",
        "verdict": verdict,
    }
    for i, verdict in enumerate(VERDICTS[:3])
]
TURNED = [c | {"verdict": other["verdict"]} for c, other in zip(CLAIMS, CLAIMS[::-1], strict=True)]
BOTH = Verdicts({"as run": CLAIMS, "as described": TURNED})


def parts(section):
    return "".join(part.html() for part in section.parts), "\n\n".join(
        part.markdown() for part in section.parts
    )


def test_each_claim_has_its_verdicts_and_the_reason_on_the_page_and_in_the_text():
    why = [Statement("ReLU < sigmoid 1", "", lambda run: None, "why")]
    page, text = parts(BOTH.section(why, published="published, epoch 3"))
    assert page.count("<h3>ReLU &lt; sigmoid") == 3
    assert page.count("<dt>published, epoch 3</dt><dd>0.4 &amp; 0.5</dd>") == 3
    first = page.partition("</li>")[0]
    assert 'as run <span class="badge good">holds</span>' in first
    assert 'as described <span class="badge open">not decided</span>' in first
    assert page.count("<p>why</p>") == 1
    assert "Judged by: last accuracy." in page
    assert "| published, epoch 3 | as run | as described |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ReLU")]
    assert [row.count("**") for row in rows] == [4, 4, 4]
    assert rows[0].endswith("| **holds**: 0.41 | **not decided**: 0.41 |")
    assert "- **ReLU < sigmoid 1.** why" in text
    with pytest.raises(ValueError, match="zip"):  # a claim too few in a set-up
        parts(Verdicts({"as run": CLAIMS, "as described": CLAIMS[:2]}).section([]))


def test_what_holds_is_counted_by_set_up_without_what_the_study_did_not_claim():
    beyond = CLAIMS[0] | {"claim": "Beyond the study: more"}
    said = "1 holds, 1 does not, 1 is not decided"
    assert Verdicts({"run": [*CLAIMS, beyond]}).held() == f"Of 3 published claims, {said}"
    assert BOTH.held() == f"Of 3 published claims, as run {said}; as described {said}"


def test_the_answer_is_a_word_for_each_verdict():
    words = [word(CLAIMS, f"ReLU < sigmoid {i}") for i in range(4)]
    assert words == ["yes", "no", "not decided", "not judged"]
    assert both("yes", "yes") == "yes to both"
    assert both("yes", "no") == "yes to the first, no to the second"
    assert both("not decided", "not decided") == "not decided, neither of them"
    assert BOTH.word("ReLU < sigmoid 0") == "yes as run, not decided as described"
    assert BOTH.word("ReLU < sigmoid 1") == "no"
    assert (percent(0.2089), percent(float("nan"))) == ("20.9%", "–")


def test_the_terminal_has_a_line_for_each_claim():
    assert Verdicts({"run": CLAIMS[:1]}).text() == "holds  ReLU < sigmoid 0"
    head, line, *_ = BOTH.text().splitlines()
    assert head.split("  ")[0] == "as run" and head.endswith("claim")
    assert line.split("  ")[0] == "holds" and line.endswith("not decided    ReLU < sigmoid 0")
    assert Verdicts({"run": []}).text() == ""


def test_machine_and_command_come_from_the_summary():
    now = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", Stopwatch())
    summary = json.loads(json.dumps(now.as_dict()))
    page, text = parts(set_up_section([["data", "<CIFAR>"]], summary, note="And so on."))
    assert "&lt;CIFAR&gt;" in page and summary["versions"]["numpy"] in page
    assert "| command | `python x.py` |" in text and "<code>python x.py</code>" in page
    assert text.endswith("And so on.")
    assert "numpy" not in parts(set_up_section([["data", "CIFAR"]], {}))[0]


def report(**more):
    chart = Chart("Accuracy", "Said.", "epoch", "%", [Series("relu", [1, 2], [3, 4])])
    table = Table("Rows", ["a", "b"], [["x", Typed("*y*")]])
    sections = [Section("More", [Prose(["First.", "**Second**."]), table])]
    work = Work("A study", "A. Author", 2021, "https://example.org/x")
    given = {"warning": "Not all of it."} | more
    return Report("T", work, "Why?", "Yes: 3%.", [chart], "Of 2, 1 holds", sections, **given)


def test_the_last_lines_on_the_terminal_give_the_answer_and_where_the_report_is(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "40")
    answer = "Yes: 3% of the images, which is more than half as many again as sigmoid."

    class Small(Study):
        name, about, work = "small", "", Work("A study", "A. Author", 2021)
        run = None
        results = staticmethod(lambda summary: "the table")
        report = staticmethod(lambda folder, summary: replace(report(), answer=answer))

    Small().finish(RunFolder(tmp_path, "small"), {"seconds": 3.4}, "data: CIFAR-100")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "the table",
        "",
        "Yes: 3% of the images, which is more",
        "than half as many again as sigmoid.",
        "Of 2, 1 holds.",
        "",
        f"written to {tmp_path / 'report.html'} after 3 s; data: CIFAR-100",
    ]


def test_text_and_page_have_the_same_parts_in_the_same_order():
    text, page = report().markdown(), report().html()
    order = [
        "Not all of it.",
        "Why?",
        "Yes: 3%.",
        "Accuracy",
        "Of 2, 1 holds.",
        "A. Author",
        "More",
    ]
    for contents in (text, page.partition("<main")[2]):
        places = [contents.index(words) for words in order]
        assert places == sorted(places)
    assert 'class="warning"' not in report(warning="").html()
    assert "![Accuracy](figures/accuracy.png)\n\nSaid.\n" in text
    assert "**Second**." in text and "<b>Second</b>." in page
    assert "| x | &#42;y&#42; |" in text and "<td>*y*</td>" in page
    assert "[A study](https://example.org/x)" in text
    assert '<a href="https://example.org/x">A study</a>' in page
    assert "\n\n\n" not in text


def test_a_report_is_written_with_a_picture_of_each_chart_or_not_at_all(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        replace(report(), title="\ud800").write(tmp_path)  # half a character
    assert list(tmp_path.iterdir()) == []
    report(stamp="generated images").write(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert names == ["figures/accuracy.png", "figures/accuracy.svg", "report.html", "report.md"]
    assert "generated images" in (tmp_path / "figures/accuracy.svg").read_text("utf-8")


def test_what_a_report_is_read_from(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"summary\.json"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"a": [1.5, null], "b": null, "c": {"d": [[null]]}}')
    found = read_summary(tmp_path)  # NaN for the null in a list
    assert found["a"][0] == 1.5 and np.isnan(found["a"][1]) and np.isnan(found["c"]["d"][0][0])
    assert found["b"] is None

    assert read_rows(tmp_path, "snapshots.csv") == []
    (tmp_path / "snapshots.csv").write_text("a,b\n1,σ\n", "utf-8")
    assert read_rows(tmp_path, "snapshots.csv") == [{"a": "1", "b": "σ"}]

    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "filters.png").write_bytes(b"png")
    shown = pictures(tmp_path, {"filters": "The filters.", "plateau": "Not there."})
    assert [(p.png, p.alternative) for p in shown] == [(b"png", "The filters.")]
