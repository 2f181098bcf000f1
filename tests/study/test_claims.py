"""Claims judged on published figures and on ours, and the conditions of a run."""

import json
import time

import numpy as np
import pytest

from minidl import get_device
from minidl.study import Conditions, Evidence, Statement, count, environment, judge
from minidl.study.claims import (
    FAILS,
    HOLDS,
    OPEN,
    UNJUDGED,
    NotReported,
    all_of,
    known,
    published_title,
    verdict,
)
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
    assert never.measured == "cannot be judged in this set-up"


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
        with pytest.raises(NotReported):
            known(nothing)


def test_what_is_found_in_several_places_is_one():
    found = all_of({"here": large(20), "there": large(9)})
    assert found.said == "here: 20; there: 9"
    numbers = [(name, n.value) for name, n in found.numbers.items()]
    assert numbers == [("here, above 10", 10), ("there, above 10", -1)]
    assert verdict([found]) == OPEN
    with pytest.raises(NotReported):
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


def test_the_count_has_three_kinds_and_what_cannot_be_judged():
    def some(*verdicts):
        return [{"verdict": given} for given in verdicts]

    assert count(some(HOLDS, FAILS, OPEN, OPEN)) == "1 holds, 1 does not, 2 are not decided"
    assert count(some(HOLDS, HOLDS)) == "2 hold, 0 do not, 0 are not decided"
    assert count(some(OPEN, UNJUDGED)).endswith("1 is not decided, 1 cannot be judged")


# -- conditions -----------------------------------------------------------------------------------


def test_conditions():
    start = time.perf_counter() - 12.3
    found = Conditions.now(get_device("cpu"), "float32", 2, "python x.py", start)
    rows = dict(found.rows())
    assert rows["device"] == "cpu, 2 network(s) at a time"
    assert rows["command"].markdown() == "`python x.py`"
    assert ", 12 s, " in rows["date, time, peak memory"]
    assert 12.3 <= found.as_dict()["seconds"] < 12.49
    assert Conditions.of(json.loads(json.dumps(found.as_dict()))) == found
    without = {k: v for k, v in found.as_dict().items() if k != "command"}  # as of version 0.1
    assert "command" not in dict(Conditions.of(without).rows())
    assert found.load_of_others is None  # too short for a load average
    assert "load of other work" not in rows["date, time, peak memory"]


def test_load_of_other_work_is_what_this_process_did_not_use(monkeypatch):
    monkeypatch.setattr(environment.os, "getloadavg", lambda: (9.0, 3.0, 2.5), raising=False)
    monkeypatch.setattr(environment.time, "process_time", lambda: 1200.0)
    assert environment.load_of_others(59) is None
    assert environment.load_of_others(600) == pytest.approx(3 - 2)  # over five minutes
    assert environment.load_of_others(1000) == pytest.approx(2.5 - 1.2)  # over fifteen
    assert environment.load_of_others(100) == 0
    conditions = Conditions("cpu", 1, {}, {}, "", 600.0, None, "x", load_of_others=1.0)
    assert dict(conditions.rows())["date, time, peak memory"].endswith("load of other work 1.0")


def test_a_report_says_which_machines_have_trained():
    machines = {"AMD, 8 processor(s)": 2, "Intel, 2 processor(s)": 1}
    of = ("cpu", 3, {}, {}, "2026-01-31", 60.0, 100.0)
    rows = dict(Conditions(*of, cluster={"workers": 3, "machines": machines}).rows())
    assert rows["trained on"].text == (
        "3 worker(s) of Dask, each a process: 2 on AMD, 8 processor(s); 1 on Intel, 2 processor(s)"
    )
    assert rows["date, time, peak memory"].endswith("100 MB (without the workers)")
    assert "trained on" not in dict(Conditions(*of).rows())
