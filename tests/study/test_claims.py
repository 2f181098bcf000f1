"""Claims judged on published figures and on ours, and the conditions of a run."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl import get_device
from minidl.study import Conditions, Evidence, Statement, count, environment, judge
from minidl.study.claims import (
    FAILS,
    HOLDS,
    OPEN,
    UNJUDGED,
    NotJudged,
    all_of,
    known,
    published_title,
    verdict,
)
from minidl.study.environment import Stopwatch
from minidl.study.estimates import NOT_KNOWN, Estimate, exactly, share


def large(run):
    return Evidence(f"{run}", {"above 10": Estimate(run - 10, 1.0)})


CLAIMS = [
    Statement("large", "above 10", large),
    Statement("never told", "above nothing", lambda run: large(known(None))),
]


def weighed(*numbers, **more):
    """The verdict of one seed with these numbers."""
    named = {str(i): number for i, number in enumerate(numbers)}
    return verdict([Evidence("", named, **more)])


def test_claims_are_judged_on_the_studys_figures_and_on_ours():
    found, never = judge(CLAIMS, 5, [20])
    assert (found.claim, found.criterion) == ("large", "above 10")
    assert found.published == "5 (does not meet the criterion)"
    assert found.measured == "20; above 10 +10.00 (+8.04 to +11.96)"
    assert (found.verdict, found.holds) == (HOLDS, True)
    assert found.as_dict()["verdict"] == "holds"
    assert (never.published, never.verdict, never.holds) == ("not reported", UNJUDGED, None)
    assert never.measured == "a figure is missing in this set-up"


def test_what_a_cap_or_a_machine_decides_is_not_judged_with_the_reason():
    def test(run):
        if run > 5:
            raise NotJudged("training was cut off after 6 epochs", f"{run} epochs")
        return large(run)

    for runs in ([6], [5, 6, 5]):  # what is left of the seeds would be another question
        (found,) = judge([Statement("slow", "", test)], 7, runs)
        assert (found.verdict, found.holds, found.published) == (UNJUDGED, None, "7 epochs")
        assert found.measured == "6 epochs; not judged: training was cut off after 6 epochs"
    assert judge([CLAIMS[1]], 5, [20, None])[0].verdict == UNJUDGED
    some = Statement("some", "", lambda run: large(known(run)))
    assert judge([some], 5, [None, 20])[0].verdict == HOLDS  # of the runs that have the figure


def test_what_the_study_has_for_later_epochs_only_is_not_called_unreported():
    later = [Statement("late", "", lambda run: large(known(run if run > 5 else None)))]
    assert judge(later, 5, [20])[0].published == "not reported"
    assert judge(later, 5, [20], 5)[0].published == "not reported"
    assert judge(later, 5, [20], 30)[0].published == "no figure after so few epochs"
    assert judge(later, 20, [20], 30)[0].published == "20"
    titles = [published_title(epochs, 10) for epochs in (10, 3, 30)]
    assert titles == ["published", "published, epoch 3", "published, epoch 10"]


def test_what_is_none_or_empty_is_not_reported():
    assert known(0.0) == 0.0 and known([0]) == [0]
    for nothing in (None, {}, (), np.empty(0)):
        with pytest.raises(NotJudged):
            known(nothing)


def test_what_is_found_in_several_places_is_one():
    found = all_of({"here": large(20), "there": large(9)})
    assert found.said == "here: 20; there: 9"
    numbers = [(name, n.value) for name, n in found.numbers.items()]
    assert numbers == [("here, above 10", 10), ("there, above 10", -1)]
    assert verdict([found]) == OPEN
    with pytest.raises(NotJudged):
        all_of({})


def test_within_chance_it_is_not_decided_and_the_interval_is_shown():
    (found, _) = judge(CLAIMS, 11, [9])
    assert (found.verdict, found.holds) == (OPEN, None)
    assert found.measured == "9; above 10 -1.00 (-2.96 to +0.96)"
    assert found.published == "11; above 10 +1.00 (-0.96 to +2.96) (within chance)"


def test_several_seeds_are_judged_by_their_t_interval():
    (found, _) = judge(CLAIMS, 20, [18, 20, 22])
    # 10 ± 4.303 · 2 / √3
    assert found.measured == "18 (first of 3 seeds); above 10 +10.00 (+5.03 to +14.97)"
    assert found.verdict == HOLDS
    assert judge(CLAIMS, 20, [12, 20, 40])[0].verdict == OPEN
    assert judge(CLAIMS, 20, [20, 1])[0].verdict == OPEN  # one for, one against
    assert judge(CLAIMS, 20, [1, 2])[0].verdict == FAILS
    # seeds that agree by chance are as uncertain as each of them
    assert judge(CLAIMS, 20, [11, 11])[0].verdict == OPEN
    assert judge(CLAIMS, 20, [12, 12])[0].verdict == HOLDS  # 2 ± 1.96 / √2


def test_the_verdict_on_several_numbers():
    above, below, near = Estimate(5, 1), Estimate(-5, 1), Estimate(0.1, 1)
    for numbers, expected in (
        ((above, above), HOLDS),  # all must lie above 0
        ((above, near), OPEN),
        ((above, near, below), FAILS),  # and one below is enough to refute
        ((Estimate(2.1, 1),), HOLDS),
        ((Estimate(2.1, 1), Estimate(9, 1)), OPEN),  # Bonferroni: 2.24
        ((NOT_KNOWN,), OPEN),  # what is not known decides nothing
        ((Estimate(5),), OPEN),
        ((Estimate(0.0, 0.0),), OPEN),  # 0 to 0
        ((exactly(True),), HOLDS),
        ((exactly(False),), FAILS),
        ((share(1, 2) - 0.5,), OPEN),  # two of two
    ):
        assert weighed(*numbers) == expected, numbers
    assert weighed(Estimate(2.1, 1), together=2) == OPEN
    unknown = Statement("time", "less", lambda run: Evidence("2 s", {"time": NOT_KNOWN}))
    assert judge([unknown], 0, [0])[0].measured == "2 s; time: uncertain by an unknown amount"


def test_that_there_is_nothing_must_be_shown_and_is_refuted_by_something():
    assert weighed(Estimate(0.1, 0.1), within=0.5) == HOLDS
    assert weighed(Estimate(0.1, 0.3), within=0.5) == OPEN
    assert weighed(Estimate(0.3, 0.1), within=0.5) == FAILS
    assert weighed(Estimate(-0.3, 0.1), within=0.5) == FAILS


def test_the_count_has_three_kinds_and_what_is_not_judged():
    def some(*verdicts):
        return [{"verdict": given} for given in verdicts]

    assert count(some(HOLDS, FAILS, OPEN, OPEN)) == "1 holds, 1 does not, 2 are not decided"
    assert count(some(HOLDS, HOLDS)) == "2 hold, 0 do not, 0 are not decided"
    assert count(some(OPEN, UNJUDGED)).endswith("1 is not decided, 1 is not judged")


# -- conditions -----------------------------------------------------------------------------------


def test_conditions():
    found = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", Stopwatch())
    assert found.as_dict()["seconds"] < 60
    assert Conditions.of(json.loads(json.dumps(found.as_dict()))) == found
    found = replace(found, seconds=12.4, load_of_others=1.02)
    rows = dict(found.rows())
    assert rows["device"] == "cpu, 2 network(s) at a time"
    assert rows["command"].markdown() == "`python x.py`"
    assert ", 12 s, " in rows["date, time, peak memory"]
    assert rows["date, time, peak memory"].endswith(", load of other work 1.0")
    without = {k: v for k, v in found.as_dict().items() if k != "command"}  # as of version 0.1
    assert "command" not in dict(Conditions.of(without).rows())
    unknown = dict(replace(found, load_of_others=None).rows())
    assert "load of other work" not in unknown["date, time, peak memory"]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux says what others use")
def test_load_of_other_work_is_what_this_process_did_not_use_since_the_start(monkeypatch):
    clock = {"all": 70_000.0, "own": 0.0, "now": 1000.0}  # a day of work of others before
    monkeypatch.setattr(environment.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(environment.time, "process_time", lambda: clock["own"])
    ticks = os.sysconf("SC_CLK_TCK")

    def read_text(path):
        user, system = (int(share * clock["all"] * ticks) for share in (0.75, 0.25))
        return f"cpu  {user} 0 {system} 999999 77777 0 0 0 0 0\ncpu0 1 2 3"

    monkeypatch.setattr(environment.Path, "read_text", read_text)
    clock["own"] = 50.0  # imports, before the start
    since = Stopwatch()
    clock |= {"all": 70_000 + 1500, "own": 50 + 1200, "now": 1000 + 600}
    assert since.seconds() == 600
    assert since.load_of_others() == pytest.approx((1500 - 1200) / 600)
    clock["own"] += 400  # rounding
    assert since.load_of_others() == 0
    monkeypatch.setattr(environment.Path, "read_text", lambda path: "")
    assert since.load_of_others() is None


def test_a_report_says_which_machines_have_trained():
    machines = {"AMD, 8 processor(s)": 2, "Intel, 2 processor(s)": 1}
    of = ("cpu", 3, {}, {}, "2026-01-31", 60.0, 100.0)
    rows = dict(Conditions(*of, cluster={"workers": 3, "machines": machines}).rows())
    assert rows["trained on"].text == (
        "3 worker(s) of Dask, each a process: 2 on AMD, 8 processor(s); 1 on Intel, 2 processor(s)"
    )
    assert rows["date, time, peak memory"].endswith("100 MB (without the workers)")
    assert "trained on" not in dict(Conditions(*of).rows())
