"""The parts of a report page: claims with verdict and reason, set-up, pictures."""

import json

import numpy as np
import pytest

from minidl.backend import get_device
from minidl.study import Conditions
from minidl.study.claims import VERDICTS
from minidl.study.page import (
    claims_section,
    conditions,
    held,
    pictures,
    read_summary,
    report_page,
    set_up_section,
)

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


def test_each_claim_has_its_verdicts_and_the_reason():
    page = claims_section({"as run": CLAIMS, "as described": CLAIMS[::-1]}, ["", "why", ""]).html()
    assert page.count("<h3>ReLU &lt; sigmoid</h3>") == 3
    assert page.count("<dd>0.4 &amp; 0.5</dd>") == 3
    first = page.partition("</li>")[0]
    assert 'as run <span class="badge good">holds</span>' in first
    assert 'as described <span class="badge open">not decided</span>' in first
    assert page.count("<p>why</p>") == 1
    assert "Judged by: last accuracy." in page


def test_a_claim_too_many_in_a_set_up_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        claims_section({"as run": CLAIMS, "as described": CLAIMS[:2]}).html()


def test_what_holds_is_counted_without_what_the_study_did_not_claim():
    beyond = CLAIMS[0] | {"claim": "Beyond the study: more"}
    assert held([*CLAIMS, beyond]) == (
        "Of 3 published claims, 1 holds, 1 does not, 1 is not decided"
    )


def test_machine_and_versions_come_from_the_summary():
    now = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", 0.0)
    summary = json.loads(json.dumps(now.as_dict()))
    assert conditions(summary) == now.rows()[:-1]  # all but the command
    page = set_up_section([["data", "<CIFAR>"]], summary).html()
    assert "&lt;CIFAR&gt;" in page and summary["versions"]["numpy"] in page
    assert "numpy" not in set_up_section([["data", "CIFAR"]], {}).html()


def test_pictures_that_are_not_there_are_left_out(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "filters.png").write_bytes(b"png")
    found = pictures(tmp_path, {"filters": "The filters.", "plateau": "The plateau."})
    assert [(p.png, p.alternative) for p in found] == [(b"png", "The filters.")]


def test_a_warning_stands_above_the_question():
    page = report_page("T", "Why?", "So.", [], [], "Not CIFAR-100.").html()
    assert page.index("Not CIFAR-100.") < page.index("Why?") < page.index("So.")
    assert 'class="warning"' not in report_page("T", "Why?", "So.", [], []).html()


def test_a_folder_without_a_summary_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"summary\.json"):
        read_summary(tmp_path)


def test_published_figures_say_their_epoch():
    page = claims_section({"run": CLAIMS}, published="published, epoch 3").html()
    assert page.count("<dt>published, epoch 3</dt>") == 3


def test_what_json_cannot_hold_is_no_number_again(tmp_path):
    (tmp_path / "summary.json").write_text('{"a": [1.5, null], "b": null, "c": {"d": [[null]]}}')
    found = read_summary(tmp_path)
    assert found["a"][0] == 1.5 and np.isnan(found["a"][1]) and np.isnan(found["c"]["d"][0][0])
    assert found["b"] is None
