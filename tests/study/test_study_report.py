"""A report is one list of parts, written as Markdown and shown as a page."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minidl.backend import get_device
from minidl.pages import Chart, Prose, Series, Table, Typed
from minidl.study import Conditions, Report, RunFolder, Section, Statement, Study, Work
from minidl.study.claims import VERDICTS
from minidl.study.report import percent, pictures, read_rows, read_summary, set_up_section
from minidl.study.verdicts import Verdicts, both, word

CLAIMS = [
    {
        "claim": "ReLU < sigmoid",
        "criterion": "last accuracy",
        "published": "0.4 & 0.5",
        "measured": "0.41",
        "verdict": verdict,
    }
    for verdict in VERDICTS[:3]
]


def of(*given):
    """The claim with each of these verdicts and names."""
    return [c | {"claim": f"{c['claim']} {i}"} for i, c in enumerate(given)]


def parts(section):
    return "".join(part.html() for part in section.parts), "\n\n".join(
        part.markdown() for part in section.parts
    )


def test_each_claim_has_its_verdicts_and_the_reason_on_the_page_and_in_the_text():
    set_ups = {"as run": of(*CLAIMS), "as described": of(*CLAIMS[::-1])}
    why = [Statement("ReLU < sigmoid 1", "", lambda run: None, "why")]
    page, text = parts(Verdicts(set_ups).section(why))
    assert page.count("<h3>ReLU &lt; sigmoid") == 3
    assert page.count("<dd>0.4 &amp; 0.5</dd>") == 3
    first = page.partition("</li>")[0]
    assert 'as run <span class="badge good">holds</span>' in first
    assert 'as described <span class="badge open">not decided</span>' in first
    assert page.count("<p>why</p>") == 1
    assert "Judged by: last accuracy." in page
    rows = [line for line in text.splitlines() if line.startswith("| ReLU")]
    assert [row.count("**") for row in rows] == [4, 4, 4]
    assert rows[0].endswith("| **holds**: 0.41 | **not decided**: 0.41 |")
    assert "- **ReLU < sigmoid 1.** why" in text


def test_a_claim_too_many_in_a_set_up_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        parts(Verdicts({"as run": CLAIMS, "as described": CLAIMS[:2]}).section([]))


def test_what_holds_is_counted_without_what_the_study_did_not_claim():
    beyond = CLAIMS[0] | {"claim": "Beyond the study: more"}
    assert Verdicts({"run": [*CLAIMS, beyond]}).held() == (
        "Of 3 published claims, 1 holds, 1 does not, 1 is not decided"
    )


def test_in_several_set_ups_each_is_counted():
    assert Verdicts({"as run": CLAIMS, "as described": CLAIMS}).held() == (
        "Of 3 published claims, as run 1 holds, 1 does not, 1 is not decided; "
        "as described 1 holds, 1 does not, 1 is not decided"
    )


def test_the_answer_is_a_word_for_each_verdict():
    words = [word(of(*CLAIMS), f"ReLU < sigmoid {i}") for i in range(4)]
    assert words == ["yes", "no", "not decided", "cannot be judged"]
    assert both("yes", "yes") == "yes to both"
    assert both("yes", "no") == "yes to the first, no to the second"
    assert both("not decided", "not decided") == "not decided, neither of them"
    two = Verdicts({"as run": of(*CLAIMS), "as described": of(CLAIMS[0], *CLAIMS[:2])})
    assert two.word("ReLU < sigmoid 0") == "yes"
    assert two.word("ReLU < sigmoid 1") == "no as run, yes as described"
    assert (percent(0.2089), percent(float("nan"))) == ("20.9%", "–")


def test_the_terminal_has_a_line_for_each_claim():
    one, two = {"run": of(CLAIMS[0])}, {"as run": of(CLAIMS[0]), "as described": of(CLAIMS[1])}
    assert Verdicts(one).text() == "holds  ReLU < sigmoid 0"
    head, line = Verdicts(two).text().splitlines()
    assert head.split("  ")[0] == "as run" and head.endswith("claim")
    assert line.startswith("holds") and "does not hold  ReLU < sigmoid 0" in line
    assert Verdicts({"run": []}).text() == ""


def test_machine_and_command_come_from_the_summary():
    now = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", 0.0)
    summary = json.loads(json.dumps(now.as_dict()))
    page, text = parts(set_up_section([["data", "<CIFAR>"]], summary, note="And so on."))
    assert "&lt;CIFAR&gt;" in page and summary["versions"]["numpy"] in page
    assert "| command | `python x.py` |" in text and "<code>python x.py</code>" in page
    assert text.endswith("And so on.")
    assert "numpy" not in parts(set_up_section([["data", "CIFAR"]], {}))[0]


def test_pictures_that_are_not_there_are_left_out(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "filters.png").write_bytes(b"png")
    found = pictures(tmp_path, {"filters": "The filters.", "plateau": "The plateau."})
    assert [(p.png, p.alternative) for p in found] == [(b"png", "The filters.")]


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


def test_the_first_screen_answers_in_the_same_order_in_both():
    order = [
        "Not all of it.",
        "Why?",
        "Yes: 3%.",
        "Accuracy",
        "Of 2, 1 holds.",
        "A. Author",
        "More",
    ]
    for text in (report().markdown(), report().html().partition("<main")[2]):
        places = [text.index(words) for words in order]
        assert places == sorted(places)
    assert 'class="warning"' not in report(warning="").html()


def test_the_text_has_the_parts_of_the_page():
    text, page = report().markdown(), report().html()
    assert "![Accuracy](figures/accuracy.png)\n\nSaid.\n" in text
    assert "**Second**." in text and "<b>Second</b>." in page
    assert "| x | &#42;y&#42; |" in text and "<td>*y*</td>" in page
    assert "[A study](https://example.org/x)" in text
    assert '<a href="https://example.org/x">A study</a>' in page
    assert "\n\n\n" not in text


def test_a_report_is_written_with_a_picture_of_each_chart(tmp_path):
    report().write(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert names == ["figures/accuracy.png", "figures/accuracy.svg", "report.html", "report.md"]


def test_the_stamp_stands_in_each_figure(tmp_path):
    report(stamp="generated images").write(tmp_path)
    assert "generated images" in (tmp_path / "figures/accuracy.svg").read_text("utf-8")


def test_half_a_character_costs_no_file(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        report(warning="\ud800").write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_a_file_that_is_not_there_are_none(tmp_path):
    assert read_rows(tmp_path, "snapshots.csv") == []
    (tmp_path / "snapshots.csv").write_text("a,b\n1,σ\n", "utf-8")
    assert read_rows(tmp_path, "snapshots.csv") == [{"a": "1", "b": "σ"}]


def test_a_folder_without_a_summary_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"summary\.json"):
        read_summary(tmp_path)


def test_published_figures_say_their_epoch():
    page, text = parts(Verdicts({"run": CLAIMS}).section([], published="published, epoch 3"))
    assert page.count("<dt>published, epoch 3</dt>") == 3
    assert "| published, epoch 3 | run |" in text


def test_what_json_cannot_hold_is_no_number_again(tmp_path):
    (tmp_path / "summary.json").write_text('{"a": [1.5, null], "b": null, "c": {"d": [[null]]}}')
    found = read_summary(tmp_path)
    assert found["a"][0] == 1.5 and np.isnan(found["a"][1]) and np.isnan(found["c"]["d"][0][0])
    assert found["b"] is None
