"""Frames to events, against events that are found by looking at the whole sequence at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.plans import apps_for, network, result_of

from mainstream.streamer import net_plan
from mainstream.streamer.events.event import Event, PlannedApp, escaped, planned_apps
from mainstream.streamer.events.merging import Change, Merging, Said
from mainstream.streamer.results import Analysis, Votes

HOLD_S = 2.0
APP = PlannedApp("dogs", 3, HOLD_S)


def said(positives: Sequence[tuple[float, bool]], votes: int, app: PlannedApp = APP) -> list[Said]:
    """What an app says of frames at these times; the score of a positive frame is 1 + its time / 1000."""
    count, found = Votes(1, votes), []
    for number, (at, positive) in enumerate(positives):
        scores = np.array([0.9, 1 + at / 1000 if positive else 0.5])
        found.append(Said(app, Analysis(at, number, app.app_id, scores, 1, *count.decide(scores)), None, at))
    return found


def changes(merging: Merging, things: Sequence[Said]) -> list[Change]:
    return [change for one in things for change in merging.said(one)]


def ended(things: Sequence[Said]) -> list[Event]:
    merging = Merging()
    found = [*changes(merging, things), *merging.end()]
    return [change.event for change in found if change.kind == "end"]


def oracle(positives: Sequence[tuple[float, bool]], votes: int) -> list[tuple[float, float, int]]:
    """Start, end and frames of each event: runs that are long enough, joined where the gap is short enough."""
    runs: list[list[float]] = [[]]
    for at, positive in positives:
        if positive:
            runs[-1].append(at)
        else:
            runs.append([])
    events: list[list[float]] = []
    for run in runs:
        if len(run) < votes:
            continue
        if events and run[0] - events[-1][-1] <= HOLD_S:
            events[-1] += run
        else:
            events.append(list(run))
    return [(event[0], event[-1], len(event)) for event in events]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=60),
    st.integers(1, 3),
)
def test_events_are_runs_joined_over_short_gaps(steps: list[tuple[int, bool]], votes: int) -> None:
    times = np.cumsum([step for step, _ in steps]) / 10
    # A run goes on over a gap of any length: nothing says that it ended. So gaps within a run are short here.
    positives: list[tuple[float, bool]] = []
    for at, (_, positive) in zip(times, steps, strict=True):
        if positives and positive and positives[-1][1] and at - positives[-1][0] > HOLD_S:
            positives.append((float(at) - 0.01, False))
        positives.append((float(at), positive))
    found = ended(said(positives, votes))
    assert [(event.start, event.end, event.frames) for event in found] == oracle(positives, votes)
    for event in found:  # scores rise with time
        assert event.peak_time == event.end and event.peak_score == 1 + event.peak_time / 1000


def test_an_event_is_told_when_it_has_its_votes_and_begins_with_the_first_of_them() -> None:
    merging = Merging()
    found = [[change.kind for change in merging.said(one)] for one in said([(i / 10, True) for i in range(5)], 3)]
    assert found == [[], [], ["start"], ["going on"], ["going on"]]
    (end,) = merging.end()
    assert (end.event.start, end.event.end, end.event.frames, end.event.interrupted) == (0.0, 0.4, 5, True)


def test_an_app_that_says_nothing_any_more_ends_its_event_by_the_clock() -> None:
    merging = Merging()
    changes(merging, said([(0.0, True), (0.1, True)], 1))
    assert not list(merging.silent(time.monotonic() + HOLD_S))
    (end,) = merging.silent(time.monotonic() + HOLD_S + 2)
    assert end.kind == "end" and end.event.end == 0.1 and not end.event.interrupted
    assert not list(merging.silent(time.monotonic() + 1e6))


def test_apps_do_not_know_of_each_other_and_scores_may_be_infinite() -> None:
    merging = Merging()
    other = PlannedApp("cats", 4, HOLD_S)
    analysis = Analysis(0.0, 0, 4, np.array([0.0, np.inf]), 1, True, True)
    found = [*changes(merging, said([(0.0, True)], 1)), *merging.said(Said(other, analysis, None, 0.0))]
    assert [change.event.app for change in found] == ["dogs", "cats"]
    again = Event.from_json(found[1].event.to_json())
    assert again.peak_score > 1e300 and again.event_id == found[1].event.event_id
    assert changes(merging, said([(10.0, False)], 1))[0].event.app == "dogs"


def plan_with_names(names: Sequence[str | None], **keys: Any) -> Any:
    given = [(4, 2.0)] * len(names)
    model = network()
    apps = [app.model_copy(update={"name": name}) for app, name in zip(apps_for(given), names, strict=True)]
    return net_plan(result_of(model, given), apps, model)


def test_an_app_goes_by_its_name_and_by_its_number_where_that_is_not_enough() -> None:
    plan = plan_with_names(["dogs", None, "cats", "cats", "a\nb"])
    apps = planned_apps(type(plan).from_json(plan.to_json()), 500.0)
    assert [app.name for app in apps.values()] == ["dogs", "2", "cats (3)", "cats (4)", "a\\nb"]
    assert {app.hold_s for app in apps.values()} == {2.5 / 2}
    assert {app.hold_s for app in planned_apps(plan, 9000.0).values()} == {9.0}


@given(st.text(), st.text())
def test_escaped_names_are_plain_and_differ_as_the_names_do(one: str, other: str) -> None:
    assert set(escaped(one)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert (escaped(one) == escaped(other)) == (one == other)
    assert escaped("a_2Fb-7") == "a_5F2Fb-7" and escaped("Straße/+#") == "Stra_C3_9Fe_2F_2B_23"
